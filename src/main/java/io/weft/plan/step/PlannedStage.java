package io.weft.plan.step;

import java.util.List;

/**
 * A stage in its place in the step.
 *
 * @param index its place in {@link StepPlan#stages}, which is the order of issue
 * @param stage the work
 * @param after earlier stages of other lanes that must be complete before it starts; the stages of its own lane always
 *     are
 */
public record PlannedStage(int index, Stage stage, List<Integer> after) {
    public PlannedStage {
        after = List.copyOf(after);
        // By index: there are thousands of stages in a question, and an iterator each adds up.
        for (int i = 0; i < after.size(); i++) {
            int earlier = after.get(i);
            if (earlier < 0 || earlier >= index) {
                throw new IllegalArgumentException(
                        "stage " + index + " waits for " + earlier + ", must be an earlier one");
            }
        }
    }
}
