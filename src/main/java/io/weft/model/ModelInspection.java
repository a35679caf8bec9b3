package io.weft.model;

import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.ModelSummary.Layers;
import io.weft.model.ModelSummary.StoredWeights;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A look at a model: its configuration and the headers of its files. No weight is read, no device is started.
 *
 * @param summary for people and programs
 * @param dimensions for planning
 * @param weightBits of its layers; without weights, those that the configuration says, without scales
 */
public record ModelInspection(ModelSummary summary, ModelDimensions dimensions, WeightBits weightBits) {
    /**
     * Looks at a model. A directory without any weights is described by its configuration.
     *
     * @throws ModelLoadException if it could not be served for another reason, with one line that names file and cause
     */
    public static ModelInspection of(ModelSource source) {
        return switch (source) {
            case ModelSource.Random(ModelPreset preset, PresetWeights weights) -> {
                RandomWeights random = new RandomWeights(preset, weights, 1);
                DescribedTensors tensors = new DescribedTensors(random.architecture());
                yield of(
                        preset.modelType(), tensors, tensors.stored(random), 0, Optional.empty(), tensors.bits(random));
            }
            case ModelSource.Directory(Path path)
            when Weights.missing(path).isPresent() -> {
                ModelDescription description = ModelDescription.read(path);
                DescribedTensors tensors = new DescribedTensors(description.architecture());
                yield of(
                        description.modelType(),
                        tensors,
                        List.of(),
                        0,
                        Weights.missing(path),
                        tensors.bits(description.quantisation()));
            }
            case ModelSource.Directory _, ModelSource.Demo _ -> {
                try (ModelFiles files = ModelFiles.open(source)) {
                    DescribedTensors tensors = new DescribedTensors(files.architecture());
                    List<StoredWeights> stored = tensors.stored(files);
                    long used = stored.stream().mapToLong(StoredWeights::bytes).sum();
                    yield of(
                            files.modelType(),
                            tensors,
                            stored,
                            files.storedBytes() - used,
                            Optional.empty(),
                            tensors.bits(files));
                }
            }
        };
    }

    private static ModelInspection of(
            String modelType,
            DescribedTensors tensors,
            List<StoredWeights> stored,
            long unusedBytes,
            Optional<String> missing,
            WeightBits bits) {
        Architecture architecture = tensors.architecture();
        ModelDimensions dimensions = architecture.dimensions();
        return new ModelInspection(
                new ModelSummary(
                        modelType,
                        tensors.parameters(),
                        tensors.parameters() - unchosenParameters(architecture),
                        dimensions.hiddenSize(),
                        dimensions.vocabularySize(),
                        dimensions.maxPositions(),
                        switch (architecture.normKind()) {
                            case Norm.Kind.LayerNorm _ -> "layer";
                            case Norm.Kind.RmsNorm _ -> "rms";
                        },
                        architecture.head().cap(),
                        layers(architecture),
                        stored,
                        unusedBytes,
                        missing),
                dimensions,
                bits);
    }

    /** Parameters of the experts that a token does not choose. */
    private static long unchosenParameters(Architecture architecture) {
        long unchosen = 0;
        for (Layer layer : architecture.layers()) {
            if (layer.feedForward() instanceof FeedForward.Experts experts) {
                Architecture.ExpertTensors one = experts.experts().getFirst();
                long each = parameters(one.in(), architecture.dimensions().hiddenSize())
                        + parameters(one.out(), experts.size());
                unchosen += (experts.routing().experts() - experts.routing().chosen()) * each;
            }
        }
        return unchosen;
    }

    private static long parameters(LinearTensors linear, int columns) {
        long weightRows = linear.weight().stream().mapToLong(TensorRows::rows).sum();
        return weightRows * columns
                + linear.bias().stream().mapToLong(TensorRows::rows).sum();
    }

    private static List<Layers> layers(Architecture architecture) {
        Map<Layers, List<Integer>> groups = new LinkedHashMap<>();
        for (int i = 0; i < architecture.layers().size(); i++) {
            groups.computeIfAbsent(alone(architecture, i), layer -> new ArrayList<>())
                    .add(i);
        }
        return groups.entrySet().stream()
                .map(group -> group.getKey().with(group.getValue()))
                .toList();
    }

    /** A layer, whichever it is. */
    private static Layers alone(Architecture architecture, int index) {
        Layer layer = architecture.layers().get(index);
        Attention attention = layer.attention();
        FeedForwardDimensions feedForward = layer.feedForward().dimensions();
        LayerDimensions sizes = architecture.dimensions().layers().get(index);
        return new Layers(
                List.of(),
                attention.heads(),
                attention.keyValueHeads(),
                attention.headSize(),
                sizes.hasWindow() ? sizes.window() : 0,
                positions(architecture, attention),
                norms(layer),
                attention.scoreCap(),
                attention.sinks().isPresent(),
                switch (layer.wiring()) {
                    case SEQUENTIAL -> "sequential";
                    case PARALLEL -> "parallel";
                    case NORM_OF_SUM -> "norm of sum";
                },
                switch (feedForward.kind()) {
                    case GATED -> true;
                    case PLAIN -> false;
                },
                feedForward.size(),
                feedForward.experts(),
                feedForward.chosenExperts(),
                feedForward.expertSize());
    }

    private static String positions(Architecture architecture, Attention attention) {
        return switch (attention.positions()) {
            case Positions.None _ -> architecture.embedding().positions().isPresent() ? "learned" : "none";
            case Positions.Rotary rotary -> {
                int rotated = 2 * rotary.inverseFrequencies().size();
                String part = rotated == attention.headSize()
                        ? "rotary"
                        : "rotary, %d of %d dimensions".formatted(rotated, attention.headSize());
                yield rotary.longContext()
                        .map(longer -> part + ", other frequencies above %,d tokens".formatted(longer.afterTokens()))
                        .orElse(part);
            }
        };
    }

    private static List<String> norms(Layer layer) {
        Map<String, List<String>> norms = new LinkedHashMap<>();
        around(layer.attentionNorm(), layer.attentionOutNorm()).ifPresent(side -> add(norms, side, "attention"));
        around(layer.feedForwardNorm(), layer.feedForwardOutNorm()).ifPresent(side -> add(norms, side, "feed-forward"));
        Attention attention = layer.attention();
        attention.queryNorm().ifPresent(norm -> add(norms, span(norm), "queries"));
        attention.keyNorm().ifPresent(norm -> add(norms, span(norm), "keys"));
        attention.valueNorm().ifPresent(norm -> add(norms, span(norm), "values"));
        return norms.entrySet().stream()
                .map(entry -> entry.getKey().formatted(listed(entry.getValue())))
                .toList();
    }

    private static Optional<String> around(Optional<NormTensors> before, Optional<NormTensors> after) {
        if (before.isPresent()) {
            return Optional.of(after.isPresent() ? "before and after %s" : "before %s");
        }
        return after.map(norm -> "after %s");
    }

    private static String span(HeadNorm norm) {
        return switch (norm.span()) {
            case HEAD -> "of %s by head";
            case ROW -> "of %s across heads";
        };
    }

    private static void add(Map<String, List<String>> norms, String where, String what) {
        norms.computeIfAbsent(where, text -> new ArrayList<>()).add(what);
    }

    private static String listed(List<String> words) {
        return words.size() == 1
                ? words.getFirst()
                : String.join(", ", words.subList(0, words.size() - 1)) + " and " + words.getLast();
    }
}
