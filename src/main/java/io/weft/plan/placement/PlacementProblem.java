package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/**
 * How many tokens should take which route, so that a step is shortest:
 *
 * <pre>
 * minimise t   with   t ≥ base_lane + Σ nanos_lane,r · x_r   for every lane
 *                     Σ deviceBytes_r · x_r ≤ deviceBudgetBytes
 *                     Σ hostBytes_r · x_r ≤ hostBudgetBytes
 *                     Σ x_r = tokens,  x_r ≥ 0
 * </pre>
 *
 * @param routes to choose from
 * @param tokens to place
 * @param baseNanos time that a step takes of each lane in any case, for the new tokens and streamed weights
 * @param deviceBudgetBytes device memory for full blocks
 * @param hostBudgetBytes host memory for full blocks
 */
public record PlacementProblem(
        List<Route> routes,
        long tokens,
        Map<Lane, Double> baseNanos,
        double deviceBudgetBytes,
        double hostBudgetBytes) {
    public PlacementProblem {
        routes = List.copyOf(routes);
        baseNanos = Map.copyOf(baseNanos);
        if (routes.isEmpty()) {
            throw new IllegalArgumentException("a placement needs at least one route");
        }
        if (tokens < 0) {
            throw new IllegalArgumentException("tokens is " + tokens + ", must not be negative");
        }
        requireBudget("deviceBudgetBytes", deviceBudgetBytes);
        requireBudget("hostBudgetBytes", hostBudgetBytes);
    }

    private static void requireBudget(String name, double bytes) {
        if (!(bytes >= 0) || Double.isInfinite(bytes)) {
            throw new IllegalArgumentException(name + " is " + bytes + ", must be finite and not negative");
        }
    }

    /**
     * The problem of decode steps.
     *
     * @param forms that may be used
     * @param streamedWeightBytes weights that cross the link in every step
     */
    public static PlacementProblem decode(
            CostModel costs,
            DecodeLoad load,
            Collection<CacheForm> forms,
            long streamedWeightBytes,
            double deviceBudgetBytes,
            double hostBudgetBytes) {
        List<Route> routes = new ArrayList<>();
        for (CacheForm form : CacheForm.all()) {
            if (forms.contains(form) && costs.geometry().isUseful(form)) {
                routes.add(Route.of(form, costs, load.copyTokens(), Math.min(load.chunkTokens(), load.totalTokens())));
            }
        }
        double linkBase = costs.profile().linkIn().nanos(streamedWeightBytes);
        boolean nothingCrosses = forms.stream().anyMatch(CacheForm::isReadInPlace)
                && keyValueBytes(costs, load.totalTokens()) <= deviceBudgetBytes
                && streamedWeightBytes == 0;
        double computeBase = nothingCrosses
                ? costs.baseNanos(load.sequences(), load.totalTokens())
                : costs.baseNanosBesideLink(load.sequences(), load.totalTokens());
        return new PlacementProblem(
                routes,
                load.totalTokens(),
                Map.of(Lane.LINK_IN, linkBase, Lane.COMPUTE, computeBase),
                deviceBudgetBytes,
                hostBudgetBytes);
    }

    /**
     * The problem of one more sequence. It shares its steps with the running ones, whose lane times are fixed.
     *
     * @param tokens of the new sequence
     * @param chunkTokens staged tokens of a chunk
     */
    public static PlacementProblem admission(CostModel costs, Occupancy occupancy, int tokens, int chunkTokens) {
        long totalTokens = occupancy.tokens() + tokens;
        int copyTokens = Math.min(tokens, chunkTokens);
        long recomputed = Math.min(totalTokens, chunkTokens);
        double link = 0;
        boolean nothingCrosses = keyValueBytes(costs, tokens) <= occupancy.freeDeviceBytes()
                && occupancy.tokensByForm().keySet().stream().allMatch(form -> form.place() == Place.DEVICE);
        double compute = nothingCrosses
                ? costs.baseNanos(occupancy.sequences() + 1, totalTokens)
                : costs.baseNanosBesideLink(occupancy.sequences() + 1, totalTokens);
        for (Map.Entry<CacheForm, Long> entry : occupancy.tokensByForm().entrySet()) {
            Route route = Route.of(entry.getKey(), costs, copyTokens, recomputed);
            link += entry.getValue() * route.nanos(Lane.LINK_IN);
            compute += entry.getValue() * route.nanos(Lane.COMPUTE);
        }
        List<Route> routes = new ArrayList<>();
        for (CacheForm form : CacheForm.all()) {
            if (costs.geometry().isUseful(form)) {
                routes.add(Route.of(form, costs, copyTokens, recomputed));
            }
        }
        return new PlacementProblem(
                routes,
                tokens,
                Map.of(Lane.LINK_IN, link, Lane.COMPUTE, compute),
                occupancy.freeDeviceBytes(),
                occupancy.freeHostBytes());
    }

    private static double keyValueBytes(CostModel costs, long tokens) {
        return (double) tokens * costs.geometry().tokenBytes(Content.KEY_VALUE);
    }

    /** The lanes of a step. */
    public List<Lane> lanes() {
        return List.of(Lane.values());
    }

    /** The time that a step takes of a lane in any case. */
    public double baseNanos(Lane lane) {
        return baseNanos.getOrDefault(lane, 0.0);
    }

    /** The time of a step in which {@code tokens.get(i)} tokens take route i. */
    public double stepNanos(List<Double> tokens) {
        double longest = 0;
        for (Lane lane : lanes()) {
            longest = Math.max(longest, laneNanos(lane, tokens));
        }
        return longest;
    }

    /** The time that such a step takes of one lane. */
    public double laneNanos(Lane lane, List<Double> tokens) {
        double nanos = baseNanos(lane);
        for (int i = 0; i < routes.size(); i++) {
            nanos += routes.get(i).nanos(lane) * tokens.get(i);
        }
        return nanos;
    }

    double deviceBytes(List<Double> tokens) {
        double bytes = 0;
        for (int i = 0; i < routes.size(); i++) {
            bytes += routes.get(i).deviceBytes() * tokens.get(i);
        }
        return bytes;
    }

    double hostBytes(List<Double> tokens) {
        double bytes = 0;
        for (int i = 0; i < routes.size(); i++) {
            bytes += routes.get(i).hostBytes() * tokens.get(i);
        }
        return bytes;
    }
}
