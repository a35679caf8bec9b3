package io.weft.plan.step;

import java.util.List;

/**
 * A stage at its place in the step.
 *
 * @param index index in {@link StepPlan#stages}, which is the order of issue
 * @param stage the work
 * @param after earlier stages of other lanes that must be complete before it starts; those of its own lane always are
 */
public record PlannedStage(int index, Stage stage, List<Integer> after) {
    public PlannedStage {
        after = List.copyOf(after);
        // A loop by index: a question has thousands of stages, and an iterator for each adds up.
        for (int i = 0; i < after.size(); i++) {
            int earlier = after.get(i);
            if (earlier < 0 || earlier >= index) {
                throw new IllegalArgumentException(
                        "stage " + index + " waits for " + earlier + ", must be an earlier one");
            }
        }
    }
}
