package io.weft.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import com.networknt.schema.ValidationMessage;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;

/**
 * Strict JSON schemas of Kubernetes and of the custom resources that Weft uses. Made by
 * {@code tools/kubernetes-schemas}.
 */
final class KubernetesSchemas {
    private static final Map<String, String> FILE_OF_KIND = Map.of(
            "ServiceMonitor", "prometheus-operator-servicemonitor",
            "PrometheusRule", "prometheus-operator-prometheusrule",
            "HTTPRoute", "gateway-api",
            "ScaledObject", "keda",
            "InferencePool", "inference-extension");

    private final ObjectMapper json = new ObjectMapper();
    private final JsonSchemaFactory factory = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V7);

    /** What is wrong with an object; an object of an unknown kind is wrong. */
    List<String> errors(JsonNode object) throws IOException {
        String kind = object.at("/kind").asText();
        ObjectNode schemas = read(FILE_OF_KIND.getOrDefault(kind, "core"));
        if (!schemas.at("/definitions").has(kind)) {
            return List.of("no schema for the kind " + kind);
        }
        schemas.put("$ref", "#/definitions/" + kind);
        JsonSchema schema = factory.getSchema(schemas);
        return schema.validate(object).stream()
                .map(ValidationMessage::getMessage)
                .toList();
    }

    private ObjectNode read(String name) throws IOException {
        try (InputStream file = getClass().getResourceAsStream("/kubernetes/" + name + ".json")) {
            return (ObjectNode) json.readTree(file);
        }
    }
}
