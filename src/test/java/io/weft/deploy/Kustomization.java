package io.weft.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * As much of kustomize as {@code k8s/} uses: resources, and patches in files that are lists of JSON patch operations.
 * Whatever else a kustomization has is refused, so that this never renders less than kustomize does.
 */
final class Kustomization {
    private static final Set<String> KEYS = Set.of("apiVersion", "kind", "resources", "patches");

    private Kustomization() {}

    /** What {@code kubectl kustomize folder} renders, in the order of the files. */
    static Manifests render(Path folder) throws IOException {
        JsonNode kustomization = Manifests.yaml(Files.readString(folder.resolve("kustomization.yaml")));
        kustomization.fieldNames().forEachRemaining(key -> {
            if (!KEYS.contains(key)) {
                throw new AssertionError(folder + " uses " + key + ", which is not rendered here");
            }
        });
        List<ObjectNode> objects = new ArrayList<>();
        for (JsonNode resource : kustomization.path("resources")) {
            Path path = folder.resolve(resource.asText());
            objects.addAll(
                    Files.isDirectory(path)
                            ? render(path).objects()
                            : Manifests.parse(Files.readString(path)).objects());
        }
        Manifests manifests = new Manifests(List.copyOf(objects));
        for (JsonNode patch : kustomization.path("patches")) {
            ObjectNode target = manifests.get(patch.at("/target/kind").asText() + "/"
                    + patch.at("/target/name").asText());
            for (JsonNode operation : Manifests.yaml(
                    Files.readString(folder.resolve(patch.path("path").asText())))) {
                apply(operation, target);
            }
        }
        return manifests;
    }

    private static void apply(JsonNode operation, ObjectNode target) {
        String path = operation.path("path").asText();
        int end = path.lastIndexOf('/');
        JsonNode parent = target.at(path.substring(0, end));
        String last = path.substring(end + 1).replace("~1", "/").replace("~0", "~");
        JsonNode value = operation.path("value").deepCopy();
        String op = operation.path("op").asText();
        switch (parent) {
            case ObjectNode object -> {
                if (!op.equals("add") && !object.has(last)) {
                    throw new AssertionError("nothing at " + path + " of " + Manifests.label(target));
                }
                switch (op) {
                    case "add", "replace" -> object.set(last, value);
                    case "remove" -> object.remove(last);
                    default -> throw new AssertionError("operation " + op);
                }
            }
            case ArrayNode list when op.equals("add") && last.equals("-") -> list.add(value);
            default -> throw new AssertionError(op + " at " + path + " of " + Manifests.label(target));
        }
    }
}
