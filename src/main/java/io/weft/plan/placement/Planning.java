package io.weft.plan.placement;

import io.weft.plan.step.Planner;
import java.util.Optional;

/**
 * Plans steps, places new sequences, and moves blocks of running ones. May be replaced between two steps.
 *
 * @param planner plans steps
 * @param admission places sequences
 * @param moves moves blocks of running sequences; without it they stay where they are
 */
public record Planning(Planner planner, Admission admission, Optional<MovePlanner> moves) {
    /** Places the blocks of a sequence that is about to be admitted. */
    @FunctionalInterface
    public interface Admission {
        /**
         * @param occupancy current contents of the cache
         * @param tokens the most tokens that the sequence may have, at least 1
         */
        PlacementPolicy policy(Occupancy occupancy, int tokens);
    }

    /** Planning with a fixed placement, whatever the cache holds, and without moves. */
    public static Planning fixed(Planner planner, PlacementPolicy placement) {
        return new Planning(planner, (occupancy, tokens) -> placement, Optional.empty());
    }
}
