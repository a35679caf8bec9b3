package io.weft.plan.placement;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;
import org.ojalgo.optimisation.Optimisation;
import org.ojalgo.optimisation.linear.LinearSolver;

/**
 * A placement problem in numbers, for any number of routes, lanes and memories: it finds x and the least t with
 *
 * <pre>
 * t ≥ base_lane + Σ nanos_lane,r · x_r         for every lane
 *     Σ bytes_memory,r · x_r ≤ budget_memory   for every memory
 *     Σ x_r = tokens,  least_r ≤ x_r ≤ most_r
 * </pre>
 *
 * Of the fastest x it takes the one that needs least of the first memory, and of these the one that needs least of the
 * second, and so on.
 *
 * <p>ojAlgo's simplex method solves it. Amounts differ by many orders of magnitude, so it sees shares of the tokens and
 * of the longest time, and rows whose largest coefficient is 1. A budget that no x can exceed is left out.
 *
 * @param tokens to place, at least 1
 * @param lanes a row for each lane: nanoseconds of a token by route, and of a step in any case
 * @param memories a row for each memory: bytes of a token by route, and the budget
 */
record PlacementProgramme(long tokens, List<Row> lanes, List<Row> memories) {
    /** Tokens that differ from a whole number by no more than this are whole. */
    private static final double WHOLE = 1e-6;

    /** How far from optimal a point may be that counts as optimal, of quantities that are about 1. */
    private static final double SLACK = 1e-10;

    PlacementProgramme {
        lanes = List.copyOf(lanes);
        memories = List.copyOf(memories);
        if (tokens < 1 || lanes.isEmpty()) {
            throw new IllegalArgumentException("programme has %d tokens and %d lanes, must have at least one of each"
                    .formatted(tokens, lanes.size()));
        }
    }

    /**
     * A sum over the routes.
     *
     * @param perToken by route
     * @param constant what a lane has to do in any case, or what a memory holds
     */
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    record Row(double[] perToken, double constant) {
        double sum(double[] x) {
            double sum = 0;
            for (int i = 0; i < perToken.length; i++) {
                sum += perToken[i] * x[i];
            }
            return sum;
        }

        double largest() {
            double largest = 0;
            for (double amount : perToken) {
                largest = Math.max(largest, amount);
            }
            return largest;
        }
    }

    private static Optimisation.Options options() {
        Optimisation.Options options = new Optimisation.Options();
        // Of such small programmes, the tableau is as fast as the revised method, and needs no factors.
        options.linear().primal();
        return options;
    }

    int routes() {
        return lanes.getFirst().perToken().length;
    }

    /** The time of a step with x_r tokens on route r. */
    double nanos(double[] x) {
        double longest = 0;
        for (Row lane : lanes) {
            longest = Math.max(longest, lane.constant() + lane.sum(x));
        }
        return longest;
    }

    /** The least time; empty if the tokens do not fit. */
    OptionalDouble leastNanos() {
        double[] fastest = new Bounded(new double[routes()], unbounded()).fastest();
        return fastest == null ? OptionalDouble.empty() : OptionalDouble.of(nanos(fastest));
    }

    /** The best x; null if the tokens do not fit. */
    double @Nullable [] best() {
        return new Bounded(new double[routes()], unbounded()).best();
    }

    /** The best x of whole numbers, by branch and bound over {@link #best}; null if whole tokens do not fit. */
    double @Nullable [] bestWhole() {
        return bestWhole(new double[routes()], unbounded(), null);
    }

    /** The best whole x within bounds, if it is better than {@code best}, else that. */
    private double @Nullable [] bestWhole(double[] least, double[] most, double @Nullable [] best) {
        double[] relaxed = new Bounded(least, most).best();
        if (relaxed == null || !isBetter(relaxed, best)) {
            return best;
        }
        int fractional = -1;
        for (int i = 0; i < relaxed.length && fractional < 0; i++) {
            fractional = Math.abs(relaxed[i] - Math.rint(relaxed[i])) > WHOLE ? i : -1;
        }
        if (fractional < 0) {
            return Arrays.stream(relaxed).map(Math::rint).toArray();
        }
        double[] mostBelow = most.clone();
        mostBelow[fractional] = Math.floor(relaxed[fractional]);
        double[] leastAbove = least.clone();
        leastAbove[fractional] = Math.ceil(relaxed[fractional]);
        return bestWhole(leastAbove, most, bestWhole(least, mostBelow, best));
    }

    /** Whether a placement is faster, or as fast with less of the first memory, or else of the second, and so on. */
    private boolean isBetter(double[] x, double @Nullable [] than) {
        if (than == null) {
            return true;
        }
        int order = compare(nanos(x), nanos(than));
        for (Row memory : memories) {
            order = order == 0 ? compare(memory.sum(x), memory.sum(than)) : order;
        }
        return order < 0;
    }

    /** Compares; values that differ only by rounding are equal. */
    private static int compare(double one, double other) {
        boolean isEqual = Math.abs(one - other) <= 1e-7 * Math.max(Math.abs(one), Math.abs(other));
        return isEqual ? 0 : Double.compare(one, other);
    }

    private double[] unbounded() {
        double[] most = new double[routes()];
        Arrays.fill(most, (double) tokens);
        return most;
    }

    /**
     * The programme with bounds on x. Its variables are, by route, the share of the tokens above {@code least} that it
     * has room for, and t.
     */
    private final class Bounded {
        private final int routes = routes();
        private final double[] least;
        private final double[] most;
        /** By route: the most tokens above {@code least} that bounds and memories allow. */
        private final double[] room;
        /** The tokens above {@code least}. */
        private final double left;

        private final double nanosScale;
        /** Rows of (routes) coefficients and a bound. */
        private final List<double[]> bounds = new ArrayList<>();

        Bounded(double[] least, double[] most) {
            this.least = least;
            this.most = most;
            this.left = tokens - Arrays.stream(least).sum();
            this.room = new double[routes];
            for (int i = 0; i < routes; i++) {
                room[i] = room(i);
            }
            this.nanosScale = nanosScale();
            for (Row memory : memories) {
                addBound(memory, memory.constant());
            }
            for (int i = 0; i < routes; i++) {
                // The sum and the memories already imply that no route has more than they allow.
                if (room[i] > 0 && room[i] == most[i] - least[i]) {
                    double[] below = new double[routes + 1];
                    below[i] = 1;
                    below[routes] = 1;
                    bounds.add(below);
                }
            }
        }

        private double room(int route) {
            double room = Math.min(left, most[route] - least[route]);
            for (Row memory : memories) {
                if (memory.perToken()[route] > 0) {
                    room = Math.min(room, free(memory) / memory.perToken()[route]);
                }
            }
            return Math.max(0, room);
        }

        /** What {@code least} leaves of a memory; what only rounding takes from it is no lack. */
        private double free(Row memory) {
            double free = memory.constant() - memory.sum(least);
            return Math.abs(free) < SLACK * memory.constant() ? 0 : free;
        }

        /** The time of a step that takes one route only, the fastest: about what the best one takes. */
        private double nanosScale() {
            double shortest = Double.POSITIVE_INFINITY;
            for (int i = 0; i < routes; i++) {
                double longest = 0;
                for (Row lane : lanes) {
                    longest = Math.max(longest, lane.constant() + lane.perToken()[i] * tokens);
                }
                shortest = longest == 0 ? shortest : Math.min(shortest, longest);
            }
            return Double.isInfinite(shortest) ? 1 : shortest;
        }

        /** The coefficients of a row, and after them a zero. */
        private double[] coefficients(Row row) {
            double[] coefficients = new double[routes + 1];
            for (int i = 0; i < routes; i++) {
                coefficients[i] = row.perToken()[i] * room[i];
            }
            return coefficients;
        }

        /** Adds that {@code row} is {@code bound} at most, unless it always is. */
        private void addBound(Row row, double bound) {
            if (row.largest() * left > bound - row.sum(least)) {
                double[] coefficients = coefficients(row);
                coefficients[routes] = bound - row.sum(least);
                bounds.add(scaled(coefficients, largest(coefficients)));
            }
        }

        private double largest(double[] coefficients) {
            double largest = 0;
            for (int i = 0; i < routes; i++) {
                largest = Math.max(largest, coefficients[i]);
            }
            return largest;
        }

        private static double[] scaled(double[] row, double scale) {
            if (scale > 0) {
                for (int i = 0; i < row.length; i++) {
                    row[i] /= scale;
                }
            }
            return row;
        }

        private boolean isPossible() {
            return left >= 0 && memories.stream().allMatch(memory -> free(memory) >= 0);
        }

        double @Nullable [] best() {
            double[] best = fastest();
            if (best == null) {
                return null;
            }
            double nanos = nanos(best) * (1 + SLACK);
            for (Row lane : lanes) {
                addBound(lane, nanos - lane.constant());
            }
            for (Row memory : memories) {
                double bytes = memory.sum(best);
                if (bytes > memory.sum(least)) {
                    double[] objective = coefficients(memory);
                    double[] smaller = solved(builder(scaled(objective, largest(objective)), routes));
                    // At the edge of what is possible, rounding may make the programme impossible.
                    if (smaller != null && memory.sum(smaller) < bytes) {
                        best = smaller;
                    }
                }
                addBound(memory, memory.sum(best) * (1 + SLACK));
            }
            return best;
        }

        /** An x with the least time; null if there is none. */
        double @Nullable [] fastest() {
            if (!isPossible()) {
                return null;
            }
            double[] time = new double[routes + 1];
            time[routes] = 1;
            LinearSolver.Builder builder = builder(time, routes + 1);
            for (Row lane : lanes) {
                if (lane.largest() > 0 || lane.constant() > 0) {
                    double[] row = coefficients(lane);
                    row[routes] = -nanosScale;
                    double scale = Math.max(largest(row), nanosScale);
                    builder.inequality(-(lane.constant() + lane.sum(least)) / scale, scaled(row, scale));
                }
            }
            double[] fastest = solved(builder);
            return fastest == null ? tightest() : fastest;
        }

        /**
         * An x that fits if any does: each memory holds as many tokens of its smallest route as it can. Only these x
         * are left if the memories are just large enough, and the library may miss them. Null if it does not fit.
         */
        private double @Nullable [] tightest() {
            double[] x = least.clone();
            double rest = left;
            boolean[] isFull = new boolean[routes];
            for (int next = smallest(isFull); next >= 0 && rest > 0; next = smallest(isFull)) {
                isFull[next] = true;
                double taken = Math.min(rest, most[next] - least[next]);
                for (Row memory : memories) {
                    if (memory.perToken()[next] > 0) {
                        taken = Math.min(taken, (memory.constant() - memory.sum(x)) / memory.perToken()[next]);
                    }
                }
                x[next] += Math.max(0, taken);
                rest -= Math.max(0, taken);
            }
            return rest <= SLACK * tokens ? x : null;
        }

        /** The route with fewest bytes of those that may still take tokens; -1 if there is none. */
        private int smallest(boolean[] isFull) {
            int smallest = -1;
            for (int i = 0; i < routes; i++) {
                if (!isFull[i] && (smallest < 0 || bytes(i) < bytes(smallest))) {
                    smallest = i;
                }
            }
            return smallest;
        }

        private double bytes(int route) {
            return memories.stream()
                    .mapToDouble(memory -> memory.perToken()[route])
                    .sum();
        }

        /**
         * A programme of the bounds.
         *
         * @param variables of it: the routes, and perhaps t
         */
        private LinearSolver.Builder builder(double[] objective, int variables) {
            LinearSolver.Builder builder = LinearSolver.newBuilder(Arrays.copyOf(objective, variables));
            for (double[] bound : bounds) {
                double[] row = Arrays.copyOf(bound, variables);
                Arrays.fill(row, routes, variables, 0);
                builder.inequality(bound[routes], row);
            }
            double most = Math.max(Double.MIN_NORMAL, Arrays.stream(room).max().orElse(0));
            double[] sum = new double[variables];
            for (int i = 0; i < routes; i++) {
                sum[i] = room[i] / most;
            }
            builder.equality(left / most, sum);
            return builder;
        }

        private double @Nullable [] solved(LinearSolver.Builder builder) {
            Optimisation.Result result = builder.build(options()).solve();
            if (!result.getState().isOptimal()) {
                return null;
            }
            double[] x = new double[routes];
            for (int i = 0; i < routes; i++) {
                // Rounding must not leave the bounds.
                x[i] = Math.clamp(least[i] + result.doubleValue(i) * room[i], least[i], most[i]);
            }
            return x;
        }
    }
}
