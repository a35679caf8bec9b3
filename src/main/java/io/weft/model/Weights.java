package io.weft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The weight files of a model directory. A shard is opened when a tensor in it is needed: others may be absent. */
final class Weights {
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
        Path single = directory.resolve("model.safetensors");
        Path index = directory.resolve("model.safetensors.index.json");
        Map<String, String> names = new HashMap<>();
        Weights weights = new Weights(directory, index, arena, names);
        if (Files.isRegularFile(single)) {
            Safetensors file = Safetensors.map(single, arena);
            weights.opened.put("model.safetensors", file);
            file.names().forEach(tensor -> names.put(tensor, "model.safetensors"));
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
        Safetensors file = opened.get(name);
        if (file == null) {
            file = Safetensors.map(shard(name), arena);
            opened.put(name, file);
        }
        if (!file.names().contains(tensor)) {
            throw new ModelLoadException(directory.resolve(name), "has no tensor " + tensor);
        }
        return Optional.of(file);
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
