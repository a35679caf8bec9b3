package io.weft.plan.placement;

import io.weft.model.CacheForm.Place;
import io.weft.plan.placement.PlacementProgramme.Row;
import io.weft.plan.placement.PlacementSolution.DoesNotFit;
import io.weft.plan.placement.PlacementSolution.Placed;
import io.weft.plan.placement.PlacementSolution.Shortage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Solves placement problems exactly. Among the fastest placements the one with the least host memory wins, then the
 * least device memory.
 */
public final class PlacementSolver {
    private final PlacementProblem problem;
    private final int routes;

    /** Prepares a problem. */
    public PlacementSolver(PlacementProblem problem) {
        this.problem = problem;
        this.routes = problem.routes().size();
    }

    /** Finds the shortest step. */
    public PlacementSolution solve() {
        return result(problem.tokens() == 0 ? new double[routes] : programme().best());
    }

    /** The solution, if there is one. */
    public Optional<Placed> placed() {
        return switch (solve()) {
            case Placed placed -> Optional.of(placed);
            case DoesNotFit doesNotFit -> Optional.empty();
        };
    }

    /** The time of the shortest step; empty if the tokens do not fit. */
    public OptionalDouble leastNanos() {
        return problem.tokens() == 0
                ? OptionalDouble.of(problem.stepNanos(list(new double[routes])))
                : programme().leastNanos();
    }

    /** Finds the shortest step with a whole number of tokens on every route. */
    public PlacementSolution solveWhole() {
        return result(problem.tokens() == 0 ? new double[routes] : programme().bestWhole());
    }

    private PlacementProgramme programme() {
        List<Row> lanes = problem.lanes().stream()
                .map(lane -> row(route -> route.nanos(lane), problem.baseNanos(lane)))
                .toList();
        return new PlacementProgramme(
                problem.tokens(),
                lanes,
                List.of(
                        row(Route::hostBytes, problem.hostBudgetBytes()),
                        row(Route::deviceBytes, problem.deviceBudgetBytes())));
    }

    private Row row(ToDoubleFunction<Route> perToken, double constant) {
        return new Row(problem.routes().stream().mapToDouble(perToken).toArray(), constant);
    }

    private PlacementSolution result(double @Nullable [] tokens) {
        return tokens == null ? doesNotFit() : new Placed(problem, list(tokens));
    }

    private static List<Double> list(double[] tokens) {
        return Arrays.stream(tokens).boxed().toList();
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
}
