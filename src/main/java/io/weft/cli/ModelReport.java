package io.weft.cli;

import io.weft.model.KeyValueSource;
import io.weft.model.ModelSummary;
import io.weft.plan.whatif.PlanExplanation;
import java.util.List;

/**
 * What {@code weft models inspect} says.
 *
 * @param name of the model, as it was asked for
 * @param model what it is
 * @param cache what it caches
 * @param machine whence the machine of the plans is known
 * @param plans for some loads
 */
record ModelReport(String name, ModelSummary model, Cache cache, String machine, List<PlanExplanation> plans) {
    ModelReport {
        plans = List.copyOf(plans);
    }

    /**
     * What the model caches.
     *
     * @param elementBits of the cache's elements
     * @param layers layers that see all tokens; only these may be cached on the host
     * @param keyValueBytesPerToken in all these layers
     * @param source what K and V are made of
     * @param activationBytesPerToken of that, in all these layers
     * @param recomputationPays whether activations are smaller than K and V
     * @param encoding how full blocks are stored: exact, or the name of a lossy encoding
     * @param storedBytesPerToken K and V in that encoding, in all these layers
     * @param windowLayers layers with a window
     * @param windowTokens tokens of a window; 0 without such layers
     * @param windowBytesPerSequence K and V that they keep on the device, with room for a step's rows
     */
    record Cache(
            int elementBits,
            int layers,
            long keyValueBytesPerToken,
            KeyValueSource source,
            long activationBytesPerToken,
            boolean recomputationPays,
            String encoding,
            double storedBytesPerToken,
            int windowLayers,
            int windowTokens,
            long windowBytesPerSequence) {}
}
