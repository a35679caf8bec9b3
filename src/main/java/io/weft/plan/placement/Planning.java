package io.weft.plan.placement;

import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.DraftPlanner;
import io.weft.plan.step.Planner;
import io.weft.plan.step.StepPlan;
import java.time.Duration;
import java.util.Optional;

/**
 * Plans steps, places new sequences, and moves blocks of running ones. May be replaced between two steps.
 *
 * @param planner plans steps
 * @param prediction predicts steps
 * @param admission places sequences
 * @param moves copies blocks of running sequences to the device; without it they stay where they are
 * @param drafts decides how much of their drafts sequences check; without it nothing
 */
public record Planning(
        Planner planner,
        Prediction prediction,
        Admission admission,
        Optional<MovePlanner> moves,
        Optional<DraftPlanner> drafts) {
    /** Predicts how long a planned step takes. */
    @FunctionalInterface
    public interface Prediction {
        /** No prediction: every step takes no time. */
        Prediction NONE = plan -> Duration.ZERO;

        /** The time from the start of the step to the end of its last stage. */
        Duration of(StepPlan plan);

        /** The prediction of the simulator. */
        static Prediction of(CostModel costs) {
            return plan -> Duration.ofNanos(costs.simulator(plan).lanes(plan).totalNanos());
        }
    }

    /** Places the blocks of a sequence that is about to be admitted. */
    @FunctionalInterface
    public interface Admission {
        /**
         * @param occupancy current contents of the cache
         * @param tokens the most tokens that the sequence may have, at least 1
         */
        PlacementPolicy policy(Occupancy occupancy, int tokens);
    }

    /** Planning without drafts. */
    public Planning(Planner planner, Prediction prediction, Admission admission, Optional<MovePlanner> moves) {
        this(planner, prediction, admission, moves, Optional.empty());
    }

    /** Planning with a fixed placement, whatever the cache holds, without predictions and moves. */
    public static Planning fixed(Planner planner, PlacementPolicy placement) {
        return new Planning(planner, Prediction.NONE, (occupancy, tokens) -> placement, Optional.empty());
    }
}
