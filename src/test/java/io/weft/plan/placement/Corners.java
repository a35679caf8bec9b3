package io.weft.plan.placement;

import io.weft.plan.placement.PlacementProgramme.Row;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Solves a programme by checking every corner, which takes long and is easy to believe. With n routes the unknowns are
 * x_1 … x_n and t; a linear programme that has a solution has one where n + 1 constraints are equalities (Σ x = tokens
 * is always one).
 */
final class Corners {
    /** The tolerance of quantities that are scaled to about 1. */
    private static final double TOLERANCE = 1e-9;

    private final PlacementProgramme programme;
    private final int routes;
    /** Rows (a_1 … a_n, a_t, b) of a·(x, t) ≤ b; x are shares of the tokens, t of the longest time. */
    private final List<double[]> constraints = new ArrayList<>();

    private Corners(PlacementProgramme programme) {
        this.programme = programme;
        this.routes = programme.routes();
        double longest = 1e-9;
        for (Row lane : programme.lanes()) {
            longest = Math.max(longest, lane.constant() + lane.largest() * programme.tokens());
        }
        for (Row lane : programme.lanes()) {
            add(lane, programme.tokens() / longest, -1, -lane.constant() / longest);
        }
        for (Row memory : programme.memories()) {
            add(memory, programme.tokens(), 0, memory.constant());
        }
        for (int i = 0; i < routes; i++) {
            double[] notNegative = new double[routes + 2];
            notNegative[i] = -1;
            constraints.add(notNegative);
        }
    }

    private void add(Row row, double scale, double time, double bound) {
        double[] constraint = new double[routes + 2];
        for (int i = 0; i < routes; i++) {
            constraint[i] = row.perToken()[i] * scale;
        }
        constraint[routes] = time;
        constraint[routes + 1] = bound;
        double largest =
                Arrays.stream(constraint, 0, routes + 1).map(Math::abs).max().orElseThrow();
        if (largest > 0) {
            constraints.add(
                    Arrays.stream(constraint).map(value -> value / largest).toArray());
        }
    }

    /** The fastest x, then of those the one with least of the first memory, and so on; null if nothing fits. */
    static double[] best(PlacementProgramme programme) {
        return new Corners(programme).best();
    }

    private double[] best() {
        double[] best = null;
        int[] chosen = new int[routes];
        for (int i = 0; i < routes; i++) {
            chosen[i] = i;
        }
        while (chosen != null) {
            double[] point = intersection(chosen);
            if (point != null && isFeasible(point)) {
                double[] x = Arrays.stream(point, 0, routes)
                        .map(share -> Math.clamp(share, 0, 1) * programme.tokens())
                        .toArray();
                best = best == null || compare(programme, x, best) < 0 ? x : best;
            }
            chosen = next(chosen, constraints.size());
        }
        return best;
    }

    /** Compares by time, then by memories; values that differ only by rounding are equal. */
    static int compare(PlacementProgramme programme, double[] one, double[] other) {
        int result = compare(programme.nanos(one), programme.nanos(other));
        for (Row memory : programme.memories()) {
            result = result == 0 ? compare(memory.sum(one), memory.sum(other)) : result;
        }
        return result;
    }

    private static int compare(double one, double other) {
        boolean isEqual = Math.abs(one - other) <= 1e-7 * Math.max(Math.abs(one), Math.abs(other));
        return isEqual ? 0 : Double.compare(one, other);
    }

    /** The point where the sum and the chosen constraints are equalities; null if there is no single one. */
    private double[] intersection(int[] chosen) {
        double[][] matrix = new double[routes + 1][];
        matrix[0] = new double[routes + 2];
        Arrays.fill(matrix[0], 0, routes, 1);
        matrix[0][routes + 1] = 1;
        for (int i = 0; i < routes; i++) {
            matrix[i + 1] = constraints.get(chosen[i]).clone();
        }
        return solve(matrix, routes + 1);
    }

    /** Gaussian elimination with pivoting of (size) rows of size + 1; null if singular. */
    private static double[] solve(double[][] matrix, int size) {
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

    private boolean isFeasible(double[] point) {
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
    private static int[] next(int[] chosen, int of) {
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
}
