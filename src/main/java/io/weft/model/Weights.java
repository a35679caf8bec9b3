package io.weft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** The weight files of a model directory. A shard is opened when a tensor in it is needed: others may be absent. */
final class Weights {
    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";

    private final Path directory;
    private final Path index;
    private final Arena arena;
    /** Files by the tensors in them. */
    private final Map<String, String> names;

    private final Map<String, Safetensors> opened = new HashMap<>();

    private Weights(Path directory, Path index, Arena arena, Map<String, String> names) {
        this.directory = directory;
        this.index = index;
        this.arena = arena;
        this.names = names;
    }

    /**
     * Finds the files.
     *
     * @param arena files stay mapped as long as this
     */
    static Weights find(Path directory, Arena arena) {
        Path single = directory.resolve(SINGLE);
        Path index = directory.resolve(INDEX);
        Map<String, String> names = new HashMap<>();
        Weights weights = new Weights(directory, index, arena, names);
        if (Files.isRegularFile(single)) {
            Safetensors file = Safetensors.map(single, arena);
            weights.opened.put(SINGLE, file);
            file.names().forEach(tensor -> names.put(tensor, SINGLE));
            return weights;
        }
        if (!Files.isRegularFile(index)) {
            throw new ModelLoadException(single, "there is no such file" + otherFormat(directory));
        }
        for (Map.Entry<String, JsonNode> entry :
                ModelFiles.json(index).path("weight_map").properties()) {
            names.put(entry.getKey(), entry.getValue().asText());
        }
        return weights;
    }

    /** Why a directory has no weights at all; empty if there is at least a part of them. */
    static Optional<String> missing(Path directory) {
        Path single = directory.resolve(SINGLE);
        Path index = directory.resolve(INDEX);
        if (Files.isRegularFile(single)) {
            return Optional.empty();
        }
        if (!Files.isRegularFile(index)) {
            return Optional.of("there is no " + SINGLE + otherFormat(directory));
        }
        Set<String> shards = new TreeSet<>();
        ModelFiles.json(index).path("weight_map").forEach(shard -> shards.add(shard.asText()));
        return shards.stream().anyMatch(shard -> Files.isRegularFile(directory.resolve(shard)))
                ? Optional.empty()
                : Optional.of("there is none of the %d files that %s names".formatted(shards.size(), INDEX));
    }

    private static String otherFormat(Path directory) {
        for (String other : List.of("pytorch_model.bin", "pytorch_model.bin.index.json")) {
            if (Files.exists(directory.resolve(other))) {
                return "; " + other + " cannot be read, convert the model to safetensors";
            }
        }
        return "";
    }

    /**
     * The file that holds a tensor; empty if none does.
     *
     * @throws ModelLoadException if the file that should hold it does not
     */
    Optional<Safetensors> file(String tensor) {
        String name = names.get(tensor);
        if (name == null) {
            return Optional.empty();
        }
        Safetensors file = open(name);
        if (!file.names().contains(tensor)) {
            throw new ModelLoadException(directory.resolve(name), "has no tensor " + tensor);
        }
        return Optional.of(file);
    }

    /** The names of all tensors in the files that are there, in order. */
    Set<String> names() {
        Set<String> present = new TreeSet<>();
        names.forEach((tensor, name) -> {
            if (Files.isRegularFile(directory.resolve(name))) {
                present.add(tensor);
            }
        });
        return present;
    }

    /** Bytes of all tensors in the files that are there. */
    long bytes() {
        new TreeSet<>(names.values())
                .stream()
                        .filter(name -> Files.isRegularFile(directory.resolve(name)))
                        .forEach(this::open);
        return opened.values().stream().mapToLong(Safetensors::bytes).sum();
    }

    private Safetensors open(String name) {
        return opened.computeIfAbsent(name, shard -> Safetensors.map(shard(shard), arena));
    }

    private Path shard(String name) {
        Path path = directory.resolve(name).normalize();
        if (!path.startsWith(directory.normalize())) {
            throw new ModelLoadException(index, "names the shard \"" + name + "\", which is not in its directory");
        }
        if (!Files.isRegularFile(path)) {
            throw new ModelLoadException(path, "there is no such file, but " + index.getFileName() + " names it");
        }
        return path;
    }
}
