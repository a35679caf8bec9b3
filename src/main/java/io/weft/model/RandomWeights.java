package io.weft.model;

import io.weft.device.ElementType;
import io.weft.device.QuantisedTensor;
import io.weft.device.RandomCodes;
import io.weft.device.RandomTensor;
import io.weft.device.Tensor;
import io.weft.device.WeightEncoding;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.TensorRows;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A well-known model's shape with random weights, for benchmarks without files. The same preset has the same weights on
 * every machine. Matrices have variance 1 / columns, so that activations neither die nor explode.
 */
public final class RandomWeights implements ModelTensors {
    private static final float EMBEDDING_SCALE = 0.5f;

    private final Architecture architecture;
    private final PresetWeights weights;
    private final String description;
    private final Map<String, List<Integer>> shapes = new HashMap<>();
    private final Set<String> matrices = new HashSet<>();

    /** @param positions tokens a sequence may have; more than the preset's own are made up as well */
    public RandomWeights(ModelPreset preset, PresetWeights weights, int positions) {
        this.weights = weights;
        this.description = "random %s %s %d".formatted(preset.label(), weights, positions);
        this.architecture = preset.architecture(positions);
        architecture.visit(new Architecture.TensorVisitor() {
            @Override
            public void table(String name, int rows, int columns) {
                shapes.put(name, List.of(rows, columns));
            }

            @Override
            public void linear(LinearTensors tensors, int rows, int columns) {
                tensors.weight().forEach(part -> matrices.add(part.tensor()));
                tensors.weight()
                        .forEach(part -> largest(part.tensor(), List.of(part.fromRow() + part.rows(), columns)));
                tensors.bias().forEach(part -> largest(part.tensor(), List.of(part.fromRow() + part.rows())));
            }

            @Override
            public void norm(NormTensors tensors, List<Integer> widths) {
                tensors.gain().ifPresent(name -> shapes.put(name, List.of(widths.getFirst())));
                tensors.bias().ifPresent(name -> shapes.put(name, List.of(widths.getFirst())));
            }

            @Override
            public void vector(String name, int elements) {
                shapes.put(name, List.of(elements));
            }
        });
        matrices.remove(architecture.head().rows().tensor());
    }

    /** Parts of a tensor tell how many rows it has at least. */
    private void largest(String name, List<Integer> shape) {
        shapes.merge(name, shape, (a, b) -> a.getFirst() > b.getFirst() ? a : b);
    }

    @Override
    public Architecture architecture() {
        return architecture;
    }

    @Override
    public byte[] fingerprint() {
        return ModelFiles.sha256().digest(description.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public ElementType storedType() {
        return weights.elementType();
    }

    @Override
    public Tensor tensor(String name) {
        List<Integer> shape = shapes.get(name);
        if (shape == null) {
            throw new ModelLoadException("random weights have no tensor " + name);
        }
        return random(name, name, shape);
    }

    @Override
    public Tensor rows(TensorRows rows) {
        Tensor tensor = tensor(rows.tensor());
        if (rows.isRun()) {
            return tensor.rows(rows.fromRow(), rows.rows());
        }
        // Any numbers will do: rows that are interleaved, or are columns, have some of their own.
        List<Integer> shape = new ArrayList<>(tensor.shape());
        shape.set(0, rows.rows());
        return random(rows.tensor(), rows.toString(), shape);
    }

    private Tensor random(String name, String seededBy, List<Integer> shape) {
        // Each tensor has its own 2^32 numbers.
        long seed = (long) seededBy.hashCode() << Integer.SIZE;
        if (shape.size() == 1) {
            boolean gain = name.contains("norm") && name.endsWith(".weight");
            return new RandomTensor(
                    name, shape, seed, gain ? 1 - architecture.normKind().gainOffset() : 0, 0);
        }
        int columns = shape.get(1);
        Optional<WeightEncoding> encoding = matrices.contains(name) ? weights.encoding(columns) : Optional.empty();
        if (encoding.isPresent()) {
            return RandomCodes.tensor(name, shape.getFirst(), columns, encoding.get(), seed, Math.sqrt(1.0 / columns));
        }
        boolean embedding = name.contains("embed");
        float scale = embedding ? EMBEDDING_SCALE : (float) Math.sqrt(3.0 / columns);
        return new RandomTensor(name, shape, seed, 0, scale);
    }

    /** How a tensor of {@code elements} elements would be stored; several matrices may share its name. */
    TensorStorage storage(String name, long elements) {
        Tensor tensor = tensor(name);
        if (!(tensor instanceof QuantisedTensor quantised)) {
            return new TensorStorage(
                    TensorStorage.name(weights.elementType().name()),
                    Map.of(name, elements * weights.elementType().bytes()));
        }
        WeightEncoding encoding = quantised.encoding();
        long rows = elements / quantised.columns();
        return new TensorStorage(encoding.label(), Map.of(name, rows * encoding.storedRowBytes(quantised.columns())));
    }

    @Override
    public void close() {}
}
