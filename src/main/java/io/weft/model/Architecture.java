package io.weft.model;

import io.weft.device.Activation;
import io.weft.device.AttentionShape;
import io.weft.device.Norm;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntFunction;

/**
 * A model family's computation as a description that one pipeline runs: pre-norm attention and feed-forward with
 * residual connections. To add a family, write one {@link ModelFamily} that makes such a description from a
 * {@code config.json}.
 *
 * @param dimensions sizes
 * @param embedding token and learned position tables
 * @param positions how a token's place enters the attention
 * @param attentionScale factor on q·k
 * @param attentionWindow tokens a query sees at most, itself included; empty without a sliding window
 * @param normKind of every norm
 * @param feedForward the feed-forward network's form
 * @param wiring how attention and feed-forward join the residual stream
 * @param layer the tensors of layer i
 * @param finalNorm norm before the head
 * @param head rows of the output projection: (vocabulary, D)
 */
public record Architecture(
        ModelDimensions dimensions,
        EmbeddingTensors embedding,
        Positions positions,
        float attentionScale,
        OptionalInt attentionWindow,
        Norm.Kind normKind,
        FeedForward feedForward,
        Wiring wiring,
        IntFunction<LayerTensors> layer,
        NormTensors finalNorm,
        TensorRows head) {

    /** The attention of every layer over a cache. */
    public AttentionShape attentionShape(CacheGeometry geometry) {
        return new AttentionShape(
                dimensions.heads(),
                dimensions.keyValueHeads(),
                dimensions.headSize(),
                attentionScale,
                attentionWindow.orElse(Integer.MAX_VALUE),
                geometry.blockTokens(),
                geometry.cellTokens());
    }

    /** How a token's place enters the attention. */
    public sealed interface Positions {
        /** Learned vectors added to the embedding. */
        record Learned() implements Positions {}

        /**
         * Rotary positions.
         *
         * @param inverseFrequencies angle per position of each rotated pair of dimensions
         * @param magnitude factor on cosines and sines
         */
        record Rotary(List<Float> inverseFrequencies, float magnitude) implements Positions {
            public Rotary {
                inverseFrequencies = List.copyOf(inverseFrequencies);
            }
        }
    }

    /** The feed-forward network. */
    public sealed interface FeedForward {
        /** Its pointwise function. */
        Activation activation();

        /** {@code down(activation(up(x)))}. */
        record Plain(Activation activation) implements FeedForward {}

        /** {@code down(activation(gate(x)) · up(x))}; the first matrix holds the rows of the gate, then those of up. */
        record Gated(Activation activation) implements FeedForward {}
    }

    /** How attention and feed-forward join the residual stream. */
    public enum Wiring {
        /** {@code y = x + attention(norm1(x)); y + feedForward(norm2(y))}. */
        SEQUENTIAL,
        /** {@code x + attention(norm1(x)) + feedForward(norm2(x))}. */
        PARALLEL
    }

    /**
     * A run of rows of a stored tensor.
     *
     * @param tensor its name in the files
     * @param fromRow first row
     * @param rows number of rows
     */
    public record TensorRows(String tensor, int fromRow, int rows) {}

    /**
     * A matrix put together from stored rows.
     *
     * @param weight its rows (output features), in order
     * @param bias the same rows of the bias; empty for none
     */
    public record LinearTensors(List<TensorRows> weight, List<TensorRows> bias) {
        public LinearTensors {
            weight = List.copyOf(weight);
            bias = List.copyOf(bias);
        }
    }

    /**
     * A norm's tensors.
     *
     * @param gain (D)
     * @param bias (D), or empty
     */
    public record NormTensors(String gain, Optional<String> bias) {}

    /**
     * The embedding's tensors.
     *
     * @param tokens (vocabulary, D)
     * @param positions (positions, D), or empty without learned positions
     * @param positionOffset row that position 0 uses
     * @param scale factor on a token's row
     */
    public record EmbeddingTensors(String tokens, Optional<String> positions, int positionOffset, float scale) {}

    /**
     * The tensors of one layer.
     *
     * @param attentionNorm before attention; its output is the activation that the cache may store
     * @param query D to H·HD
     * @param keyValue D to 2·KVH·HD, K first
     * @param output H·HD to D
     * @param feedForwardNorm before the feed-forward network
     * @param feedForwardIn D to F (plain) or 2F (gated: gate, then up)
     * @param feedForwardOut F to D
     */
    public record LayerTensors(
            NormTensors attentionNorm,
            LinearTensors query,
            LinearTensors keyValue,
            LinearTensors output,
            NormTensors feedForwardNorm,
            LinearTensors feedForwardIn,
            LinearTensors feedForwardOut) {}
}
