package io.weft.api.openai;

import static io.weft.api.openai.JsonFields.bad;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.api.http.ApiError;
import io.weft.text.tools.Function;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/** A tool that a chat offers to the model: a function. */
record ToolDefinition(@Nullable String type, @Nullable Definition function) {

    /**
     * The function.
     *
     * @param parameters JSON schema of its arguments; without it there are none
     * @param strict whether the arguments must obey the schema
     */
    record Definition(
            @Nullable String name,
            @Nullable String description,
            @Nullable @Schema(implementation = Map.class) JsonNode parameters,
            @Nullable Boolean strict) {}

    private static final String NAME = "[a-zA-Z0-9_-]{1,64}";
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    /** @throws io.weft.api.http.ApiException 400 that names what is wrong */
    void check(String field) {
        if (!"function".equals(type)) {
            throw bad(
                    field + ".type",
                    (type == null ? "is missing" : "is \"" + ApiError.shortened(type) + "\"")
                            + ", must be \"function\"");
        }
        if (function == null) {
            throw bad(field + ".function", "is missing or null, must be given");
        }
        String name = function.name();
        if (name == null || !name.matches(NAME)) {
            throw bad(
                    field + ".function.name",
                    (name == null ? "is missing or null" : "is \"" + ApiError.shortened(name) + "\"")
                            + ", must be 1 to 64 letters, digits, underscores and hyphens");
        }
        JsonNode parameters = parameters();
        String parametersField = field + ".function.parameters";
        if (!parameters.isObject()) {
            throw bad(parametersField, "must be a JSON schema, an object");
        }
        JsonNode is = parameters.path("type");
        if (!is.isMissingNode() && !is.asText().equals("object")) {
            throw bad(parametersField + ".type", "is " + ApiError.shortened(is.toString()) + ", must be \"object\"");
        }
    }

    private Definition definition() {
        if (function == null) {
            throw new IllegalStateException("a tool without a function was checked");
        }
        return function;
    }

    String name() {
        return String.valueOf(definition().name());
    }

    boolean enforced() {
        return Boolean.TRUE.equals(definition().strict());
    }

    private JsonNode parameters() {
        JsonNode given = definition().parameters();
        if (given == null || given.isNull()) {
            ObjectNode none = JSON.objectNode().put("type", "object");
            none.putObject("properties");
            return none.put("additionalProperties", false);
        }
        return given;
    }

    /** The function, with its whole schema. */
    Function strictly() {
        JsonNode parameters = parameters();
        boolean typed = Stream.of("type", "$ref", "anyOf", "oneOf", "allOf").anyMatch(parameters::has);
        if (typed) {
            return new Function(name(), parameters);
        }
        ObjectNode object = parameters.deepCopy();
        return new Function(name(), object.put("type", "object"));
    }

    /** The function, with any object as arguments. */
    Function loosely() {
        return new Function(name(), JSON.objectNode().put("type", "object"));
    }

    /** The tool in the form that templates read. */
    Map<String, Object> forTemplate() {
        Map<String, Object> members = JsonValues.object();
        members.put("name", name());
        if (definition().description() != null) {
            members.put("description", definition().description());
        }
        members.put("parameters", JsonValues.of(parameters()));
        Map<String, Object> tool = JsonValues.object();
        tool.put("type", "function");
        tool.put("function", members);
        return tool;
    }

    /** Checks all tools of a request, and that their names differ. */
    static void check(List<ToolDefinition> tools) {
        for (int i = 0; i < tools.size(); i++) {
            tools.get(i).check("tools[" + i + "]");
            for (int j = 0; j < i; j++) {
                if (tools.get(i).name().equals(tools.get(j).name())) {
                    throw bad("tools[" + i + "].function.name", "is that of tools[" + j + "] too, must differ");
                }
            }
        }
    }
}
