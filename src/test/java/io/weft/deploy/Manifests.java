package io.weft.deploy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Kubernetes objects.
 *
 * @param objects in the order of the file
 */
record Manifests(List<ObjectNode> objects) {
    static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

    /** Parses YAML documents; empty ones are left out. */
    static Manifests parse(String yaml) {
        try (MappingIterator<JsonNode> documents =
                YAML.readerFor(JsonNode.class).readValues(yaml)) {
            List<ObjectNode> objects = new ArrayList<>();
            while (documents.hasNext()) {
                if (documents.next() instanceof ObjectNode object && !object.isEmpty()) {
                    objects.add(object);
                }
            }
            return new Manifests(List.copyOf(objects));
        } catch (IOException e) {
            throw new UncheckedIOException(yaml, e);
        }
    }

    static JsonNode yaml(String text) {
        try {
            return YAML.readTree(text);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(text, e);
        }
    }

    /** Kind and name, such as {@code Service/weft}. */
    static String label(JsonNode object) {
        return object.at("/kind").asText() + "/" + object.at("/metadata/name").asText();
    }

    List<String> labels() {
        return objects.stream().map(Manifests::label).collect(Collectors.toList());
    }

    boolean has(String label) {
        return labels().contains(label);
    }

    /** The object with that kind and name. */
    ObjectNode get(String label) {
        return objects.stream()
                .filter(object -> label(object).equals(label))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no " + label + " among " + labels()));
    }

    List<ObjectNode> ofKind(String kind) {
        return objects.stream()
                .filter(object -> object.at("/kind").asText().equals(kind))
                .toList();
    }

    /** The pod template of the server. */
    JsonNode pod() {
        return get("Deployment/weft").at("/spec/template");
    }

    /** The container of the server. */
    JsonNode container() {
        return pod().at("/spec/containers/0");
    }

    /** The environment that the chart sets. */
    JsonNode environment() {
        return get("ConfigMap/weft").at("/data");
    }
}
