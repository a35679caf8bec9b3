package io.weft.engine;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.subscription.BackPressureStrategy;
import io.smallrye.mutiny.subscription.MultiEmitter;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationEvent.Finished;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationEvent.Usage;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

/** An engine without a device: a caller makes its steps, on the caller's thread, and chooses the tokens. */
public final class DrivenEngine implements Engine {
    private final ServedModel model;
    private final List<Running> running = new CopyOnWriteArrayList<>();
    private final List<Runnable> afterSteps = new CopyOnWriteArrayList<>();

    /** A request in the batch. */
    public static final class Running {
        private final GenerationRequest request;
        private final MultiEmitter<? super GenerationEvent> events;
        private int tokens;

        private Running(GenerationRequest request, MultiEmitter<? super GenerationEvent> events) {
            this.request = request;
            this.events = events;
        }

        public GenerationRequest request() {
            return request;
        }
    }

    public DrivenEngine(ServedModel model) {
        this.model = model;
    }

    @Override
    public Multi<GenerationEvent> generate(GenerationRequest request) {
        return Multi.createFrom().emitter(emitter -> join(request, emitter), BackPressureStrategy.BUFFER);
    }

    private void join(GenerationRequest request, MultiEmitter<? super GenerationEvent> emitter) {
        Running joined = new Running(request, emitter);
        emitter.onTermination(() -> running.remove(joined));
        emitter.emit(new Admitted(Duration.ZERO, PrefixHit.NONE, new CachedTokens.Homes(16, List.of())));
        running.add(joined);
    }

    @Override
    public void afterEachStep(Runnable listener) {
        afterSteps.add(listener);
    }

    /** The requests in the batch. */
    public List<Running> running() {
        return List.copyOf(running);
    }

    /** One step, which gives every request this token. */
    public void step(int token) {
        for (Running each : running) {
            each.tokens++;
            each.events.emit(new Generated(token, Optional.empty()));
            if (each.tokens == each.request.maxNewTokens()) {
                end(each);
            }
        }
        afterSteps.forEach(Runnable::run);
    }

    /** Ends all requests. */
    public void finish() {
        List<Running> all = new ArrayList<>(running);
        all.forEach(DrivenEngine::end);
        afterSteps.forEach(Runnable::run);
    }

    /** Fails all requests. */
    public void fail(Throwable cause) {
        List<Running> all = new ArrayList<>(running);
        all.forEach(each -> each.events.fail(cause));
        afterSteps.forEach(Runnable::run);
    }

    private static void end(Running each) {
        each.events.emit(new Finished(
                FinishReason.LENGTH, new Usage(each.request.promptTokens().size(), each.tokens)));
        each.events.complete();
    }

    @Override
    public Uni<HeldTokens> held(String owner, Optional<String> salt) {
        return Uni.createFrom().item(new HeldTokens(0, 0, 0, 0));
    }

    @Override
    public Uni<HeldTokens> forget(String owner, Optional<String> salt) {
        return held(owner, salt);
    }

    @Override
    public EngineStatus status() {
        return new EngineStatus.Serving(running.size(), 0, 1 << 20, 1 << 20, 1 << 20, Duration.ZERO);
    }

    @Override
    public ServedModel model() {
        return model;
    }
}
