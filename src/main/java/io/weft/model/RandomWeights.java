package io.weft.model;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.device.ElementType;
import io.weft.device.RandomTensor;
import io.weft.device.Tensor;
import io.weft.model.Architecture.LayerTensors;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.TensorRows;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A well-known model's shape with random weights, for benchmarks without files. The same preset has the same weights on
 * every machine. Matrices have variance 1 / columns, so that activations neither die nor explode.
 */
public final class RandomWeights implements ModelTensors {
    private static final double LLAMA_3_ROPE_THETA = 500_000;
    private static final double LLAMA_2_ROPE_THETA = 10_000;
    private static final float EMBEDDING_SCALE = 0.5f;

    private final Architecture architecture;
    private final Map<String, List<Integer>> shapes = new HashMap<>();

    /** @param positions tokens a sequence may have; more than the preset's own are made up as well */
    public RandomWeights(ModelPreset preset, int positions) {
        ConfigReader config = new ConfigReader(Path.of("preset " + preset.label()), configuration(preset, positions));
        ModelFamily family = switch (preset.dimensions().feedForward()) {
            case PLAIN -> new OptFamily();
            case GATED -> new LlamaFamily();
        };
        this.architecture = family.describe(FamilyDefaults.complete(config));
        describeShapes();
    }

    private static ObjectNode configuration(ModelPreset preset, int positions) {
        ModelDimensions dimensions = preset.dimensions();
        ObjectNode config = new ObjectMapper()
                .createObjectNode()
                .put("num_hidden_layers", dimensions.layers())
                .put("hidden_size", dimensions.hiddenSize())
                .put("num_attention_heads", dimensions.heads())
                .put("vocab_size", dimensions.vocabularySize())
                .put("max_position_embeddings", Math.max(positions, dimensions.maxPositions()));
        return switch (dimensions.feedForward()) {
            case PLAIN -> config.put("model_type", "opt").put("ffn_dim", dimensions.feedForwardSize());
            case GATED ->
                config.put("model_type", "llama")
                        .put("intermediate_size", dimensions.feedForwardSize())
                        .put("num_key_value_heads", dimensions.keyValueHeads())
                        .put("head_dim", dimensions.headSize())
                        .put("rms_norm_eps", 1e-5)
                        .put(
                                "rope_theta",
                                dimensions.keyValueHeads() < dimensions.heads()
                                        ? LLAMA_3_ROPE_THETA
                                        : LLAMA_2_ROPE_THETA);
        };
    }

    private void describeShapes() {
        ModelDimensions dimensions = architecture.dimensions();
        int hidden = dimensions.hiddenSize();
        shapes.put(architecture.embedding().tokens(), List.of(dimensions.vocabularySize(), hidden));
        architecture
                .embedding()
                .positions()
                .ifPresent(name -> shapes.put(
                        name,
                        List.of(
                                dimensions.maxPositions()
                                        + architecture.embedding().positionOffset(),
                                hidden)));
        shapes.put(architecture.head().tensor(), List.of(dimensions.vocabularySize(), hidden));
        norm(architecture.finalNorm(), hidden);
        for (int i = 0; i < dimensions.layers(); i++) {
            LayerTensors layer = architecture.layer().apply(i);
            norm(layer.attentionNorm(), hidden);
            linear(layer.query(), hidden);
            linear(layer.keyValue(), hidden);
            linear(layer.output(), dimensions.queryWidth());
            norm(layer.feedForwardNorm(), hidden);
            linear(layer.feedForwardIn(), hidden);
            linear(layer.feedForwardOut(), dimensions.feedForwardSize());
        }
    }

    private void norm(NormTensors norm, int width) {
        shapes.put(norm.gain(), List.of(width));
        norm.bias().ifPresent(name -> shapes.put(name, List.of(width)));
    }

    private void linear(LinearTensors linear, int columns) {
        linear.weight()
                .forEach(part -> shapes.merge(
                        part.tensor(),
                        List.of(part.fromRow() + part.rows(), columns),
                        (a, b) -> a.getFirst() > b.getFirst() ? a : b));
        linear.bias().forEach(part -> shapes.put(part.tensor(), List.of(part.fromRow() + part.rows())));
    }

    @Override
    public Architecture architecture() {
        return architecture;
    }

    @Override
    public ElementType storedType() {
        return ElementType.F16;
    }

    @Override
    public Tensor tensor(String name) {
        List<Integer> shape = shapes.get(name);
        if (shape == null) {
            throw new ModelLoadException("random weights have no tensor " + name);
        }
        return random(name, shape, 0);
    }

    @Override
    public Tensor rows(TensorRows rows) {
        Tensor whole = tensor(rows.tensor());
        if (whole.shape().size() == 1) {
            return random(rows.tensor(), List.of(rows.rows()), rows.fromRow());
        }
        return random(rows.tensor(), List.of(rows.rows(), whole.columns()), (long) rows.fromRow() * whole.columns());
    }

    private RandomTensor random(String name, List<Integer> shape, long firstElement) {
        // Each tensor has its own 2^32 numbers.
        long seed = ((long) name.hashCode() << Integer.SIZE) + firstElement;
        if (shape.size() == 1) {
            boolean gain = name.contains("norm") && name.endsWith(".weight");
            return new RandomTensor(name, shape, seed, gain ? 1 : 0, 0);
        }
        boolean embedding = name.contains("embed");
        float scale = embedding ? EMBEDDING_SCALE : (float) Math.sqrt(3.0 / shape.get(1));
        return new RandomTensor(name, shape, seed, 0, scale);
    }

    @Override
    public void close() {}
}
