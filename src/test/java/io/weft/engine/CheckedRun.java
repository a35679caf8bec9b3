package io.weft.engine;

import io.smallrye.mutiny.subscription.Cancellable;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Predicate;

/** Requests whose events are checked while others run. */
final class CheckedRun {
    private CheckedRun() {}

    /**
     * Runs a request to its end, or until it is cancelled.
     *
     * @param isEnough of the events so far, whenever there is one more; if true, the request is cancelled
     * @param cancelled checks the events of a cancelled request
     * @param ended checks the events of one that has ended
     * @return done when the events are checked; fails as the request or a check does
     */
    static CompletableFuture<Void> start(
            BatchingEngine engine,
            GenerationRequest request,
            Predicate<List<GenerationEvent>> isEnough,
            Consumer<List<GenerationEvent>> cancelled,
            Consumer<List<GenerationEvent>> ended) {
        CompletableFuture<Void> checked = new CompletableFuture<>();
        List<GenerationEvent> events = new ArrayList<>();
        CompletableFuture<Cancellable> cancellable = new CompletableFuture<>();
        cancellable.complete(engine.generate(request)
                .subscribe()
                .with(
                        event -> {
                            events.add(event);
                            if (isEnough.test(events)) {
                                var _ = cancellable.thenAccept(Cancellable::cancel);
                                check(checked, events, cancelled);
                            }
                        },
                        checked::completeExceptionally,
                        () -> check(checked, events, ended)));
        return checked;
    }

    private static void check(
            CompletableFuture<Void> checked, List<GenerationEvent> events, Consumer<List<GenerationEvent>> check) {
        try {
            check.accept(events);
            checked.complete(null);
        } catch (AssertionError e) {
            checked.completeExceptionally(e);
        }
    }
}
