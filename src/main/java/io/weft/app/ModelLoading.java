package io.weft.app;

import io.weft.model.ModelFiles;
import io.weft.profile.HardwareProfiler;
import io.weft.text.Tokenizer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import org.jboss.logging.Logger;

/**
 * A model that loads on a thread of its own: loading takes as long as starting the server, and does not need it. Only
 * measuring the hardware waits until the server has started, since kernels are slow meanwhile.
 */
public final class ModelLoading {
    private static final Logger LOG = Logger.getLogger(ModelLoading.class);

    private final CompletableFuture<Void> serverStarted = new CompletableFuture<>();
    private final HardwareProfiler profiler = new HardwareProfiler(serverStarted::join);
    private final CompletableFuture<Tokenizer> tokenizer = new CompletableFuture<>();
    private final CompletableFuture<Assembly> assembly = new CompletableFuture<>();
    private volatile Consumer<String> listener = what -> {};

    private ModelLoading() {}

    /**
     * Begins.
     *
     * @param mistake told if model, tokenizer or device cannot be opened, which shows at once
     */
    public static ModelLoading begin(Settings settings, Consumer<RuntimeException> mistake) {
        ModelLoading loading = new ModelLoading();
        Thread.ofPlatform().name("weft-load").daemon().start(() -> loading.run(settings, mistake));
        return loading;
    }

    private void run(Settings settings, Consumer<RuntimeException> mistake) {
        ModelFiles files;
        try {
            files = Assembly.open(settings);
            Assembly.ignored(files).ifPresent(LOG::warn);
            Devices.requireChosen(settings, files.storedType());
            // The server starts once it has the tokenizer.
            tokenizer.complete(Assembly.tokenizer(files));
        } catch (RuntimeException | Error e) {
            mistake.accept(e instanceof RuntimeException known ? known : new IllegalStateException(e));
            tokenizer.completeExceptionally(e);
            assembly.completeExceptionally(e);
            return;
        }
        try {
            assembly.complete(Assembly.loadFirstPart(settings, files, profiler, what -> listener.accept(what)));
        } catch (RuntimeException | Error e) {
            assembly.completeExceptionally(e);
        }
    }

    /** Allows measuring the hardware from now on. */
    void serverStarted() {
        serverStarted.complete(null);
    }

    /** The model's tokenizer, which is available soon; fails if opening it failed. */
    Tokenizer tokenizer() {
        return tokenizer.join();
    }

    /**
     * Waits for the model.
     *
     * @param measured receives the measured profile
     * @param progress receives the progress
     */
    Assembly await(HardwareProfiler measured, Consumer<String> progress) throws Exception {
        listener = progress;
        try {
            Assembly loaded = assembly.get();
            profiler.current().ifPresent(measured::replace);
            return loaded;
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }
}
