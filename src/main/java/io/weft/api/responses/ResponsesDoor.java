package io.weft.api.responses;

import static io.weft.api.openai.JsonFields.bad;
import static io.weft.api.openai.JsonFields.refuse;
import static io.weft.api.openai.JsonFields.string;
import static io.weft.api.openai.JsonFields.wrong;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;
import io.weft.api.openai.AnswerForm;
import io.weft.api.openai.ChatDraft;
import io.weft.api.openai.Door;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/** Translates requests of the Responses API. */
final class ResponsesDoor implements Door {
    private static final Pattern FUNCTION = Pattern.compile("^(tools\\[\\d+])\\.function\\b");
    private static final Set<String> ROLES = Set.of("user", "assistant", "system", "developer");
    private static final String ENCRYPTED = "reasoning.encrypted_content";
    private static final String JSON_SCHEMA = "json_schema";

    private final ResponsesRequest request;

    ResponsesDoor(ResponsesRequest request) {
        this.request = request;
    }

    @Override
    public String idPrefix() {
        return "resp_";
    }

    @Override
    public String named(String text) {
        return FUNCTION.matcher(text)
                .replaceFirst("$1")
                .replaceFirst("^tool_choice\\.function\\.name\\b", "tool_choice.name")
                .replaceFirst("^response_format\\.json_schema\\b", "text.format")
                .replaceFirst("^response_format\\b", "text.format")
                .replaceFirst("^messages\\b", "input")
                .replace("(max_tokens)", "(max_output_tokens)");
    }

    @Override
    public AnswerForm answer() {
        return new ResponseForm(request);
    }

    /** @throws ApiException 400 that names what cannot be translated */
    ChatDraft translated() {
        ChatDraft chat = new ChatDraft();
        chat.further(request.further());
        checkState();
        chat.set("model", request.model());
        chat.set("max_completion_tokens", request.maxOutputTokens());
        chat.set("temperature", request.temperature());
        chat.set("top_p", request.topP());
        chat.set("stream", request.stream());
        chat.set("parallel_tool_calls", request.parallelToolCalls());
        if (request.instructions() != null && !request.instructions().isEmpty()) {
            chat.say("system", request.instructions());
        }
        input(ChatDraft.tree(request.input()), chat);
        tools(ChatDraft.tree(request.tools()), chat);
        toolChoice(ChatDraft.tree(request.toolChoice()), chat);
        text(ChatDraft.tree(request.text()), chat);
        reasoning(ChatDraft.tree(request.reasoning()), chat);
        return chat;
    }

    /** What needs a stored response, or would change the text. */
    private void checkState() {
        refuse(
                "previous_response_id",
                ChatDraft.tree(request.previousResponseId()),
                "nothing is stored here; send all of the input");
        refuse("conversation", ChatDraft.tree(request.conversation()), "nothing is stored here; send all of the input");
        refuse("prompt", ChatDraft.tree(request.prompt()), "nothing is stored here; use instructions and input");
        refuse("context_management", ChatDraft.tree(request.contextManagement()), "it is not supported");
        refuse("moderation", ChatDraft.tree(request.moderation()), "it is not supported");
        if (Boolean.TRUE.equals(request.background())) {
            throw bad("background", "is true, must be left out or false: nothing is stored here");
        }
        if (request.truncation() != null && !request.truncation().equals("disabled")) {
            throw bad(
                    "truncation",
                    "is \"%s\", must be left out or \"disabled\"".formatted(ApiError.shortened(request.truncation())));
        }
        if (request.topLogprobs() != null && request.topLogprobs() != 0) {
            throw bad("top_logprobs", "is %d, must be left out or 0".formatted(request.topLogprobs()));
        }
        List<String> include = request.include() == null ? List.of() : request.include();
        for (int i = 0; i < include.size(); i++) {
            if (!include.get(i).equals(ENCRYPTED)) {
                throw bad(
                        "include[" + i + "]",
                        "is \"%s\", must be \"%s\"".formatted(ApiError.shortened(include.get(i)), ENCRYPTED));
            }
        }
    }

    private static void input(JsonNode input, ChatDraft chat) {
        if (input.isTextual()) {
            chat.say("user", input.asText());
            return;
        }
        if (!input.isArray()) {
            throw bad("input", "is something else, must be a string or a list of items");
        }
        if (input.isEmpty()) {
            throw bad("input", "is a list of 0, must have at least 1");
        }
        for (int i = 0; i < input.size(); i++) {
            item(input.get(i), "input[" + i + "]", chat);
        }
    }

    private static void item(JsonNode item, String field, ChatDraft chat) {
        JsonNode type = item.path("type");
        switch (type.isMissingNode() || type.isNull() ? "message" : type.asText()) {
            case "message" -> {
                JsonNode role = item.path("role");
                if (!ROLES.contains(role.asText())) {
                    throw wrong(field + ".role", role, "user, assistant, system or developer");
                }
                chat.say(role.asText(), content(item.path("content"), field + ".content"));
            }
            case "function_call" ->
                chat.call(
                        string(item, "call_id", field), string(item, "name", field), string(item, "arguments", field));
            case "function_call_output" ->
                chat.result(string(item, "call_id", field), content(item.path("output"), field + ".output"));
            case "reasoning" -> {
                String thoughts = thoughts(item.path("content"), field + ".content");
                if (!thoughts.isEmpty()) {
                    chat.think(thoughts);
                }
            }
            case "item_reference" ->
                throw bad(field + ".type", "is \"item_reference\", must be an item itself: nothing is stored here");
            default ->
                throw wrong(
                        field + ".type",
                        type,
                        "\"message\", \"function_call\", \"function_call_output\" or \"reasoning\"");
        }
    }

    /** A string, or parts of text. */
    private static String content(JsonNode content, String field) {
        if (content.isTextual()) {
            return content.asText();
        }
        if (!content.isArray()) {
            throw bad(
                    field,
                    (content.isMissingNode() ? "is missing" : "is something else")
                            + ", must be a string or a list of parts");
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < content.size(); i++) {
            String name = field + "[" + i + "]";
            JsonNode part = content.get(i);
            switch (part.path("type").asText()) {
                case "input_text", "output_text", "text" -> text.append(string(part, "text", name));
                case "refusal" -> text.append(string(part, "refusal", name));
                default -> throw wrong(name + ".type", part.path("type"), "\"input_text\" or \"output_text\"");
            }
        }
        return text.toString();
    }

    /** Thoughts as this service gives them; summaries are no thoughts of the model's. */
    private static String thoughts(JsonNode content, String field) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < content.size(); i++) {
            text.append(string(content.path(i), "text", field + "[" + i + "]"));
        }
        return text.toString();
    }

    private static void tools(JsonNode tools, ChatDraft chat) {
        if (tools.isNull()) {
            return;
        }
        if (!tools.isArray()) {
            throw bad("tools", "is something else, must be a list of tools");
        }
        for (int i = 0; i < tools.size(); i++) {
            String field = "tools[" + i + "]";
            JsonNode tool = tools.get(i);
            if (!tool.path("type").asText().equals("function")) {
                throw wrong(field + ".type", tool.path("type"), "\"function\"");
            }
            ObjectNode function = chat.addTool().put("type", "function").putObject("function");
            function.put("name", string(tool, "name", field));
            if (tool.path("description").isTextual()) {
                function.set("description", tool.path("description"));
            }
            if (tool.hasNonNull("parameters")) {
                function.set("parameters", tool.path("parameters"));
            }
            JsonNode strict = tool.path("strict");
            if (strict.isBoolean()) {
                function.set("strict", strict);
            } else if (!strict.isMissingNode() && !strict.isNull()) {
                throw wrong(field + ".strict", strict, "true or false");
            }
        }
    }

    private static void toolChoice(JsonNode choice, ChatDraft chat) {
        if (choice.isNull()) {
            return;
        }
        if (choice.isTextual()) {
            chat.set("tool_choice", choice);
        } else if (choice.path("type").asText().equals("function")) {
            chat.object("tool_choice")
                    .put("type", "function")
                    .putObject("function")
                    .put("name", string(choice, "name", "tool_choice"));
        } else {
            throw wrong("tool_choice", choice, "\"auto\", \"none\", \"required\" or a function");
        }
    }

    private static void text(JsonNode text, ChatDraft chat) {
        if (text.isNull()) {
            return;
        }
        if (!text.isObject()) {
            throw wrong("text", text, "an object");
        }
        JsonNode verbosity = text.path("verbosity");
        if (!verbosity.isMissingNode()
                && !verbosity.isNull()
                && !verbosity.asText().equals("medium")) {
            throw wrong("text.verbosity", verbosity, "left out or \"medium\"");
        }
        JsonNode format = text.path("format");
        if (format.isMissingNode() || format.isNull()) {
            return;
        }
        switch (format.path("type").asText()) {
            case "text", "json_object" -> chat.object("response_format").set("type", format.path("type"));
            case JSON_SCHEMA -> {
                if (!format.path("schema").isObject()) {
                    throw wrong("text.format.schema", format.path("schema"), "a JSON schema, an object");
                }
                chat.object("response_format")
                        .put("type", JSON_SCHEMA)
                        .putObject(JSON_SCHEMA)
                        .put("name", format.path("name").asText())
                        .set("schema", format.path("schema"));
            }
            default ->
                throw wrong("text.format.type", format.path("type"), "\"text\", \"json_object\" or \"json_schema\"");
        }
    }

    private static void reasoning(JsonNode reasoning, ChatDraft chat) {
        if (reasoning.isNull()) {
            return;
        }
        if (!reasoning.isObject()) {
            throw wrong("reasoning", reasoning, "an object");
        }
        JsonNode effort = reasoning.path("effort");
        if (effort.isTextual()) {
            chat.set("reasoning_effort", effort);
        } else if (!effort.isMissingNode() && !effort.isNull()) {
            throw wrong("reasoning.effort", effort, "a string");
        }
    }
}
