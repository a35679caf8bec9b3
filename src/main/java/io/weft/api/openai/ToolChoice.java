package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.api.http.ApiError;
import java.util.List;

/** Whether the model calls tools. */
sealed interface ToolChoice {
    /** As it likes. */
    record Auto() implements ToolChoice {}

    /** It does not. */
    record None() implements ToolChoice {}

    /** It calls one, or several. */
    record Required() implements ToolChoice {}

    /** It calls this function, once. */
    record Named(String name) implements ToolChoice {}

    /**
     * @param given {@code tool_choice}
     * @throws io.weft.api.http.ApiException 400 for anything else, for a function that is not offered, and for a call
     *     where no tool is offered
     */
    static ToolChoice of(JsonNode given, List<ToolDefinition> tools) {
        String name = given.path("function").path("name").asText();
        ToolChoice choice = switch (given.isObject() ? given.path("type").asText() : given.asText("")) {
            case "auto" -> new Auto();
            case "none" -> new None();
            case "required" -> new Required();
            case "function" -> new Named(name);
            default ->
                throw ApiError.badField(
                                "tool_choice",
                                "tool_choice is %s, must be \"auto\", \"none\", \"required\" or a function."
                                        .formatted(ApiError.shortened(given.toString())))
                        .exception();
        };
        if (tools.isEmpty() && !(choice instanceof Auto) && !(choice instanceof None)) {
            throw ApiError.badField("tool_choice", "tool_choice asks for a call, but there are no tools.")
                    .exception();
        }
        if (choice instanceof Named
                && tools.stream().noneMatch(tool -> tool.name().equals(name))) {
            throw ApiError.badField(
                            "tool_choice",
                            "tool_choice.function.name is \"%s\", must be that of one of the tools."
                                    .formatted(ApiError.shortened(name)))
                    .exception();
        }
        return choice;
    }
}
