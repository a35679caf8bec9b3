package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.node.TextNode;
import io.weft.api.http.ApiError;
import io.weft.text.constraint.Syntax;
import io.weft.text.tools.Function;
import io.weft.text.tools.OutputFormats;
import io.weft.text.tools.ToolFormat;
import io.weft.text.tools.ToolFormat.Calls;
import jakarta.validation.constraints.Size;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * The fields of a chat that are about tools. Null means absent.
 *
 * @param functions OpenAI's older name, as {@code functionCall}: refused
 */
@JsonNaming(SnakeCaseStrategy.class)
record ToolFields(
        @Nullable @Size(max = ToolFields.TOOLS_MOST) List<ToolDefinition> tools,
        @Nullable @Schema(implementation = Object.class) JsonNode toolChoice,
        @Nullable Boolean parallelToolCalls,
        @Nullable @Schema(hidden = true) Object functions,
        @Nullable @Schema(hidden = true) Object functionCall) {
    /** OpenAI's limit. */
    static final int TOOLS_MOST = 128;

    /** @throws io.weft.api.http.ApiException 400 that names what is wrong */
    void check() {
        ToolDefinition.check(all());
        choice();
        requireOff("functions", functions, "tools");
        requireOff("function_call", "none".equals(functionCall) ? null : functionCall, "tool_choice");
    }

    private static void requireOff(String field, @Nullable Object value, String instead) {
        if (value != null && !(value instanceof List<?> list && list.isEmpty())) {
            throw ApiError.badField(field, "%s is given, must be left out: use %s.".formatted(field, instead))
                    .exception();
        }
    }

    private List<ToolDefinition> all() {
        return tools == null ? List.of() : tools;
    }

    private ToolChoice choice() {
        return ToolChoice.of(toolChoice == null || toolChoice.isNull() ? TextNode.valueOf("auto") : toolChoice, all());
    }

    /** The tools that the model is told of. */
    private List<ToolDefinition> offered() {
        return choice() instanceof ToolChoice.None ? List.of() : all();
    }

    /** Variables of the chat template: the tools, if there are any. */
    Map<String, Object> variables() {
        List<ToolDefinition> offered = offered();
        return offered.isEmpty()
                ? Map.of()
                : Map.of(
                        "tools",
                        offered.stream().map(ToolDefinition::forTemplate).toList());
    }

    /** Tells of the tools in the conversation, where the template has them there. */
    void tell(List<Map<String, Object>> conversation, OutputFormats formats) {
        List<ToolDefinition> offered = offered();
        if (offered.isEmpty()
                || formats.tools().filter(ToolFormat::toolsInSystemMessage).isEmpty()) {
            return;
        }
        if (conversation.isEmpty() || !"system".equals(conversation.getFirst().get("role"))) {
            Map<String, Object> system = JsonValues.object();
            system.put("role", "system");
            system.put("content", "");
            conversation.addFirst(system);
        }
        conversation
                .getFirst()
                .put(
                        "tools",
                        JsonValues.text(offered.stream()
                                .map(tool -> tool.forTemplate().get("function"))
                                .toList()));
    }

    Set<String> names() {
        return offered().stream().map(ToolDefinition::name).collect(Collectors.toSet());
    }

    /**
     * How the model writes calls of these tools; empty if there are none.
     *
     * @throws io.weft.api.http.ApiException 400 if there are tools, and the model has no known way to call them
     */
    Optional<ToolFormat> format(OutputFormats formats) {
        if (offered().isEmpty()) {
            return Optional.empty();
        }
        if (formats.tools().isEmpty()) {
            throw ApiError.badField(
                            "tools",
                            ("tools has %d elements, must be empty: the model's chat template takes no tools, or has"
                                            + " calls in a way that is not known here (weft.tool-format).")
                                    .formatted(offered().size()))
                    .exception();
        }
        return formats.tools();
    }

    /**
     * What an answer must be, thoughts aside; empty if it may be anything. Arguments of a function that is strict, or
     * that must be called, obey its schema.
     *
     * @param words what an answer without calls must be
     */
    Optional<Syntax> syntax(ToolFormat format, Optional<Syntax> words) {
        Calls calls = Boolean.FALSE.equals(parallelToolCalls) ? Calls.ONE : Calls.ONE_OR_MORE;
        List<Function> strictly =
                offered().stream().map(ToolDefinition::strictly).toList();
        return switch (choice()) {
            case ToolChoice.None none -> words;
            case ToolChoice.Required required -> Optional.of(format.calls(strictly, calls));
            case ToolChoice.Named(String name) ->
                Optional.of(format.calls(
                        strictly.stream()
                                .filter(function -> function.name().equals(name))
                                .toList(),
                        Calls.ONE));
            case ToolChoice.Auto auto -> {
                boolean free = calls == Calls.ONE_OR_MORE && offered().stream().noneMatch(ToolDefinition::enforced);
                List<Function> functions = offered().stream()
                        .map(tool -> tool.enforced() ? tool.strictly() : tool.loosely())
                        .toList();
                if (words.isPresent()) {
                    yield Optional.of(new Syntax.AnyOf(List.of(words.get(), format.calls(functions, calls))));
                }
                yield free ? Optional.empty() : Optional.of(format.answerOrCalls(functions, calls));
            }
        };
    }
}
