package io.weft.plan.placement;

import io.weft.plan.step.Planner;
import java.util.Optional;

/**
 * How steps are planned, new sequences placed, and blocks of running ones moved. May be replaced between two steps.
 *
 * @param planner plans steps
 * @param admission places sequences
 * @param moves moves blocks of running sequences; without it they stay where they are
 */
public record Planning(Planner planner, Admission admission, Optional<MovePlanner> moves) {
    /** Where the blocks of a sequence go that is about to be admitted. */
    @FunctionalInterface
    public interface Admission {
        /**
         * @param occupancy what the cache holds now
         * @param tokens that the sequence may come to have, at least 1
         */
        PlacementPolicy policy(Occupancy occupancy, int tokens);
    }

    /** The same placement whatever the cache holds; nothing moves. */
    public static Planning fixed(Planner planner, PlacementPolicy placement) {
        return new Planning(planner, (occupancy, tokens) -> placement, Optional.empty());
    }
}
