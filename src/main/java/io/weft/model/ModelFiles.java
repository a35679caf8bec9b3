package io.weft.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.device.ElementType;
import io.weft.device.TensorView;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.TensorRows;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;

/** An open model directory: configuration, and weights mapped into memory. */
public final class ModelFiles implements ModelTensors {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path directory;
    private final ModelSource source;
    private final Architecture architecture;
    private final GenerationConfig generation;
    private final Arena arena;
    private final Map<String, Safetensors> files;

    /**
     * What {@code generation_config.json} says.
     *
     * @param endTokens ids that end a completion
     * @param temperature default of sampling
     * @param topP default of sampling
     * @param topK default of sampling
     */
    public record GenerationConfig(
            Set<Integer> endTokens, OptionalDouble temperature, OptionalDouble topP, OptionalDouble topK) {
        /** The configuration of a model without {@code generation_config.json}. */
        public static final GenerationConfig NONE =
                new GenerationConfig(Set.of(), OptionalDouble.empty(), OptionalDouble.empty(), OptionalDouble.empty());
    }

    private ModelFiles(
            Path directory,
            ModelSource source,
            Architecture architecture,
            GenerationConfig generation,
            Arena arena,
            Map<String, Safetensors> files) {
        this.directory = directory;
        this.source = source;
        this.architecture = architecture;
        this.generation = generation;
        this.arena = arena;
        this.files = files;
    }

    /**
     * Opens a model and checks that all its tensors are there; no weight is read.
     *
     * @throws ModelLoadException with one line that names file and cause
     */
    @SuppressWarnings("MustBeClosed") // the arena is closed with what is returned
    public static ModelFiles open(ModelSource source, List<ModelFamily> families) {
        Path directory = switch (source) {
            case ModelSource.Directory(Path path) -> path;
            case ModelSource.Demo demo -> DemoModel.unpack();
            case ModelSource.Random random ->
                throw new ModelLoadException("preset " + random.preset().label() + " has no files");
        };
        Arena arena = Arena.ofShared();
        try {
            return open(directory, source, families, arena);
        } catch (RuntimeException e) {
            arena.close();
            deleteIfUnpacked(source, directory);
            throw e;
        }
    }

    private static ModelFiles open(Path directory, ModelSource source, List<ModelFamily> families, Arena arena) {
        if (!Files.isDirectory(directory)) {
            throw new ModelLoadException(
                    directory, Files.exists(directory) ? "is not a directory" : "there is no such directory");
        }
        ConfigReader config =
                new ConfigReader(directory.resolve("config.json"), json(directory.resolve("config.json")));
        if (config.has("quantization_config")) {
            throw config.wrong("quantization_config", "absent: quantised weights cannot be read");
        }
        String type = config.text("model_type").orElse("");
        ModelFamily family = families.stream()
                .filter(candidate -> candidate.modelTypes().contains(type))
                .findFirst()
                .orElseThrow(() -> config.wrong("model_type", "one of " + knownTypes(families)));
        Architecture architecture = family.describe(config);
        ModelFiles model = new ModelFiles(
                directory, source, architecture, generation(directory, config), arena, weights(directory, arena));
        model.requireTensors();
        return model;
    }

    private static String knownTypes(List<ModelFamily> families) {
        Set<String> known = new TreeSet<>();
        families.forEach(family -> known.addAll(family.modelTypes()));
        return String.join(", ", known);
    }

    private static JsonNode json(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new ModelLoadException(file, "there is no such file");
        }
        try {
            JsonNode json = JSON.readTree(file.toFile());
            if (json == null || !json.isObject()) {
                throw new ModelLoadException(file, "is not a JSON object");
            }
            return json;
        } catch (JsonProcessingException e) {
            throw new ModelLoadException(
                    file,
                    "is not JSON (" + e.getOriginalMessage().lines().findFirst().orElse("") + ")");
        } catch (IOException e) {
            throw new ModelLoadException(file, "cannot be read (" + e.getMessage() + ")");
        }
    }

    private static GenerationConfig generation(Path directory, ConfigReader config) {
        Path file = directory.resolve("generation_config.json");
        JsonNode json = Files.isRegularFile(file) ? json(file) : JSON.createObjectNode();
        JsonNode end = json.path("eos_token_id");
        if (end.isMissingNode() || end.isNull()) {
            end = config.json().path("eos_token_id");
        }
        Set<Integer> endTokens = new HashSet<>();
        if (end.isInt()) {
            endTokens.add(end.intValue());
        }
        end.forEach(id -> endTokens.add(id.asInt()));
        return new GenerationConfig(
                Set.copyOf(endTokens), number(json, "temperature"), number(json, "top_p"), number(json, "top_k"));
    }

    private static OptionalDouble number(JsonNode json, String field) {
        return json.path(field).isNumber() ? OptionalDouble.of(json.path(field).doubleValue()) : OptionalDouble.empty();
    }

    /** The files that hold each tensor. */
    private static Map<String, Safetensors> weights(Path directory, Arena arena) {
        Path single = directory.resolve("model.safetensors");
        Path index = directory.resolve("model.safetensors.index.json");
        Map<String, Safetensors> byTensor = new HashMap<>();
        if (Files.isRegularFile(single)) {
            Safetensors file = Safetensors.map(single, arena);
            file.names().forEach(name -> byTensor.put(name, file));
            return byTensor;
        }
        if (!Files.isRegularFile(index)) {
            throw new ModelLoadException(single, "there is no such file" + otherFormat(directory));
        }
        Map<String, Safetensors> shards = new HashMap<>();
        for (Map.Entry<String, JsonNode> entry : json(index).path("weight_map").properties()) {
            String shard = entry.getValue().asText();
            if (!Path.of(shard).equals(Path.of(shard).getFileName())) {
                throw new ModelLoadException(
                        index, "names the shard \"" + shard + "\", which is not a file next to it");
            }
            Safetensors file = shards.computeIfAbsent(shard, name -> {
                if (!Files.isRegularFile(directory.resolve(name))) {
                    throw new ModelLoadException(
                            directory.resolve(name), "there is no such file, but " + index.getFileName() + " names it");
                }
                return Safetensors.map(directory.resolve(name), arena);
            });
            if (!file.names().contains(entry.getKey())) {
                throw new ModelLoadException(directory.resolve(shard), "has no tensor " + entry.getKey());
            }
            byTensor.put(entry.getKey(), file);
        }
        return byTensor;
    }

    private static String otherFormat(Path directory) {
        for (String other : List.of("pytorch_model.bin", "pytorch_model.bin.index.json")) {
            if (Files.exists(directory.resolve(other))) {
                return "; " + other + " cannot be read, convert the model to safetensors";
            }
        }
        return "";
    }

    /** The directory, which also holds the tokenizer. */
    public Path directory() {
        return directory;
    }

    @Override
    public Architecture architecture() {
        return architecture;
    }

    /** The element type of the token embedding. */
    @Override
    public ElementType storedType() {
        return tensor(architecture.embedding().tokens()).type();
    }

    public GenerationConfig generation() {
        return generation;
    }

    /**
     * A tensor, without copying; valid until this is closed.
     *
     * @throws ModelLoadException if it is missing or cannot be read
     */
    @Override
    public TensorView tensor(String name) {
        // Some checkpoints prefix names with the outermost module's, some do not.
        for (String candidate : List.of(name, name.startsWith("model.") ? name.substring("model.".length()) : name)) {
            Safetensors file = files.get(candidate);
            if (file != null) {
                return file.tensor(candidate);
            }
        }
        throw new ModelLoadException(directory, "has no tensor " + name);
    }

    /** Rows of a tensor. */
    @Override
    public TensorView rows(TensorRows rows) {
        return tensor(rows.tensor()).rows(rows.fromRow(), rows.rows());
    }

    private void requireTensors() {
        ModelDimensions dimensions = architecture.dimensions();
        int hidden = dimensions.hiddenSize();
        requireColumns(architecture.embedding().tokens(), dimensions.vocabularySize(), hidden);
        architecture
                .embedding()
                .positions()
                .ifPresent(name -> requireColumns(
                        name,
                        dimensions.maxPositions() + architecture.embedding().positionOffset(),
                        hidden));
        int feedForwardIn = switch (architecture.feedForward()) {
            case Architecture.FeedForward.Plain plain -> dimensions.feedForwardSize();
            case Architecture.FeedForward.Gated gated -> 2 * dimensions.feedForwardSize();
        };
        for (int i = 0; i < dimensions.layers(); i++) {
            Architecture.LayerTensors layer = architecture.layer().apply(i);
            requireNorm(layer.attentionNorm());
            requireLinear(layer.query(), dimensions.queryWidth(), hidden);
            requireLinear(layer.keyValue(), dimensions.keyValueWidth(), hidden);
            requireLinear(layer.output(), hidden, dimensions.queryWidth());
            requireNorm(layer.feedForwardNorm());
            requireLinear(layer.feedForwardIn(), feedForwardIn, hidden);
            requireLinear(layer.feedForwardOut(), hidden, dimensions.feedForwardSize());
        }
        requireNorm(architecture.finalNorm());
        requireLinear(new LinearTensors(List.of(architecture.head()), List.of()), dimensions.vocabularySize(), hidden);
    }

    private void requireColumns(String name, int rows, int columns) {
        TensorView tensor = tensor(name);
        if (tensor.shape().size() != 2 || tensor.rows() < rows || tensor.columns() != columns) {
            throw wrongShape(tensor, "[" + rows + ", " + columns + "]");
        }
    }

    private void requireNorm(NormTensors norm) {
        requireVector(norm.gain());
        norm.bias().ifPresent(this::requireVector);
    }

    private void requireVector(String name) {
        TensorView tensor = tensor(name);
        int hidden = architecture.dimensions().hiddenSize();
        if (!tensor.shape().equals(List.of(hidden))) {
            throw wrongShape(tensor, "[" + hidden + "]");
        }
    }

    private void requireLinear(LinearTensors linear, int rows, int columns) {
        int total = 0;
        for (TensorRows part : linear.weight()) {
            requireColumns(part.tensor(), part.fromRow() + part.rows(), columns);
            total += part.rows();
        }
        for (TensorRows part : linear.bias()) {
            TensorView tensor = tensor(part.tensor());
            if (tensor.shape().size() != 1 || tensor.rows() < part.fromRow() + part.rows()) {
                throw wrongShape(tensor, "[" + (part.fromRow() + part.rows()) + "]");
            }
        }
        if (total != rows) {
            throw new IllegalStateException("description has " + total + " rows of " + linear + ", must have " + rows);
        }
    }

    private ModelLoadException wrongShape(TensorView tensor, String wanted) {
        return new ModelLoadException(
                directory, "tensor %s has shape %s, must have %s".formatted(tensor.name(), tensor.shape(), wanted));
    }

    @Override
    public void close() {
        arena.close();
        deleteIfUnpacked(source, directory);
    }

    private static void deleteIfUnpacked(ModelSource source, Path directory) {
        if (source instanceof ModelSource.Demo) {
            DemoModel.delete(directory);
        }
    }
}
