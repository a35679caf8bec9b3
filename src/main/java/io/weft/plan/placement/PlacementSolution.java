package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.plan.step.Lane;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The answer to a {@link PlacementProblem}. */
public sealed interface PlacementSolution {
    /**
     * A shortest step.
     *
     * @param problem the problem
     * @param tokens on each route, in the order of the problem's routes
     */
    record Placed(PlacementProblem problem, List<Double> tokens) implements PlacementSolution {
        public Placed {
            tokens = List.copyOf(tokens);
        }

        /** The time of the step. */
        public double stepNanos() {
            return problem.stepNanos(tokens);
        }

        /** The time that the step takes of a lane. */
        public double laneNanos(Lane lane) {
            return problem.laneNanos(lane, tokens);
        }

        /** The bytes of device memory that full blocks use. */
        public double deviceBytes() {
            return problem.deviceBytes(tokens);
        }

        /** The bytes of host memory that full blocks use. */
        public double hostBytes() {
            return problem.hostBytes(tokens);
        }

        /** The tokens by form; forms without tokens have 0. */
        public Map<CacheForm, Double> tokensByForm() {
            Map<CacheForm, Double> byForm = new TreeMap<>();
            for (CacheForm form : CacheForm.all()) {
                byForm.put(form, 0.0);
            }
            for (int i = 0; i < tokens.size(); i++) {
                byForm.merge(problem.routes().get(i).form(), tokens.get(i), Double::sum);
            }
            return byForm;
        }
    }

    /**
     * The tokens do not fit.
     *
     * @param problem the problem
     * @param missingTokens the least number of tokens without memory
     * @param shortages each alone would make everything fit; no entry for a memory that no route may use
     */
    record DoesNotFit(PlacementProblem problem, double missingTokens, List<Shortage> shortages)
            implements PlacementSolution {
        public DoesNotFit {
            shortages = List.copyOf(shortages);
        }
    }

    /**
     * More of one memory that would make all tokens fit.
     *
     * @param memory the memory
     * @param missingBytes how much more, with the other budget unchanged
     */
    record Shortage(CacheForm.Place memory, double missingBytes) {}
}
