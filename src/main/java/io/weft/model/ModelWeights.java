package io.weft.model;

import io.weft.device.Device;
import io.weft.device.Embedding;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.LayerTensors;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.Positions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A model's weights in a device's memory.
 *
 * @param architecture what they are for
 * @param embedding token and position tables
 * @param rotary the rotary table, or empty with learned positions
 * @param layers one entry a layer
 * @param finalNorm before the head
 * @param head D to vocabulary
 */
public record ModelWeights(
        Architecture architecture,
        Embedding embedding,
        Optional<RotaryTable> rotary,
        List<Layer> layers,
        Norm finalNorm,
        Linear head) {
    public ModelWeights {
        layers = List.copyOf(layers);
    }

    /** One layer; shapes as in {@link Architecture.LayerTensors}. */
    public record Layer(
            Norm attentionNorm,
            Linear query,
            Linear keyValue,
            Linear output,
            Norm feedForwardNorm,
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
        Architecture architecture = tensors.architecture();
        EmbeddingTensors embedding = architecture.embedding();
        Optional<RotaryTable> rotary = switch (architecture.positions()) {
            case Positions.Learned learned -> Optional.empty();
            case Positions.Rotary(List<Float> frequencies, float magnitude) ->
                Optional.of(device.rotaryTable(toArray(frequencies), magnitude, positions));
        };
        List<Layer> layers = new ArrayList<>();
        int layerCount = architecture.dimensions().layers();
        for (int i = 0; i < layerCount; i++) {
            layers.add(layer(tensors, device, architecture, i));
            progress.loaded(i + 1, layerCount);
        }
        return new ModelWeights(
                architecture,
                device.embedding(
                        tensors.tensor(embedding.tokens()),
                        embedding.positions().map(tensors::tensor).orElse(null),
                        embedding.positionOffset(),
                        embedding.scale()),
                rotary,
                layers,
                norm(tensors, device, architecture, architecture.finalNorm()),
                device.linear("head", List.of(tensors.rows(architecture.head())), List.of()));
    }

    private static Layer layer(ModelTensors tensors, Device device, Architecture architecture, int index) {
        LayerTensors layer = architecture.layer().apply(index);
        String name = "layer " + index + " ";
        return new Layer(
                norm(tensors, device, architecture, layer.attentionNorm()),
                linear(tensors, device, name + "query", layer.query()),
                linear(tensors, device, name + "key and value", layer.keyValue()),
                linear(tensors, device, name + "output", layer.output()),
                norm(tensors, device, architecture, layer.feedForwardNorm()),
                linear(tensors, device, name + "feed-forward in", layer.feedForwardIn()),
                linear(tensors, device, name + "feed-forward out", layer.feedForwardOut()));
    }

    private static Norm norm(ModelTensors tensors, Device device, Architecture architecture, NormTensors norm) {
        return device.norm(
                architecture.normKind(),
                tensors.tensor(norm.gain()),
                norm.bias().map(tensors::tensor).orElse(null));
    }

    private static Linear linear(ModelTensors tensors, Device device, String purpose, LinearTensors linear) {
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
