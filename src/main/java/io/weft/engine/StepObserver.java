package io.weft.engine;

import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.StepPlan;
import java.util.Optional;

/** Receives every step, on the engine's thread between two steps, so slow work belongs elsewhere. */
public interface StepObserver {
    /** An observer that ignores steps and times nothing. */
    StepObserver NONE = new StepObserver() {
        @Override
        public boolean timesNextStep() {
            return false;
        }

        @Override
        public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {}
    };

    /** Whether to time the stages of the next step; a step that is not timed records no timing events. */
    boolean timesNextStep();

    /**
     * Requests begin with the next step, whose prompts were cached in part.
     *
     * @param tokens of the prompts that no step has to compute
     */
    default void found(int tokens) {}

    /**
     * A step has chosen tokens, in passes that checked drafts or not.
     *
     * @param passes sequences for which it has chosen tokens
     * @param drafted tokens that it checked
     * @param accepted those of them that were right
     */
    default void generated(int passes, int drafted, int accepted) {}

    /**
     * A step has run.
     *
     * @param plan plan of the step
     * @param nanos time from planning to logits on the host
     * @param measured the timeline in the order of the plan; present if it was requested
     */
    void stepped(StepPlan plan, long nanos, Optional<Timeline> measured);
}
