package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.plan.machine.HardwareProfile;
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
        /** The time that an encoding takes of the link. */
        double linkNanos(Encoding encoding);

        /** The time to decode an encoding. */
        double decodeNanos(Encoding encoding);

        /** The time to recompute K and V. */
        double recomputeNanos();

        /** The time to gather activations that lie on the device. */
        double gatherNanos();
    }

    /**
     * The route of a form in a decode step: what is on the host crosses the link, codes are decoded, activations
     * recomputed.
     */
    static Route of(CacheForm form, CacheGeometry geometry, TokenTimes times) {
        Content content = form.content();
        Encoding encoding = form.encoding();
        double bytes = geometry.tokenBytes(encoding);
        double decode = encoding.isCoded() ? times.decodeNanos(encoding) : 0;
        double compute = decode
                + switch (content) {
                    case KEY_VALUE -> 0;
                    case ACTIVATION -> times.recomputeNanos();
                };
        return switch (form.place()) {
            case HOST ->
                new Route(form, 0, bytes, Map.of(Lane.LINK_IN, times.linkNanos(encoding), Lane.COMPUTE, compute));
            case DEVICE -> {
                double gather = form.isGathered() ? times.gatherNanos() : 0;
                yield new Route(form, bytes, 0, Map.of(Lane.COMPUTE, compute + gather));
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
            public double linkNanos(Encoding encoding) {
                return layers * costs.linkNanosPerToken(encoding, copyTokens);
            }

            @Override
            public double decodeNanos(Encoding encoding) {
                return layers * costs.decodeNanosPerToken(encoding, chunkTokens);
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

    /**
     * The same at the best rate that any size of copy or kernel has.
     *
     * @param copyTokensMost tokens of the largest copy
     * @param chunkTokensMost tokens of the largest recomputation
     */
    static Route atBestRates(CacheForm form, CostModel costs, long copyTokensMost, long chunkTokensMost) {
        CacheGeometry geometry = costs.geometry();
        HardwareProfile profile = costs.profile();
        int layers = geometry.cachedLayerCount();
        return of(form, geometry, new TokenTimes() {
            @Override
            public double linkNanos(Encoding encoding) {
                double layerBytes = geometry.tokenBytes(encoding) / layers;
                long bytesMost = (long) Math.ceil(copyTokensMost * layerBytes);
                return layers * layerBytes * profile.linkIn().leastNanosPerUnit(bytesMost);
            }

            @Override
            public double decodeNanos(Encoding encoding) {
                return layers * costs.leastDecodeNanosPerToken(encoding, chunkTokensMost);
            }

            @Override
            public double recomputeNanos() {
                return layers * profile.keyValues().leastNanosPerUnit(chunkTokensMost);
            }

            @Override
            public double gatherNanos() {
                long layerBytes = geometry.tokenLayerBytes(Content.ACTIVATION);
                return layers * layerBytes * profile.deviceCopy().leastNanosPerUnit(chunkTokensMost * layerBytes);
            }
        });
    }
}
