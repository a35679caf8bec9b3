package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import java.util.Map;

/**
 * A way for a cached token to be stored and used: a column of the placement problem. A {@linkplain CacheForm form} says
 * what is stored, and where; the route adds the work of a step, lane by lane.
 *
 * @param form stored form
 * @param deviceBytes of one token in device memory, all layers
 * @param hostBytes of one token in host memory, all layers
 * @param laneNanos time that one token takes of each lane in a step, all layers; 0 for absent lanes
 */
public record Route(CacheForm form, double deviceBytes, double hostBytes, Map<Lane, Double> laneNanos) {
    public Route {
        laneNanos = Map.copyOf(laneNanos);
        requireAmount("deviceBytes", deviceBytes);
        requireAmount("hostBytes", hostBytes);
        laneNanos.forEach((lane, nanos) -> requireAmount(lane + " nanos", nanos));
    }

    private static void requireAmount(String name, double amount) {
        if (!(amount >= 0) || Double.isInfinite(amount)) {
            throw new IllegalArgumentException(name + " is " + amount + ", must be finite and not negative");
        }
    }

    /** The time that one token takes of a lane. */
    public double nanos(Lane lane) {
        return laneNanos.getOrDefault(lane, 0.0);
    }

    /** The times that one token takes of a decode step, in all layers. */
    interface TokenTimes {
        /** The time that a content takes of the link. */
        double linkNanos(Content content);

        /** The time to recompute K and V. */
        double recomputeNanos();

        /** The time to gather activations that lie on the device. */
        double gatherNanos();
    }

    /** The route of a form in a decode step: contents of the host cross the link, activations are recomputed. */
    static Route of(CacheForm form, CacheGeometry geometry, TokenTimes times) {
        Content content = form.content();
        double bytes = geometry.tokenBytes(content);
        double recompute = switch (content) {
            case KEY_VALUE -> 0;
            case ACTIVATION -> times.recomputeNanos();
        };
        return switch (form.place()) {
            case HOST ->
                new Route(form, 0, bytes, Map.of(Lane.LINK_IN, times.linkNanos(content), Lane.COMPUTE, recompute));
            case DEVICE -> {
                double gather = content == Content.ACTIVATION ? times.gatherNanos() : 0;
                yield new Route(form, bytes, 0, Map.of(Lane.COMPUTE, recompute + gather));
            }
        };
    }

    /**
     * The same with copies and recomputations of known size.
     *
     * @param copyTokens tokens of one copy
     * @param chunkTokens tokens of one recomputation
     */
    public static Route of(CacheForm form, CostModel costs, long copyTokens, long chunkTokens) {
        int layers = costs.geometry().cachedLayerCount();
        return of(form, costs.geometry(), new TokenTimes() {
            @Override
            public double linkNanos(Content content) {
                return layers * costs.linkNanosPerToken(content, copyTokens);
            }

            @Override
            public double recomputeNanos() {
                return layers * costs.recomputeNanosPerToken(chunkTokens);
            }

            @Override
            public double gatherNanos() {
                return layers * costs.gatherNanosPerToken(chunkTokens);
            }
        });
    }
}
