package io.weft.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.LongPredicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Whatever fails in the watcher of events, everybody who waits learns of it: the driver is the test's. */
class EventWatcherTest {
    private record Event(long handle, long stream) implements EventWatcher.Mark {}

    private final CudaHealth health = new CudaHealth();
    private final Set<Long> reached = ConcurrentHashMap.newKeySet();
    private final BlockingQueue<Throwable> uncaught = new LinkedBlockingQueue<>();
    private final Arena arena = Arena.ofShared();
    private Thread.UncaughtExceptionHandler handlerBefore;

    @BeforeEach
    void takeWhatNobodyCatches() {
        handlerBefore = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((thread, failure) -> uncaught.add(failure));
    }

    @AfterEach
    void giveBack() {
        Thread.setDefaultUncaughtExceptionHandler(handlerBefore);
        arena.close();
    }

    private EventWatcher watcher(Runnable bind, LongPredicate driver) {
        MemorySegment record = arena.allocate(FaultRecord.BYTES, Long.BYTES);
        return new EventWatcher(bind, driver, health, new FaultRecord(record));
    }

    /** What a callback is told: the device's failure, or none. */
    private static CompletableFuture<Optional<Throwable>> watch(EventWatcher watcher, long event, long stream) {
        CompletableFuture<Optional<Throwable>> told = new CompletableFuture<>();
        watcher.watch(new Event(event, stream), failure -> told.complete(Optional.ofNullable(failure)));
        return told;
    }

    @Test
    void callbacksComeOnceTheirEventsAreReached() {
        try (EventWatcher watcher = watcher(() -> {}, reached::contains)) {
            var first = watch(watcher, 1, 7);
            var second = watch(watcher, 2, 7);
            var other = watch(watcher, 3, 8);

            reached.add(3L);
            assertThat(other.join()).isEmpty();
            assertThat(first).isNotDone();
            reached.add(2L);
            reached.add(1L);
            assertThat(first.join()).isEmpty();
            assertThat(second.join()).isEmpty();
        }
        assertThat(health.failed()).isFalse();
        assertThat(uncaught).isEmpty();
    }

    @Test
    void anErrorOfTheDriverFailsAllThatWaitAndAllThatCome() {
        LongPredicate driver = event -> {
            if (reached.contains(event)) {
                throw new AssertionError("no such function");
            }
            return false;
        };
        try (EventWatcher watcher = watcher(() -> {}, driver)) {
            var first = watch(watcher, 1, 7);
            var other = watch(watcher, 2, 8);
            reached.add(2L);

            assertThat(first.join().orElseThrow()).hasMessageContaining("no such function");
            assertThat(other.join()).isPresent();
            assertThat(watch(watcher, 3, 9).join()).isPresent();
        }
        assertThat(uncaught.remove()).isInstanceOf(AssertionError.class);
    }

    @Test
    void anErrorOfACallbackFailsTheOthers() {
        try (EventWatcher watcher = watcher(() -> {}, reached::contains)) {
            watcher.watch(new Event(1, 7), failure -> {
                throw new OutOfMemoryError("no threads");
            });
            var other = watch(watcher, 2, 8);
            reached.add(1L);

            assertThat(other.join().orElseThrow()).hasMessageContaining("no threads");
        }
        assertThat(uncaught.remove()).isInstanceOf(OutOfMemoryError.class);
    }

    @Test
    void aThreadThatCannotBeBoundFailsAll() {
        Runnable bind = () -> {
            throw new DeviceException("the context is lost");
        };
        try (EventWatcher watcher = watcher(bind, event -> false)) {
            assertThat(watch(watcher, 1, 7).join().orElseThrow()).hasMessageContaining("the context is lost");
        }
        assertThat(uncaught.remove()).isInstanceOf(DeviceException.class);
    }
}
