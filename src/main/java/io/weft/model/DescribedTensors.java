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
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Function;

/** The tensors of a description, each once. */
final class DescribedTensors implements Architecture.TensorVisitor {
    /** On a device, a scale and its zero take this, whatever the files have. */
    private static final int SCALE_BYTES = Float.BYTES;

    private final Architecture architecture;
    private final Set<String> names = new LinkedHashSet<>();
    private final Set<String> tables = new HashSet<>();
    private final Set<TensorRows> rows = new HashSet<>();
    /** Elements of matrices by the tensors that hold them. */
    private final Map<String, Long> matrices = new HashMap<>();

    private long parameters;

    DescribedTensors(Architecture architecture) {
        this.architecture = architecture;
        architecture.visit(this);
        matrices.remove(architecture.head().rows().tensor());
    }

    @Override
    public void table(String name, int count, int columns) {
        names.add(name);
        tables.add(name);
        parameters += (long) count * columns;
    }

    @Override
    public void linear(LinearTensors tensors, int count, int columns) {
        for (TensorRows part : tensors.weight()) {
            long elements = (long) part.rows() * columns;
            if (isNew(part)) {
                parameters += elements;
                matrices.merge(part.tensor(), elements, Long::sum);
            }
        }
        for (TensorRows part : tensors.bias()) {
            parameters += isNew(part) ? part.rows() : 0;
        }
    }

    /** Whether it was not counted yet, for another use or as a table. */
    private boolean isNew(TensorRows part) {
        names.add(part.tensor());
        return rows.add(part) && !tables.contains(part.tensor());
    }

    @Override
    public void norm(NormTensors tensors, List<Integer> widths) {
        tensors.gain().ifPresent(name -> vector(name, widths.getFirst()));
        tensors.bias().ifPresent(name -> vector(name, widths.getFirst()));
    }

    @Override
    public void vector(String name, int elements) {
        names.add(name);
        parameters += elements;
    }

    Architecture architecture() {
        return architecture;
    }

    /** The number of elements. */
    long parameters() {
        return parameters;
    }

    /** Their bytes by encoding, most first. */
    List<StoredWeights> stored(Function<String, TensorStorage> storage) {
        Map<String, Long> bytes = new HashMap<>();
        Set<String> counted = new HashSet<>();
        for (String name : names) {
            TensorStorage one = storage.apply(name);
            one.bytes().forEach((part, size) -> {
                if (counted.add(part)) {
                    bytes.merge(one.encoding(), size, Long::sum);
                }
            });
        }
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
        long elements = 0;
        long quantised = 0;
        double bits = 0;
        for (Map.Entry<String, Long> matrix : matrices.entrySet()) {
            elements += matrix.getValue();
            OptionalDouble each = bitsOf.apply(matrix.getKey());
            if (each.isPresent()) {
                quantised += matrix.getValue();
                bits += matrix.getValue() * each.getAsDouble();
            }
        }
        return quantised == 0 ? WeightBits.PLAIN : new WeightBits((double) quantised / elements, bits / quantised);
    }
}
