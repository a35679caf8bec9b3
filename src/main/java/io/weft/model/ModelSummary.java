package io.weft.model;

import java.util.List;
import java.util.Optional;

/**
 * What a model is, for people and programs: plain values. It is made of descriptions and headers; no weight is read.
 *
 * @param modelType {@code model_type} of the configuration
 * @param parameters of the text model; a head that shares the embedding's table counts once
 * @param activeParameters of them without the experts that a token does not choose
 * @param hiddenSize D
 * @param vocabularySize rows of the token embedding
 * @param maxPositions tokens a sequence may have
 * @param norm its name: that of a layer norm or of an RMS norm
 * @param logitCap c in {@code c·tanh(logit / c)}; 0 for none
 * @param layers groups of equal layers, in the order of their first ones
 * @param weights their bytes by encoding, most first; empty if there are none
 * @param unusedBytes of the same files: what the text model does not use
 * @param missingWeights why there are no weights; empty if there are
 */
public record ModelSummary(
        String modelType,
        long parameters,
        long activeParameters,
        int hiddenSize,
        int vocabularySize,
        int maxPositions,
        String norm,
        float logitCap,
        List<Layers> layers,
        List<StoredWeights> weights,
        long unusedBytes,
        Optional<String> missingWeights) {
    public ModelSummary {
        layers = List.copyOf(layers);
        weights = List.copyOf(weights);
    }

    /**
     * Layers that compute the same.
     *
     * @param layers their indices, ascending
     * @param heads query heads
     * @param keyValueHeads heads of K and V
     * @param headSize elements of a head
     * @param windowTokens tokens that a query sees at most; 0 if it sees all
     * @param positions how a token's place enters, in words
     * @param norms where there are norms, in words
     * @param scoreCap c in {@code c·tanh(score / c)}; 0 for none
     * @param sinks whether a logit without a value takes part in each softmax
     * @param wiring {@code sequential}, {@code parallel}, or {@code norm of sum} if norms after attention and
     *     feed-forward network apply to the residual stream, too
     * @param gated whether a feed-forward network has a gate
     * @param feedForwardSize elements of the inner layer of the network that all tokens use; 0 if there is none
     * @param experts networks among which tokens choose; 0 if there are none
     * @param chosenExperts experts that a token chooses
     * @param expertSize elements of an expert's inner layer
     */
    public record Layers(
            List<Integer> layers,
            int heads,
            int keyValueHeads,
            int headSize,
            int windowTokens,
            String positions,
            List<String> norms,
            float scoreCap,
            boolean sinks,
            String wiring,
            boolean gated,
            int feedForwardSize,
            int experts,
            int chosenExperts,
            int expertSize) {
        public Layers {
            layers = List.copyOf(layers);
            norms = List.copyOf(norms);
        }

        Layers with(List<Integer> others) {
            return new Layers(
                    others,
                    heads,
                    keyValueHeads,
                    headSize,
                    windowTokens,
                    positions,
                    norms,
                    scoreCap,
                    sinks,
                    wiring,
                    gated,
                    feedForwardSize,
                    experts,
                    chosenExperts,
                    expertSize);
        }
    }

    /**
     * Weights with one encoding.
     *
     * @param encoding its name, such as {@code fp16} or {@code int4 by 128}
     * @param bytes as they are stored, with scales and zeros
     */
    public record StoredWeights(String encoding, long bytes) {}
}
