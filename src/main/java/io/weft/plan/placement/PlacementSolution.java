package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.plan.step.Lane;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** The answer to a {@link PlacementProblem}. */
public sealed interface PlacementSolution {
    /**
     * A shortest step.
     *
     * @param problem that was solved
     * @param tokens that take each route, in the order of the problem's routes
     */
    record Placed(PlacementProblem problem, List<Double> tokens) implements PlacementSolution {
        public Placed {
            tokens = List.copyOf(tokens);
        }

        /** How long the step takes. */
        public double stepNanos() {
            return problem.stepNanos(tokens);
        }

        /** Time that it takes of a lane. */
        public double laneNanos(Lane lane) {
            return problem.laneNanos(lane, tokens);
        }

        /** Device memory that is used for full blocks. */
        public double deviceBytes() {
            return problem.deviceBytes(tokens);
        }

        /** Host memory that is used for full blocks. */
        public double hostBytes() {
            return problem.hostBytes(tokens);
        }

        /** Tokens by form; forms without tokens are there with 0. */
        public Map<CacheForm, Double> tokensByForm() {
            Map<CacheForm, Double> byForm = new EnumMap<>(CacheForm.class);
            for (CacheForm form : CacheForm.values()) {
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
     * @param problem that was to be solved
     * @param missingTokens how many at least are left without memory
     * @param shortages each would be enough to make all fit: empty for a memory that no route may use
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
     * @param memory which
     * @param missingBytes how much more, the other budget staying as it is
     */
    record Shortage(CacheForm.Place memory, double missingBytes) {}
}
