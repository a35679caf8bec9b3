package io.weft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/**
 * Fails a test class after which a thread of Weft still runs, or a file is still open or mapped, that was not before.
 * The service that tests of the API share outlives their classes, so these are left out.
 */
public final class LeakCheck implements BeforeAllCallback, AfterAllCallback {
    private static final Namespace NAMESPACE = Namespace.create(LeakCheck.class);
    /** Threads end soon after they were told to; only what hangs takes so long. */
    private static final Duration HANG = Duration.ofMinutes(2);

    private static final Path DESCRIPTORS = Path.of("/proc/self/fd");
    private static final Path MAPPINGS = Path.of("/proc/self/maps");

    @Override
    public void beforeAll(ExtensionContext context) {
        if (isChecked(context)) {
            context.getStore(NAMESPACE).put(context.getUniqueId(), held());
        }
    }

    @Override
    public void afterAll(ExtensionContext context) throws InterruptedException {
        Object before = context.getStore(NAMESPACE).remove(context.getUniqueId());
        if (!(before instanceof Set<?> known)) {
            return;
        }
        long since = System.nanoTime();
        Set<String> more = new TreeSet<>(held());
        more.removeAll(known);
        while (!more.isEmpty()) {
            if (System.nanoTime() - since > HANG.toNanos()) {
                throw new AssertionError("left after " + context.getDisplayName() + ": " + more);
            }
            Thread.sleep(10);
            more.retainAll(held());
        }
    }

    /** A nested class ends with the class around it. */
    private static boolean isChecked(ExtensionContext context) {
        // Of another class loader once the service has started, so its name counts.
        boolean isOfTheService = Arrays.stream(context.getRequiredTestClass().getAnnotations())
                .anyMatch(annotation -> annotation.annotationType().getName().startsWith("io.quarkus.test."));
        return !isOfTheService
                && context.getRequiredTestClass().getEnclosingClass() == null
                && context.getTestInstanceLifecycle().orElse(TestInstance.Lifecycle.PER_METHOD)
                        == TestInstance.Lifecycle.PER_METHOD;
    }

    private static Set<String> held() {
        Set<String> held = Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("weft-"))
                .map(thread -> "thread " + thread.getName() + " " + thread.threadId())
                .collect(Collectors.toCollection(TreeSet::new));
        if (Files.isReadable(MAPPINGS)) {
            try (Stream<Path> descriptors = Files.list(DESCRIPTORS);
                    Stream<String> mappings = Files.lines(MAPPINGS)) {
                descriptors
                        .map(LeakCheck::target)
                        .filter(LeakCheck::isData)
                        .forEach(file -> held.add("open file " + file));
                mappings.map(line -> line.substring(Math.max(0, line.indexOf('/'))))
                        .filter(LeakCheck::isData)
                        .forEach(file -> held.add("mapped file " + file));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return held;
    }

    private static String target(Path descriptor) {
        try {
            return Files.readSymbolicLink(descriptor).toString();
        } catch (IOException e) {
            // It was closed meanwhile, as the one that lists the folder.
            return "";
        }
    }

    /** Class loaders keep what they have loaded from. */
    private static boolean isData(String file) {
        return file.startsWith("/")
                && !file.startsWith("/proc/")
                && !file.startsWith("/dev/")
                && !file.startsWith("/sys/")
                && !file.matches(
                        ".*(\\.(jar|so|so\\.[\\d.]+|jsa|jmod|class|log)|/modules|hsperfdata.*|/jna\\d+.*)( \\(deleted\\))?");
    }
}
