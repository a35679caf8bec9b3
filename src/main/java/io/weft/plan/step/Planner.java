package io.weft.plan.step;

/** Turns the shape of a step into its plan. */
public interface Planner {
    /**
     * Plans a step.
     *
     * @throws IllegalArgumentException if the shape contradicts itself, or if staging memory cannot hold even a single
     *     cell; the message names the setting and how much is needed
     */
    StepPlan plan(StepShape shape);

    /**
     * Plans the step that is expected after one that was just issued. So the device need not wait for that plan: it
     * runs the issued step meanwhile.
     */
    default void planAhead(StepPlan issued) {}

    /** The most staged tokens of a chunk, in steps of the expected load. */
    int chunkTokens();
}
