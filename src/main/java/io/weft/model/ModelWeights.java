package io.weft.model;

import io.weft.device.Device;
import io.weft.device.Embedding;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Head;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.Positions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A model's weights in a device's memory.
 *
 * @param architecture what they are for
 * @param embedding token and position tables
 * @param layers one entry a layer
 * @param finalNorm before the head, or empty
 * @param head D to vocabulary
 */
public record ModelWeights(
        Architecture architecture, Embedding embedding, List<Layer> layers, Optional<Norm> finalNorm, Linear head) {
    public ModelWeights {
        layers = List.copyOf(layers);
    }

    /** One layer; what is empty is not a part of it. */
    public record Layer(
            Optional<RotaryTable> rotary,
            Optional<Norm> attentionNorm,
            Linear query,
            Linear keyValue,
            Linear output,
            Optional<Norm> feedForwardNorm,
            Linear feedForwardIn,
            Linear feedForwardOut) {}

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
            List<Layer> layers = new ArrayList<>();
            int layerCount = architecture.layers().size();
            for (int i = 0; i < layerCount; i++) {
                layers.add(layer(architecture.layers().get(i), "layer " + i + " "));
                progress.loaded(i + 1, layerCount);
            }
            EmbeddingTensors embedding = architecture.embedding();
            Head head = architecture.head();
            return new ModelWeights(
                    architecture,
                    device.embedding(
                            tensors.tensor(embedding.tokens()),
                            embedding.positions().map(tensors::tensor).orElse(null),
                            embedding.positionOffset(),
                            embedding.scale()),
                    layers,
                    head.norm().map(this::norm),
                    device.linear("head", List.of(tensors.rows(head.rows())), List.of()));
        }

        private Layer layer(Architecture.Layer layer, String name) {
            Architecture.Attention attention = layer.attention();
            LinearTensors in = switch (layer.feedForward()) {
                case FeedForward.Plain plain -> plain.in();
                case FeedForward.Gated gated -> gated.in();
            };
            LinearTensors out = switch (layer.feedForward()) {
                case FeedForward.Plain plain -> plain.out();
                case FeedForward.Gated gated -> gated.out();
            };
            return new Layer(
                    rotary(attention.positions()),
                    layer.attentionNorm().map(this::norm),
                    linear(name + "query", attention.query()),
                    linear(name + "key and value", attention.keyValue()),
                    linear(name + "output", attention.output()),
                    layer.feedForwardNorm().map(this::norm),
                    linear(name + "feed-forward in", in),
                    linear(name + "feed-forward out", out));
        }

        private Optional<RotaryTable> rotary(Positions places) {
            return switch (places) {
                case Positions.None none -> Optional.empty();
                case Positions.Rotary rotary ->
                    Optional.of(tables.computeIfAbsent(
                            rotary,
                            key -> device.rotaryTable(toArray(key.inverseFrequencies()), key.magnitude(), positions)));
            };
        }

        private Norm norm(NormTensors norm) {
            return device.norm(
                    architecture.normKind(),
                    norm.gain().map(tensors::tensor).orElseThrow(),
                    norm.bias().map(tensors::tensor).orElse(null));
        }

        private Linear linear(String purpose, LinearTensors linear) {
            return device.linear(
                    purpose,
                    linear.weight().stream().map(tensors::rows).toList(),
                    linear.bias().stream().map(tensors::rows).toList());
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
