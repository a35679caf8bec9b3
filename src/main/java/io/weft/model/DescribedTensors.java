package io.weft.model;

import io.weft.device.QuantisedTensor;
import io.weft.device.Tensor;
import io.weft.device.WeightEncoding;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.ModelSummary.StoredWeights;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Function;

/** The tensors of a description, each once. */
final class DescribedTensors implements Architecture.TensorVisitor {
    /** On a device, a scale and its zero take this, whatever the files have. */
    private static final int SCALE_BYTES = Float.BYTES;

    private final Architecture architecture;
    /** Their elements by name. */
    private final Map<String, Long> elements = new LinkedHashMap<>();

    private final Set<String> tables = new HashSet<>();
    private final Set<TensorRows> rows = new HashSet<>();
    /** The names of matrices, without the head. */
    private final Set<String> matrices = new HashSet<>();

    DescribedTensors(Architecture architecture) {
        this.architecture = architecture;
        architecture.visit(this);
        matrices.remove(architecture.head().rows().tensor());
    }

    @Override
    public void table(String name, int count, int columns) {
        tables.add(name);
        add(name, (long) count * columns);
    }

    @Override
    public void linear(LinearTensors tensors, int count, int columns) {
        for (TensorRows part : tensors.weight()) {
            matrices.add(part.tensor());
            add(part, columns);
        }
        tensors.bias().forEach(part -> add(part, 1));
    }

    /** Adds rows that were not counted yet, for another use or as a table. */
    private void add(TensorRows part, int columns) {
        if (rows.add(part) && !tables.contains(part.tensor())) {
            add(part.tensor(), (long) part.rows() * columns);
        }
    }

    private void add(String name, long more) {
        elements.merge(name, more, Long::sum);
    }

    @Override
    public void norm(NormTensors tensors, List<Integer> widths) {
        tensors.gain().ifPresent(name -> vector(name, widths.getFirst()));
        tensors.bias().ifPresent(name -> vector(name, widths.getFirst()));
    }

    @Override
    public void vector(String name, int count) {
        add(name, count);
    }

    Architecture architecture() {
        return architecture;
    }

    /** The number of elements. */
    long parameters() {
        return elements.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Their bytes by encoding, most first. */
    List<StoredWeights> stored(ModelFiles files) {
        return stored((name, count) -> files.storage(name));
    }

    /** What their bytes by encoding would be, most first. */
    List<StoredWeights> stored(RandomWeights weights) {
        return stored(weights::storage);
    }

    private List<StoredWeights> stored(BiFunction<String, Long, TensorStorage> storage) {
        Map<String, Long> bytes = new HashMap<>();
        Set<String> counted = new HashSet<>();
        elements.forEach((name, count) -> {
            TensorStorage one = storage.apply(name, count);
            one.bytes().forEach((part, size) -> {
                if (counted.add(part)) {
                    bytes.merge(one.encoding(), size, Long::sum);
                }
            });
        });
        return bytes.entrySet().stream()
                .map(entry -> new StoredWeights(entry.getKey(), entry.getValue()))
                .sorted(Comparator.comparingLong(StoredWeights::bytes)
                        .reversed()
                        .thenComparing(StoredWeights::encoding))
                .toList();
    }

    /** How many bits the elements of the layers' matrices take on a device. */
    WeightBits bits(ModelTensors tensors) {
        return bits(name -> bits(tensors.tensor(name)));
    }

    private static OptionalDouble bits(Tensor tensor) {
        if (!(tensor instanceof QuantisedTensor quantised)) {
            return OptionalDouble.empty();
        }
        WeightEncoding encoding = quantised.encoding();
        int columns = quantised.columns();
        long bytes = encoding.rowBytes(columns) + (long) encoding.groups(columns) * SCALE_BYTES;
        return OptionalDouble.of((double) Byte.SIZE * bytes / columns);
    }

    /** How many bits they take according to the configuration, without scales. */
    WeightBits bits(Quantisation quantisation) {
        return bits(quantisation::codeBits);
    }

    private WeightBits bits(Function<String, OptionalDouble> bitsOf) {
        long all = 0;
        long quantised = 0;
        double bits = 0;
        for (String matrix : matrices) {
            long count = elements.getOrDefault(matrix, 0L);
            OptionalDouble each = bitsOf.apply(matrix);
            all += count;
            if (each.isPresent()) {
                quantised += count;
                bits += count * each.getAsDouble();
            }
        }
        return quantised == 0 ? WeightBits.PLAIN : new WeightBits((double) quantised / all, bits / quantised);
    }
}
