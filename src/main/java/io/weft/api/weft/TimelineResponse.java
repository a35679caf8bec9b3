package io.weft.api.weft;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.weft.observe.ObservedStep;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Lane;
import java.util.ArrayList;
import java.util.List;

/**
 * The last timed steps.
 *
 * @param steps steps, oldest first
 */
@RegisterForReflection
record TimelineResponse(List<Step> steps) {
    /** A step; times count from its start, and are negative for transfers that the step before began. */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Step(
            long number,
            String endedAt,
            int sequences,
            int rows,
            long linkBytes,
            long residentTokens,
            long transferredTokens,
            long recomputedTokens,
            int foundTokens,
            double wallMillis,
            double predictedMillis,
            double measuredMillis,
            double linkBusyRatio,
            double computeBusyRatio,
            List<Stage> stages) {}

    /** A stage, in the order of the plan. */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Stage(
            String stage,
            String lane,
            double predictedStartMicros,
            double predictedMicros,
            double measuredStartMicros,
            double measuredMicros) {}

    static TimelineResponse of(List<ObservedStep> steps) {
        return new TimelineResponse(steps.stream().map(TimelineResponse::step).toList());
    }

    private static Step step(ObservedStep step) {
        return new Step(
                step.number(),
                step.endedAt().toString(),
                step.sequences(),
                step.rows(),
                step.linkBytes(),
                step.tokens().resident(),
                step.tokens().transferred(),
                step.tokens().recomputed(),
                step.foundTokens(),
                step.wallNanos() / 1e6,
                step.predicted().totalNanos() / 1e6,
                step.measured().totalNanos() / 1e6,
                step.measured().busyRatio(Lane.LINK_IN),
                step.measured().busyRatio(Lane.COMPUTE),
                stages(step.predicted(), step.measured()));
    }

    /** Both are in the order of the plan. */
    private static List<Stage> stages(Timeline predicted, Timeline measured) {
        List<Stage> stages = new ArrayList<>();
        for (int i = 0; i < measured.stages().size(); i++) {
            StageTiming simulated = predicted.stages().get(i);
            StageTiming timed = measured.stages().get(i);
            stages.add(new Stage(
                    timed.planned().stage().label(),
                    timed.planned().stage().lane().label(),
                    simulated.startNanos() / 1e3,
                    simulated.nanos() / 1e3,
                    timed.startNanos() / 1e3,
                    timed.nanos() / 1e3));
        }
        return stages;
    }
}
