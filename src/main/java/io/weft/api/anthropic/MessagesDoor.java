package io.weft.api.anthropic;

import static io.weft.api.openai.JsonFields.bad;
import static io.weft.api.openai.JsonFields.refuse;
import static io.weft.api.openai.JsonFields.string;
import static io.weft.api.openai.JsonFields.wrong;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;
import io.weft.api.openai.AnswerForm;
import io.weft.api.openai.ChatDraft;
import io.weft.api.openai.Door;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Translates requests of the Messages API. Texts of several blocks become lines of their own. */
final class MessagesDoor implements Door {
    private static final Pattern SCHEMA = Pattern.compile("^(tools\\[\\d+])\\.function\\.parameters");
    private static final Pattern FUNCTION = Pattern.compile("^(tools\\[\\d+])\\.function\\b");
    private static final String UNSUPPORTED = "it is not supported";
    private static final String TEXT = "text";
    private static final String USER = "user";
    private static final String ASSISTANT = "assistant";

    @Override
    public String idPrefix() {
        return "msg_";
    }

    @Override
    public String named(String text) {
        String named = FUNCTION.matcher(SCHEMA.matcher(text).replaceFirst("$1.input_schema"))
                .replaceFirst("$1");
        return replaced(
                replaced(named, "response_format.json_schema.schema", "output_config.format.schema"),
                "tool_choice.function.name",
                "tool_choice.name");
    }

    private static String replaced(String text, String chats, String own) {
        return text.startsWith(chats) ? own + text.substring(chats.length()) : text;
    }

    @Override
    public AnswerForm answer() {
        return new MessageForm();
    }

    /** @throws ApiException 400 that names what cannot be translated */
    static ChatDraft translated(MessagesRequest request) {
        ChatDraft chat = new ChatDraft();
        chat.further(request.further());
        refuse("container", ChatDraft.tree(request.container()), UNSUPPORTED);
        refuse("context_management", ChatDraft.tree(request.contextManagement()), UNSUPPORTED);
        refuse("mcp_servers", ChatDraft.tree(request.mcpServers()), UNSUPPORTED);
        refuse("compaction", ChatDraft.tree(request.compaction()), UNSUPPORTED);
        thread(ChatDraft.tree(request.thread()));
        chat.set("model", request.model());
        chat.set("max_tokens", request.maxTokens());
        chat.set("temperature", request.temperature());
        chat.set("top_p", request.topP());
        chat.set("stream", request.stream());
        stops(request.stopSequences(), chat);
        JsonNode system = ChatDraft.tree(request.system());
        if (!system.isNull()) {
            String text = texts(system, "system");
            if (!text.isEmpty()) {
                chat.say("system", text);
            }
        }
        messages(ChatDraft.tree(request.messages()), chat);
        chat.continueAnswer();
        tools(ChatDraft.tree(request.tools()), chat);
        toolChoice(ChatDraft.tree(request.toolChoice()), chat);
        thinking(ChatDraft.tree(request.thinking()), chat);
        outputConfig(ChatDraft.tree(request.outputConfig()), chat);
        format(ChatDraft.tree(request.outputFormat()), "output_format", chat);
        return chat;
    }

    /**
     * Nothing is stored. Clients that are told so send the whole conversation again, as one to be created.
     *
     * @throws ApiException 404 for a conversation that would have to be known
     */
    private static void thread(JsonNode thread) {
        if (thread.isNull()) {
            return;
        }
        JsonNode type = thread.path("type");
        switch (type.asText()) {
            case "create" -> {
                // Its request brings all messages.
            }
            case "continue" ->
                throw ApiError.invalid(
                                404,
                                "thread.previous_message_id is of no message that is stored here: send the whole"
                                        + " conversation.",
                                "thread",
                                "thread_not_found")
                        .exception();
            default -> throw wrong("thread.type", type, "\"create\" or \"continue\"");
        }
    }

    private static void stops(@Nullable List<String> stops, ChatDraft chat) {
        if (stops == null) {
            return;
        }
        ArrayNode all = chat.list("stop");
        for (int i = 0; i < stops.size(); i++) {
            if (stops.get(i).isEmpty()) {
                throw bad("stop_sequences[" + i + "]", "is \"\", must not be empty");
            }
            all.add(stops.get(i));
        }
    }

    /** A string, or blocks of text. */
    private static String texts(JsonNode content, String field) {
        if (content.isTextual()) {
            return content.asText();
        }
        requireList(content, field, "a string or a list of text blocks");
        List<String> texts = new ArrayList<>(content.size());
        for (int i = 0; i < content.size(); i++) {
            String name = field + "[" + i + "]";
            JsonNode block = content.get(i);
            if (!block.path("type").asText().equals(TEXT)) {
                throw wrong(name + ".type", block.path("type"), "\"text\"");
            }
            texts.add(string(block, TEXT, name));
        }
        return String.join("\n", texts);
    }

    private static void requireList(JsonNode value, String field, String wanted) {
        if (!value.isArray()) {
            throw bad(field, (value.isMissingNode() ? "is missing" : "is something else") + ", must be " + wanted);
        }
    }

    private static void messages(JsonNode messages, ChatDraft chat) {
        requireList(messages, "messages", "a list of messages");
        if (messages.isEmpty()) {
            throw bad("messages", "is a list of 0, must have at least 1");
        }
        for (int i = 0; i < messages.size(); i++) {
            String field = "messages[" + i + "]";
            JsonNode message = messages.get(i);
            String role = message.path("role").asText();
            if (!role.equals(USER) && !role.equals(ASSISTANT)) {
                throw wrong(field + ".role", message.path("role"), "\"user\" or \"assistant\"");
            }
            content(message.path("content"), field + ".content", role, chat);
        }
    }

    private static void content(JsonNode content, String field, String role, ChatDraft chat) {
        if (content.isTextual()) {
            chat.join(role, content.asText());
            return;
        }
        requireList(content, field, "a string or a list of blocks");
        for (int i = 0; i < content.size(); i++) {
            if (role.equals(USER)) {
                ofUser(content.get(i), field + "[" + i + "]", chat);
            } else {
                ofAssistant(content.get(i), field + "[" + i + "]", chat);
            }
        }
    }

    private static void ofUser(JsonNode block, String field, ChatDraft chat) {
        switch (block.path("type").asText()) {
            case TEXT -> chat.join(USER, string(block, TEXT, field));
            case "tool_result" -> {
                JsonNode result = block.path("content");
                String text = result.isMissingNode() || result.isNull() ? "" : texts(result, field + ".content");
                chat.result(string(block, "tool_use_id", field), text);
            }
            default -> throw wrong(field + ".type", block.path("type"), "\"text\" or \"tool_result\"");
        }
    }

    private static void ofAssistant(JsonNode block, String field, ChatDraft chat) {
        switch (block.path("type").asText()) {
            case TEXT -> chat.join(ASSISTANT, string(block, TEXT, field));
            case "tool_use" -> {
                JsonNode input = block.path("input");
                if (!input.isObject()) {
                    throw wrong(field + ".input", input, "an object");
                }
                chat.call(string(block, "id", field), string(block, "name", field), input.toString());
            }
            case "thinking" -> chat.think(string(block, "thinking", field));
            // Nobody but its author can read it.
            case "redacted_thinking" -> {}
            default -> throw wrong(field + ".type", block.path("type"), "\"text\", \"tool_use\" or \"thinking\"");
        }
    }

    private static void tools(JsonNode tools, ChatDraft chat) {
        if (tools.isNull()) {
            return;
        }
        requireList(tools, "tools", "a list of tools");
        for (int i = 0; i < tools.size(); i++) {
            String field = "tools[" + i + "]";
            JsonNode tool = tools.get(i);
            JsonNode type = tool.path("type");
            if (!type.isMissingNode() && !type.isNull() && !type.asText().equals("custom")) {
                throw wrong(field + ".type", type, "\"custom\": there are no tools of the server");
            }
            if (!tool.path("input_schema").isObject()) {
                throw wrong(field + ".input_schema", tool.path("input_schema"), "a JSON schema, an object");
            }
            ObjectNode function = chat.addTool().put("type", "function").putObject("function");
            function.put("name", string(tool, "name", field));
            if (tool.path("description").isTextual()) {
                function.set("description", tool.path("description"));
            }
            function.set("parameters", tool.path("input_schema"));
            if (tool.path("strict").isBoolean()) {
                function.set("strict", tool.path("strict"));
            }
        }
    }

    private static void toolChoice(JsonNode choice, ChatDraft chat) {
        if (choice.isNull()) {
            return;
        }
        switch (choice.path("type").asText()) {
            case "auto" -> chat.set("tool_choice", "auto");
            case "any" -> chat.set("tool_choice", "required");
            case "none" -> chat.set("tool_choice", "none");
            case "tool" ->
                chat.object("tool_choice")
                        .put("type", "function")
                        .putObject("function")
                        .put("name", string(choice, "name", "tool_choice"));
            default -> throw wrong("tool_choice.type", choice.path("type"), "\"auto\", \"any\", \"tool\" or \"none\"");
        }
        JsonNode single = choice.path("disable_parallel_tool_use");
        if (single.isBoolean()) {
            chat.set("parallel_tool_calls", !single.booleanValue());
        } else if (!single.isMissingNode() && !single.isNull()) {
            throw wrong("tool_choice.disable_parallel_tool_use", single, "true or false");
        }
    }

    /** Templates that can leave thoughts out have this variable; to others it is nothing. */
    private static void thinking(JsonNode thinking, ChatDraft chat) {
        if (thinking.isNull()) {
            return;
        }
        boolean thinks = switch (thinking.path("type").asText()) {
            case "enabled", "adaptive" -> true;
            case "disabled" -> false;
            default -> throw wrong("thinking.type", thinking.path("type"), "\"enabled\", \"adaptive\" or \"disabled\"");
        };
        chat.templateVariable("enable_thinking", thinks);
    }

    private static void outputConfig(JsonNode config, ChatDraft chat) {
        if (config.isNull()) {
            return;
        }
        if (!config.isObject()) {
            throw wrong("output_config", config, "an object");
        }
        JsonNode effort = config.path("effort");
        if (effort.isTextual()) {
            chat.set("reasoning_effort", effort);
        } else if (!effort.isMissingNode() && !effort.isNull()) {
            throw wrong("output_config.effort", effort, "a string");
        }
        format(config.path("format"), "output_config.format", chat);
    }

    private static void format(JsonNode format, String field, ChatDraft chat) {
        if (format.isMissingNode() || format.isNull()) {
            return;
        }
        if (!format.path("type").asText().equals("json_schema")) {
            throw wrong(field + ".type", format.path("type"), "\"json_schema\"");
        }
        if (!format.path("schema").isObject()) {
            throw wrong(field + ".schema", format.path("schema"), "a JSON schema, an object");
        }
        chat.object("response_format")
                .put("type", "json_schema")
                .putObject("json_schema")
                .put("name", "output")
                .set("schema", format.path("schema"));
    }
}
