package io.weft.engine;

import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.StepPlan;
import java.util.Optional;

/** Told of every step, on the engine's thread between two steps: what takes long belongs elsewhere. */
public interface StepObserver {
    /** Tells nobody, and times nothing. */
    StepObserver NONE = new StepObserver() {
        @Override
        public boolean timesNextStep() {
            return false;
        }

        @Override
        public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {}
    };

    /** Whether the stages of the next step are to be timed: a step that is not records no timing events. */
    boolean timesNextStep();

    /**
     * A step has run.
     *
     * @param plan what ran
     * @param nanos from planning to logits on the host
     * @param measured when each stage ran, in the order of the plan; there if it was asked for
     */
    void stepped(StepPlan plan, long nanos, Optional<Timeline> measured);
}
