package io.weft.engine;

import io.weft.plan.Occupancy;
import io.weft.plan.PlacementPolicy;
import io.weft.plan.StepPlanner;

/**
 * How steps are planned and new sequences placed. May be replaced between two steps; sequences stay where they are.
 *
 * @param planner plans steps
 * @param admission places sequences
 */
public record Planning(StepPlanner planner, Admission admission) {
    /** Where the blocks of a sequence go that is about to be admitted. */
    @FunctionalInterface
    public interface Admission {
        /**
         * @param occupancy what the cache holds now
         * @param tokens that the sequence may come to have, at least 1
         */
        PlacementPolicy policy(Occupancy occupancy, int tokens);
    }

    /** The same placement whatever the cache holds. */
    public static Planning fixed(StepPlanner planner, PlacementPolicy placement) {
        return new Planning(planner, (occupancy, tokens) -> placement);
    }
}
