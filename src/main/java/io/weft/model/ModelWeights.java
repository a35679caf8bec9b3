package io.weft.model;

import io.weft.device.AttentionSinks;
import io.weft.device.Device;
import io.weft.device.Embedding;
import io.weft.device.ExpertWeights;
import io.weft.device.Experts;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import io.weft.device.Tensor;
import io.weft.device.WeightEncoding;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.ExpertTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Head;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.TensorRows;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A model's weights in a device's memory.
 *
 * @param architecture what they are for
 * @param embedding token and position tables; of tokens alone if these are projected
 * @param projected from a token's row to the residual stream, or empty
 * @param layers one entry a layer
 * @param finalNorm before the head, or empty
 * @param headProjection D to the width of {@code head}, or empty
 * @param head to the vocabulary
 * @param longRows if long sequences have positions of their own
 */
public record ModelWeights(
        Architecture architecture,
        Embedding embedding,
        Optional<Projected> projected,
        List<Layer> layers,
        Optional<Norm> finalNorm,
        Optional<Linear> headProjection,
        Linear head,
        Optional<LongRows> longRows) {
    public ModelWeights {
        layers = List.copyOf(layers);
    }

    /** How the first layer's attention is stored: models of equal sizes may differ in it. Empty if not quantised. */
    public Optional<WeightEncoding> encoding() {
        return layers.stream()
                .findFirst()
                .flatMap(layer -> layer.attention().output().encoding());
    }

    /**
     * Where rotary tables have the positions of long sequences.
     *
     * @param afterTokens the most tokens of a sequence that is not long
     * @param firstRow position 0 of long ones
     */
    public record LongRows(int afterTokens, int firstRow) {
        /** Where a sequence's position 0 is. */
        public int of(int maxTokens) {
            return maxTokens > afterTokens ? firstRow : 0;
        }
    }

    /**
     * What makes the residual stream of tokens' rows of another width.
     *
     * @param linear width to D
     * @param positions learned positions, looked up by position; empty without
     */
    public record Projected(Linear linear, Optional<Embedding> positions) {}

    /**
     * One layer; what is empty is not a part of it.
     *
     * @param scale factor on the residual stream at the end
     */
    public record Layer(
            Optional<Norm> attentionNorm,
            Attention attention,
            Optional<Norm> attentionOutNorm,
            Optional<Norm> feedForwardNorm,
            Network network,
            Optional<Norm> feedForwardOutNorm,
            float scale) {}

    /** See {@link Architecture.Attention}. */
    public record Attention(
            Optional<RotaryTable> rotary,
            Linear query,
            Linear keyValue,
            Linear output,
            Optional<Norm> queryNorm,
            Optional<Norm> keyNorm,
            Optional<Norm> valueNorm,
            Optional<AttentionSinks> sinks) {}

    /** A feed-forward network. */
    public sealed interface Network {
        /** One for all rows; see {@link FeedForward}. */
        record Dense(Linear in, Linear out) implements Network {}

        /** See {@link FeedForward.Experts}. */
        record Routed(Linear router, Experts experts, Optional<Dense> shared, Optional<Linear> sharedGate)
                implements Network {}
    }

    /** Receives the progress of loading. */
    @FunctionalInterface
    public interface Progress {
        void loaded(int layers, int allLayers);
    }

    /**
     * Loads a model's weights into a device's memory.
     *
     * @param positions positions that a rotary table must cover
     * @throws io.weft.device.OutOfMemoryBudgetException if they do not fit
     */
    public static ModelWeights load(ModelTensors tensors, Device device, int positions, Progress progress) {
        return new Loader(tensors, device, positions).load(progress);
    }

    private static final class Loader {
        private final ModelTensors tensors;
        private final Device device;
        private final int positions;
        private final Architecture architecture;
        /** Layers with equal positions share a table. */
        private final Map<Positions.Rotary, RotaryTable> tables = new HashMap<>();

        Loader(ModelTensors tensors, Device device, int positions) {
            this.tensors = tensors;
            this.device = device;
            this.positions = positions;
            this.architecture = tensors.architecture();
        }

        ModelWeights load(Progress progress) {
            int headSize = architecture.dimensions().most(LayerDimensions::headSize);
            if (headSize > device.headSizeMost()) {
                throw new ModelLoadException("the model has heads of %d elements, %s takes at most %d"
                        .formatted(headSize, device.info().name(), device.headSizeMost()));
            }
            List<Layer> layers = new ArrayList<>();
            int layerCount = architecture.layers().size();
            for (int i = 0; i < layerCount; i++) {
                layers.add(layer(architecture.layers().get(i), "layer " + i + " "));
                progress.loaded(i + 1, layerCount);
            }
            EmbeddingTensors embedding = architecture.embedding();
            Optional<Projected> projected = embedding.projection().map(projection -> projected(embedding, projection));
            Head head = architecture.head();
            return new ModelWeights(
                    architecture,
                    device.embedding(
                            tensors.tensor(embedding.tokens()),
                            projected.isPresent()
                                    ? null
                                    : embedding.positions().map(tensors::tensor).orElse(null),
                            embedding.positionOffset(),
                            embedding.scale()),
                    projected,
                    layers,
                    head.norm().map(this::norm),
                    head.projection().map(projection -> linear("head projection", projection)),
                    linear("head", head.linear()),
                    longRows());
        }

        private Projected projected(EmbeddingTensors embedding, LinearTensors projection) {
            int offset = embedding.positionOffset();
            return new Projected(
                    linear("embedding projection", projection),
                    embedding
                            .positions()
                            .map(tensors::tensor)
                            .map(table -> device.embedding(table.rows(offset, table.rows() - offset), null, 0, 1)));
        }

        private Layer layer(Architecture.Layer layer, String name) {
            return new Layer(
                    layer.attentionNorm().map(this::norm),
                    attention(layer.attention(), name),
                    layer.attentionOutNorm().map(this::norm),
                    layer.feedForwardNorm().map(this::norm),
                    network(layer.feedForward(), name),
                    layer.feedForwardOutNorm().map(this::norm),
                    layer.scale().map(scale -> tensors.tensor(scale).element(0)).orElse(1f));
        }

        private Attention attention(Architecture.Attention attention, String name) {
            int queryHeads = attention.heads();
            int keyHeads = attention.keyValueHeads();
            int headSize = attention.headSize();
            return new Attention(
                    rotary(attention.positions()),
                    linear(name + "query", attention.query()),
                    linear(name + "key and value", attention.keyValue()),
                    linear(name + "output", attention.output()),
                    attention.queryNorm().map(norm -> headNorm(norm, queryHeads, headSize)),
                    attention.keyNorm().map(norm -> headNorm(norm, keyHeads, headSize)),
                    attention.valueNorm().map(norm -> headNorm(norm, keyHeads, headSize)),
                    attention.sinks().map(sinks -> device.attentionSinks(tensors.tensor(sinks))));
        }

        private Network network(FeedForward network, String name) {
            return switch (network) {
                case FeedForward.Plain plain -> dense(plain.in(), plain.out(), name);
                case FeedForward.Gated gated -> dense(gated.in(), gated.out(), name);
                case FeedForward.Experts routed ->
                    new Network.Routed(
                            linear(name + "router", routed.router()),
                            device.experts(
                                    name + "experts",
                                    routed.experts().stream().map(this::expert).toList()),
                            routed.shared().map(shared -> dense(shared.in(), shared.out(), name + "shared ")),
                            routed.sharedGate().map(gate -> linear(name + "gate of the shared expert", gate)));
            };
        }

        private Network.Dense dense(LinearTensors in, LinearTensors out, String name) {
            return new Network.Dense(linear(name + "feed-forward in", in), linear(name + "feed-forward out", out));
        }

        private ExpertWeights expert(ExpertTensors expert) {
            return new ExpertWeights(
                    all(expert.in().weight()),
                    all(expert.in().bias()),
                    all(expert.out().weight()),
                    all(expert.out().bias()));
        }

        private List<Tensor> all(List<TensorRows> rows) {
            return rows.stream().map(tensors::rows).toList();
        }

        private Norm headNorm(HeadNorm norm, int heads, int headSize) {
            return norm.tensors().gain().isPresent()
                    ? norm(norm.tensors())
                    : device.norm(
                            architecture.normKind(),
                            switch (norm.span()) {
                                case HEAD -> headSize;
                                case ROW -> heads * headSize;
                            });
        }

        private Optional<RotaryTable> rotary(Positions places) {
            return switch (places) {
                case Positions.None none -> Optional.empty();
                case Positions.Rotary rotary ->
                    Optional.of(tables.computeIfAbsent(
                            rotary,
                            key -> device.rotaryTable(frequencies(key), key.magnitude(), positions, key.layout())));
            };
        }

        /** Those of long contexts come second, if there can be one. */
        private List<float[]> frequencies(Positions.Rotary rotary) {
            List<float[]> frequencies = new ArrayList<>();
            frequencies.add(toArray(rotary.inverseFrequencies()));
            rotary.longContext()
                    .filter(context -> context.afterTokens() < positions)
                    .ifPresent(context -> frequencies.add(toArray(context.inverseFrequencies())));
            return frequencies;
        }

        private Optional<LongRows> longRows() {
            for (Positions.Rotary rotary : tables.keySet()) {
                if (frequencies(rotary).size() > 1) {
                    return rotary.longContext().map(context -> new LongRows(context.afterTokens(), positions));
                }
            }
            return Optional.empty();
        }

        private Norm norm(NormTensors norm) {
            return norm.gain().isEmpty()
                    ? device.norm(
                            architecture.normKind(), architecture.dimensions().hiddenSize())
                    : device.norm(
                            architecture.normKind(),
                            tensors.tensor(norm.gain().get()),
                            norm.bias().map(tensors::tensor).orElse(null));
        }

        private Linear linear(String purpose, LinearTensors linear) {
            return device.linear(purpose, all(linear.weight()), all(linear.bias()));
        }

        private static float[] toArray(List<Float> values) {
            float[] array = new float[values.size()];
            for (int i = 0; i < array.length; i++) {
                array[i] = values.get(i);
            }
            return array;
        }
    }
}
