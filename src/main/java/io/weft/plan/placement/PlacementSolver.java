package io.weft.plan.placement;

import io.weft.model.CacheForm.Place;
import io.weft.plan.placement.PlacementSolution.DoesNotFit;
import io.weft.plan.placement.PlacementSolution.Placed;
import io.weft.plan.placement.PlacementSolution.Shortage;
import io.weft.plan.step.Lane;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Solves placement problems exactly, by checking every corner. With n routes the unknowns are x_1 … x_n and t; a linear
 * programme that has a solution has one where n + 1 constraints are equalities (Σ x = tokens is always one). About ten
 * constraints make a few hundred corners. Among the fastest corners the one with the least host memory wins, then the
 * least device memory.
 */
public final class PlacementSolver {
    /** The tolerance of quantities that are scaled to about 1. */
    private static final double TOLERANCE = 1e-9;

    private final PlacementProblem problem;
    private final int routes;
    /** The units of tokens and times in the programme. */
    private final double tokenScale;

    private final double nanosScale;

    /** Prepares a problem. */
    public PlacementSolver(PlacementProblem problem) {
        this.problem = problem;
        this.routes = problem.routes().size();
        this.tokenScale = Math.max(1, problem.tokens());
        double longest = 0;
        for (int i = 0; i < routes; i++) {
            longest = Math.max(longest, problem.stepNanos(allOn(i)));
        }
        this.nanosScale = longest == 0 ? 1 : longest;
    }

    /** Finds the shortest step. */
    public PlacementSolution solve() {
        double[] least = new double[routes];
        double[] most = new double[routes];
        Arrays.fill(most, (double) problem.tokens());
        return result(best(least, most));
    }

    /**
     * Finds the shortest step with a whole number of tokens on every route, by branch and bound over {@link #solve}.
     */
    public PlacementSolution solveWhole() {
        double[] least = new double[routes];
        double[] most = new double[routes];
        Arrays.fill(most, (double) problem.tokens());
        return result(wholeBest(least, most, null));
    }

    private PlacementSolution result(@Nullable Corner corner) {
        return corner == null ? doesNotFit() : new Placed(problem, corner.tokens());
    }

    private List<Double> allOn(int route) {
        List<Double> tokens = new ArrayList<>();
        for (int i = 0; i < routes; i++) {
            tokens.add(i == route ? (double) problem.tokens() : 0.0);
        }
        return tokens;
    }

    /** A feasible point. */
    private record Corner(List<Double> tokens, double nanos, double hostBytes, double deviceBytes) {}

    /** Whether a corner is faster, or as fast with less host memory, or else with less device memory. */
    private static boolean isBetter(Corner corner, @Nullable Corner than) {
        if (than == null) {
            return true;
        }
        int nanos = compare(corner.nanos(), than.nanos());
        int hostBytes = compare(corner.hostBytes(), than.hostBytes());
        int deviceBytes = compare(corner.deviceBytes(), than.deviceBytes());
        return nanos < 0 || (nanos == 0 && (hostBytes < 0 || (hostBytes == 0 && deviceBytes < 0)));
    }

    /** Compares; values that differ only by rounding are equal. */
    private static int compare(double one, double other) {
        boolean isEqual = Math.abs(one - other) <= 1e-7 * Math.max(Math.abs(one), Math.abs(other));
        return isEqual ? 0 : Double.compare(one, other);
    }

    private @Nullable Corner wholeBest(double[] least, double[] most, @Nullable Corner best) {
        Corner relaxed = best(least, most);
        if (relaxed == null || !isBetter(relaxed, best)) {
            return best;
        }
        int fractional = -1;
        for (int i = 0; i < routes && fractional < 0; i++) {
            double tokens = relaxed.tokens().get(i);
            fractional = Math.abs(tokens - Math.rint(tokens)) > 1e-6 ? i : -1;
        }
        if (fractional < 0) {
            return corner(relaxed.tokens().stream().map(Math::rint).toList());
        }
        double tokens = relaxed.tokens().get(fractional);
        double[] mostBelow = most.clone();
        mostBelow[fractional] = Math.floor(tokens);
        double[] leastAbove = least.clone();
        leastAbove[fractional] = Math.ceil(tokens);
        return wholeBest(leastAbove, most, wholeBest(least, mostBelow, best));
    }

    private Corner corner(List<Double> tokens) {
        return new Corner(tokens, problem.stepNanos(tokens), problem.hostBytes(tokens), problem.deviceBytes(tokens));
    }

    /** The best corner with {@code least[i] ≤ x_i ≤ most[i]}; null if there is none. */
    private @Nullable Corner best(double[] least, double[] most) {
        List<double[]> constraints = constraints(least, most);
        double[] sum = new double[routes + 2];
        Arrays.fill(sum, 0, routes, 1);
        sum[routes + 1] = problem.tokens() / tokenScale;
        @Nullable Corner best = null;
        int[] chosen = new int[routes];
        for (int i = 0; i < routes; i++) {
            chosen[i] = i;
        }
        while (chosen != null) {
            double[] point = intersection(sum, constraints, chosen);
            if (point != null && isFeasible(point, constraints)) {
                Corner corner = corner(tokens(point, least, most));
                best = isBetter(corner, best) ? corner : best;
            }
            chosen = next(chosen, constraints.size());
        }
        return best;
    }

    /** Rounding must not leave the bounds. */
    private List<Double> tokens(double[] point, double[] least, double[] most) {
        List<Double> tokens = new ArrayList<>();
        for (int i = 0; i < routes; i++) {
            tokens.add(Math.clamp(point[i] * tokenScale, least[i], most[i]));
        }
        return tokens;
    }

    /** Rows (a_1 … a_n, a_t, b) of a·(x, t) ≤ b, scaled so that the largest coefficient is 1. */
    private List<double[]> constraints(double[] least, double[] most) {
        List<double[]> constraints = new ArrayList<>();
        for (Lane lane : Lane.values()) {
            double base = problem.baseNanos().getOrDefault(lane, 0.0);
            constraints.add(scaled(row(route -> route.nanos(lane) * tokenScale / nanosScale, -1, -base / nanosScale)));
        }
        constraints.add(scaled(row(route -> route.deviceBytes() * tokenScale, 0, problem.deviceBudgetBytes())));
        constraints.add(scaled(row(route -> route.hostBytes() * tokenScale, 0, problem.hostBudgetBytes())));
        for (int i = 0; i < routes; i++) {
            double[] above = new double[routes + 2];
            above[i] = -1;
            above[routes + 1] = -least[i] / tokenScale;
            constraints.add(above);
            // The sum already implies that no route has more than all tokens.
            if (most[i] < problem.tokens()) {
                double[] below = new double[routes + 2];
                below[i] = 1;
                below[routes + 1] = most[i] / tokenScale;
                constraints.add(below);
            }
        }
        return constraints;
    }

    private double[] row(ToDoubleFunction<Route> coefficient, double time, double bound) {
        double[] row = new double[routes + 2];
        for (int i = 0; i < routes; i++) {
            row[i] = coefficient.applyAsDouble(problem.routes().get(i));
        }
        row[routes] = time;
        row[routes + 1] = bound;
        return row;
    }

    private double[] scaled(double[] row) {
        double largest = 0;
        for (int i = 0; i <= routes; i++) {
            largest = Math.max(largest, Math.abs(row[i]));
        }
        if (largest > 0) {
            for (int i = 0; i < row.length; i++) {
                row[i] /= largest;
            }
        }
        return row;
    }

    /** The point where the sum and the chosen constraints are equalities; null if there is no single one. */
    private double @Nullable [] intersection(double[] sum, List<double[]> constraints, int[] chosen) {
        int size = routes + 1;
        double[][] matrix = new double[size][];
        matrix[0] = sum.clone();
        for (int i = 0; i < routes; i++) {
            matrix[i + 1] = constraints.get(chosen[i]).clone();
        }
        return solve(matrix, size);
    }

    /** Gaussian elimination with pivoting of (size) rows of size + 1; null if singular. */
    private static double @Nullable [] solve(double[][] matrix, int size) {
        for (int column = 0; column < size; column++) {
            int pivot = column;
            for (int row = column + 1; row < size; row++) {
                if (Math.abs(matrix[row][column]) > Math.abs(matrix[pivot][column])) {
                    pivot = row;
                }
            }
            if (Math.abs(matrix[pivot][column]) < 1e-12) {
                return null;
            }
            double[] swapped = matrix[pivot];
            matrix[pivot] = matrix[column];
            matrix[column] = swapped;
            for (int row = 0; row < size; row++) {
                double factor = row == column ? 0 : matrix[row][column] / matrix[column][column];
                if (factor != 0) {
                    for (int i = column; i <= size; i++) {
                        matrix[row][i] -= factor * matrix[column][i];
                    }
                }
            }
        }
        double[] solution = new double[size];
        for (int i = 0; i < size; i++) {
            solution[i] = matrix[i][size] / matrix[i][i];
        }
        return solution;
    }

    private boolean isFeasible(double[] point, List<double[]> constraints) {
        for (double[] constraint : constraints) {
            double left = 0;
            for (int i = 0; i <= routes; i++) {
                left += constraint[i] * point[i];
            }
            double right = constraint[routes + 1];
            if (left > right + TOLERANCE * Math.max(1, Math.abs(right))) {
                return false;
            }
        }
        return true;
    }

    /** The next choice of some of {@code of} things, in lexicographic order; null after the last. */
    private static int @Nullable [] next(int[] chosen, int of) {
        int[] next = chosen.clone();
        for (int i = next.length - 1; i >= 0; i--) {
            if (next[i] < of - next.length + i) {
                next[i]++;
                for (int j = i + 1; j < next.length; j++) {
                    next[j] = next[j - 1] + 1;
                }
                return next;
            }
        }
        return null;
    }

    private DoesNotFit doesNotFit() {
        double onDevice = capacity(Place.DEVICE);
        double onHost = capacity(Place.HOST);
        List<Shortage> shortages = new ArrayList<>();
        for (Place place : Place.values()) {
            double other = place == Place.DEVICE ? onHost : onDevice;
            leastBytes(place)
                    .ifPresent(bytes -> shortages.add(
                            new Shortage(place, (problem.tokens() - other) * bytes - budgetBytes(place))));
        }
        return new DoesNotFit(problem, problem.tokens() - onDevice - onHost, shortages);
    }

    /** The number of whole tokens that a memory can hold. */
    private double capacity(Place place) {
        OptionalDouble bytes = leastBytes(place);
        return bytes.isPresent() ? Math.floor(budgetBytes(place) / bytes.getAsDouble()) : 0;
    }

    private double budgetBytes(Place place) {
        return switch (place) {
            case DEVICE -> problem.deviceBudgetBytes();
            case HOST -> problem.hostBudgetBytes();
        };
    }

    private OptionalDouble leastBytes(Place place) {
        return problem.routes().stream()
                .filter(route -> route.form().place() == place)
                .mapToDouble(route -> switch (place) {
                    case DEVICE -> route.deviceBytes();
                    case HOST -> route.hostBytes();
                })
                .min();
    }

    /** The solution, if there is one. */
    public Optional<Placed> placed() {
        return switch (solve()) {
            case Placed placed -> Optional.of(placed);
            case DoesNotFit doesNotFit -> Optional.empty();
        };
    }
}
