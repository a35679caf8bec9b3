package io.weft.model;

import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.TensorRows;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Tensor names of PyTorch modules: a module's weight is {@code name.weight}, its bias {@code name.bias}. */
final class TensorNames {
    private static final String WEIGHT = ".weight";

    private TensorNames() {}

    /** The module of a weight. */
    static String module(String weight) {
        return weight.endsWith(WEIGHT) ? weight.substring(0, weight.length() - WEIGHT.length()) : weight;
    }

    /** Whether modules have a bias. */
    enum Bias {
        PRESENT,
        ABSENT;

        static Bias of(boolean present) {
            return present ? PRESENT : ABSENT;
        }
    }

    /** Some rows of a linear module. */
    record ModuleRows(String module, int fromRow, int rows) {}

    /** One linear module as a whole. */
    static LinearTensors linear(String module, int rows, Bias bias) {
        return linear(List.of(new ModuleRows(module, 0, rows)), bias);
    }

    /** Rows of linear modules, one below the other. */
    static LinearTensors linear(List<ModuleRows> parts, Bias bias) {
        List<TensorRows> weights = new ArrayList<>();
        List<TensorRows> biases = new ArrayList<>();
        for (ModuleRows part : parts) {
            weights.add(new TensorRows(part.module() + WEIGHT, part.fromRow(), part.rows()));
            if (bias == Bias.PRESENT) {
                biases.add(new TensorRows(part.module() + ".bias", part.fromRow(), part.rows()));
            }
        }
        return new LinearTensors(weights, biases);
    }

    /** The rows of logits: those of the embedding if the configuration ties them, else those of a module. */
    static TensorRows head(ConfigReader config, String embedding, String module, int vocabulary) {
        return new TensorRows(config.flag("tie_word_embeddings") ? embedding : module + WEIGHT, 0, vocabulary);
    }

    static NormTensors norm(String module, Bias bias) {
        return new NormTensors(
                Optional.of(module + WEIGHT), bias == Bias.PRESENT ? Optional.of(module + ".bias") : Optional.empty());
    }
}
