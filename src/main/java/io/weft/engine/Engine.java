package io.weft.engine;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import java.util.Optional;

/** Generates tokens for many requests at once. */
public interface Engine {
    /**
     * Generates tokens. The request is queued on subscription; cancelling the subscription takes it out of the batch
     * within one step and frees its cache. Events arrive on the engine's thread, all of a step before
     * {@linkplain #afterEachStep its end}, and a subscriber must return at once. Events without demand wait in a queue
     * that holds everything a request can produce.
     *
     * @return {@link GenerationEvent.Admitted}, {@link GenerationEvent.PromptScored} if asked for, a
     *     {@link GenerationEvent.Generated} for each token, then one {@link GenerationEvent.Finished}; fails with
     *     {@link RequestRejectedException}, before any event, if the request cannot be served, and with
     *     {@link EngineFailedException} if the device fails
     */
    Multi<GenerationEvent> generate(GenerationRequest request);

    /**
     * Has a listener run at the end of each step, when all events of the step were emitted, on the engine's thread: for
     * those who pass events on once a step, and not once an event. It must return at once.
     */
    void afterEachStep(Runnable listener);

    /**
     * What is kept for prompts to come.
     *
     * @param owner whose blocks
     * @param salt only those of requests with this salt; empty for all
     * @return fails with {@link RequestRejectedException} unless the engine serves
     */
    Uni<HeldTokens> held(String owner, Optional<String> salt);

    /**
     * Forgets what is kept for prompts to come. Running requests go on.
     *
     * @param owner whose blocks
     * @param salt only those of requests with this salt; empty for all
     * @return what was forgotten; fails with {@link RequestRejectedException} unless the engine serves
     */
    Uni<HeldTokens> forget(String owner, Optional<String> salt);

    /** The state of the engine. */
    EngineStatus status();

    /**
     * The model that the engine serves.
     *
     * @throws IllegalStateException while the engine is {@linkplain EngineStatus.Starting starting} or if it failed to
     *     start
     */
    ServedModel model();
}
