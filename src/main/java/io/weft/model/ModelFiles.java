package io.weft.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.weft.device.ElementType;
import io.weft.device.QuantisedTensor;
import io.weft.device.RandomTensor;
import io.weft.device.StridedView;
import io.weft.device.Tensor;
import io.weft.device.TensorView;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.TensorRows.Axis;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.Collectors;

/** An open model directory: configuration, and weights mapped into memory. */
public final class ModelFiles implements ModelTensors {
    /** What a number stands for in the name of tensors that are numbered. */
    private static final String NUMBER = "*";

    /** Python writes and reads NaN and Infinity. */
    static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    /** Of a tensor's beginning and end, in the fingerprint. */
    private static final long SAMPLE_BYTES = 4096;

    private final Path directory;
    private final ModelSource source;
    private final ModelDescription description;
    private final GenerationConfig generation;
    private final List<Integer> familyEnds;
    private final Arena arena;
    private final Weights weights;
    private final QuantisedReader quantised;

    private ModelFiles(
            Path directory,
            ModelSource source,
            ModelDescription description,
            GenerationConfig generation,
            List<Integer> familyEnds,
            Arena arena,
            Weights weights) {
        this.directory = directory;
        this.source = source;
        this.description = description;
        this.generation = generation;
        this.familyEnds = List.copyOf(familyEnds);
        this.arena = arena;
        this.weights = weights;
        this.quantised = new QuantisedReader(directory, description.quantisation(), this::stored);
    }

    /**
     * Opens a model and checks that all its tensors are there; no weight is read.
     *
     * @throws ModelLoadException with one line that names file and cause
     */
    @SuppressWarnings("MustBeClosed") // the arena is closed with what is returned
    public static ModelFiles open(ModelSource source) {
        Path directory = switch (source) {
            case ModelSource.Directory(Path path) -> path;
            case ModelSource.Demo demo -> DemoModel.unpack();
            case ModelSource.Random random ->
                throw new ModelLoadException("preset " + random.preset().label() + " has no files");
        };
        Arena arena = Arena.ofShared();
        try {
            return open(directory, source, arena);
        } catch (RuntimeException e) {
            arena.close();
            deleteIfUnpacked(source, directory);
            throw e;
        }
    }

    private static ModelFiles open(Path directory, ModelSource source, Arena arena) {
        ModelDescription description = ModelDescription.read(directory);
        ConfigReader config = description.config();
        GenerationConfig generation = generation(
                directory, config, description.architecture().dimensions().vocabularySize());
        List<Integer> familyEnds =
                config.json().has("eos_token_id") ? List.of() : FamilyDefaults.endTokens(description.modelType());
        ModelFiles model = new ModelFiles(
                directory, source, description, generation, familyEnds, arena, Weights.find(directory, arena));
        model.requireTensors();
        return model;
    }

    static JsonNode json(Path file) {
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

    private static GenerationConfig generation(Path directory, ConfigReader config, int vocabularySize) {
        Path file = directory.resolve("generation_config.json");
        JsonNode json = Files.isRegularFile(file) ? json(file) : JSON.createObjectNode();
        return GenerationConfig.read(new ConfigReader(file, json), config, vocabularySize);
    }

    /** The directory, which also holds the tokenizer. */
    public Path directory() {
        return directory;
    }

    /** The {@code model_type} of the configuration. */
    String modelType() {
        return description.modelType();
    }

    @Override
    public Architecture architecture() {
        return description.architecture();
    }

    /** The element type of the token embedding; of its scales, if it is quantised. */
    @Override
    public ElementType storedType() {
        return switch (tensor(architecture().embedding().tokens())) {
            case TensorView plain -> plain.type();
            case QuantisedTensor embedding -> embedding.encoding().scaleType();
            case RandomTensor _, StridedView _ -> throw new IllegalStateException("an embedding is a stored tensor");
        };
    }

    public GenerationConfig generation() {
        return generation;
    }

    /**
     * The end tokens that the family has by default, if {@code config.json} is silent; perhaps no ids of this model.
     */
    public List<Integer> familyEndTokens() {
        return familyEnds;
    }

    /**
     * A tensor, without copying; valid until this is closed.
     *
     * @throws ModelLoadException if it is missing or cannot be read
     */
    @Override
    public Tensor tensor(String name) {
        if (name.contains(NUMBER)) {
            return joined(name);
        }
        Optional<QuantisedTensor> tensor = quantised.tensor(name);
        if (tensor.isPresent()) {
            return tensor.get();
        }
        return find(name, Safetensors::tensor)
                .orElseThrow(() -> new ModelLoadException(directory, "has no tensor " + name));
    }

    /** Short vectors that are stored apart, as one. */
    private Tensor joined(String name) {
        List<TensorView> parts = numbered(name, Safetensors::tensor);
        int elements = parts.stream().mapToInt(Tensor::rows).sum();
        ByteBuffer all = ByteBuffer.allocate(elements * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (Tensor vector : parts) {
            for (int i = 0; i < vector.rows(); i++) {
                all.putFloat(vector.element(i));
            }
        }
        return new TensorView(name, ElementType.F32, List.of(elements), MemorySegment.ofBuffer(all.rewind()));
    }

    private <T> List<T> numbered(String name, BiFunction<Safetensors, String, T> read) {
        List<T> parts = new ArrayList<>();
        Optional<T> part = find(name.replace(NUMBER, "0"), read);
        while (part.isPresent()) {
            parts.add(part.get());
            part = find(name.replace(NUMBER, String.valueOf(parts.size())), read);
        }
        if (parts.isEmpty()) {
            throw new ModelLoadException(directory, "has no tensor " + name.replace(NUMBER, "0"));
        }
        return parts;
    }

    /** How a tensor is stored; only headers are read. */
    TensorStorage storage(String name) {
        Map<String, Long> parts = new HashMap<>();
        if (name.contains(NUMBER)) {
            List<StoredTensor> numbered = numbered(name, Safetensors::stored);
            numbered.forEach(part -> parts.put(part.name(), part.data().byteSize()));
            return new TensorStorage(numbered.getFirst().type().toLowerCase(Locale.ROOT), parts);
        }
        Optional<QuantisedTensor> tensor =
                new QuantisedReader(directory, description.quantisation(), part -> recorded(part, parts)).tensor(name);
        if (tensor.isPresent()) {
            return new TensorStorage(tensor.get().encoding().label(), parts);
        }
        StoredTensor plain = stored(name).orElseThrow(() -> new ModelLoadException(directory, "has no tensor " + name));
        return new TensorStorage(
                TensorStorage.name(plain.type()),
                Map.of(plain.name(), plain.data().byteSize()));
    }

    private Optional<StoredTensor> recorded(String name, Map<String, Long> parts) {
        Optional<StoredTensor> part = stored(name);
        part.ifPresent(tensor -> parts.put(tensor.name(), tensor.data().byteSize()));
        return part;
    }

    /** Bytes of all tensors of the files, whether they are used or not. */
    long storedBytes() {
        return weights.bytes();
    }

    private Optional<StoredTensor> stored(String name) {
        return find(name, Safetensors::stored);
    }

    /**
     * Of the configuration, and of each tensor the name, the type, the shape, and the first and last bytes: to read all
     * of a large model takes minutes.
     */
    @Override
    public byte[] fingerprint() {
        MessageDigest hash = sha256();
        hash.update(description.config().json().toString().getBytes(StandardCharsets.UTF_8));
        for (String name : weights.names()) {
            weights.file(name).map(file -> file.stored(name)).ifPresent(tensor -> {
                hash.update("%s %s %s"
                        .formatted(name, tensor.type(), tensor.shape())
                        .getBytes(StandardCharsets.UTF_8));
                MemorySegment data = tensor.data();
                long bytes = Math.min(SAMPLE_BYTES, data.byteSize());
                hash.update(data.asSlice(0, bytes).asByteBuffer());
                hash.update(data.asSlice(data.byteSize() - bytes, bytes).asByteBuffer());
            });
        }
        return hash.digest();
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    private <T> Optional<T> find(String name, BiFunction<Safetensors, String, T> read) {
        for (String candidate : candidates(name)) {
            Optional<Safetensors> file = weights.file(candidate);
            if (file.isPresent()) {
                return Optional.of(read.apply(file.get(), candidate));
            }
        }
        return Optional.empty();
    }

    /** The names that a tensor may have. */
    private static Set<String> candidates(String name) {
        Set<String> candidates = new LinkedHashSet<>();
        // A checkpoint of the inner module alone has names without its prefix.
        for (String prefix : List.of("", "model.", "gpt_neox.", "transformer.")) {
            candidates.add(name.startsWith(prefix) ? name.substring(prefix.length()) : name);
        }
        // One that reads more than text has the language model as a part.
        candidates.add("language_model." + name);
        candidates.add(name.startsWith("model.") ? "model.language_model." + name.substring("model.".length()) : name);
        return candidates;
    }

    /** Rows of a tensor. */
    @Override
    public Tensor rows(TensorRows rows) {
        Tensor tensor = tensor(rows.tensor());
        if (rows.isRun()) {
            return tensor.rows(rows.fromRow(), rows.rows());
        }
        if (tensor instanceof QuantisedTensor quantised && rows.axis() == Axis.ROWS) {
            QuantisedTensor matrix = quantised.rows(rows.part().orElse(0) * rows.rowsOfPart(), rows.rowsOfPart());
            return rows.step() == 1 ? matrix : matrix.rowsApart(rows.fromRow(), rows.step());
        }
        if (!(tensor instanceof TensorView view)) {
            throw new ModelLoadException(
                    directory, "tensor " + tensor.name() + " is quantised, must be plain: its columns stand for rows");
        }
        TensorView matrix = rows.part().isPresent() ? view.at(rows.part().getAsInt()) : view;
        StridedView all = switch (rows.axis()) {
            case ROWS -> StridedView.ofRows(matrix, rows.fromRow(), rows.step());
            case COLUMNS -> StridedView.ofColumns(matrix, rows.fromRow(), rows.step());
        };
        return all.rows(0, rows.rows());
    }

    private void requireTensors() {
        architecture().visit(new Architecture.TensorVisitor() {
            @Override
            public void table(String name, int rows, int columns) {
                requireColumns(name, rows, columns);
            }

            @Override
            public void linear(LinearTensors tensors, int rows, int columns) {
                requireLinear(tensors, rows, columns);
            }

            @Override
            public void norm(NormTensors tensors, List<Integer> widths) {
                tensors.gain().ifPresent(name -> requireVector(name, widths));
                tensors.bias().ifPresent(name -> requireVector(name, widths));
            }

            @Override
            public void vector(String name, int elements) {
                requireVector(name, List.of(elements));
            }
        });
    }

    private void requireColumns(String name, int rows, int columns) {
        Tensor tensor = tensor(name);
        if (tensor.shape().size() != 2 || tensor.rows() < rows || tensor.columns() != columns) {
            throw wrongShape(tensor, "[" + rows + ", " + columns + "]");
        }
    }

    /** Gains of heads may be stored as a matrix. */
    private void requireVector(String name, List<Integer> elements) {
        Tensor tensor = tensor(name);
        if (tensor.elements() > Integer.MAX_VALUE || !elements.contains((int) tensor.elements())) {
            throw wrongShape(
                    tensor, elements.stream().map(count -> "[" + count + "]").collect(Collectors.joining(" or ")));
        }
    }

    private void requireLinear(LinearTensors linear, int rows, int columns) {
        int total = 0;
        for (TensorRows part : linear.weight()) {
            requireRows(part, List.of(columns));
            total += part.rows();
        }
        linear.bias().forEach(part -> requireRows(part, List.of()));
        if (total != rows) {
            throw new IllegalStateException("description has " + total + " rows of " + linear + ", must have " + rows);
        }
    }

    private void requireRows(TensorRows part, List<Integer> columns) {
        Tensor tensor = tensor(part.tensor());
        if (tensor instanceof QuantisedTensor quantised && part.part().isPresent()) {
            // The parts of a quantised tensor are one matrix.
            int least = (part.part().getAsInt() + 1) * part.rowsOfPart();
            if (quantised.rows() < least || !columns.equals(List.of(quantised.columns()))) {
                throw wrongShape(tensor, List.of(least, columns.getFirst()).toString());
            }
        } else if (!part.isIn(tensor.shape(), columns)) {
            throw wrongShape(tensor, part.leastShape(columns).toString());
        }
    }

    private ModelLoadException wrongShape(Tensor tensor, String wanted) {
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
