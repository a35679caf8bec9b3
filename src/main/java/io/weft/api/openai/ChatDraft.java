package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.api.http.ApiError;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The chat that another API's request stands for, as it is put together. */
public final class ChatDraft {
    /** Fields of chats that mean the same at every door, beside those that are refused everywhere. */
    private static final Set<String> SHARED = Set.of(
            "top_k",
            "min_p",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "repeat_penalty",
            "logit_bias",
            "seed",
            "stop_token_ids",
            "include_stop_str_in_output",
            "min_tokens",
            "truncate_prompt_tokens",
            "ignore_eos",
            "skip_special_tokens",
            "priority",
            "cache_salt",
            "timeout",
            "chat_template",
            "chat_template_kwargs",
            "add_generation_prompt",
            "add_special_tokens",
            "modalities",
            "documents",
            "prediction",
            "parallel_tool_calls",
            "structured_outputs",
            "guided_json",
            "guided_regex",
            "guided_choice",
            "json_schema",
            "regex",
            "format",
            "guided_grammar",
            "guided_whitespace_pattern",
            "grammar",
            "ebnf",
            "structural_tag");

    /** Fields of chats alone: another door has its own, or none. */
    private static final Set<String> OF_CHATS = Set.of(
            "messages",
            "max_tokens",
            "max_completion_tokens",
            "n",
            "best_of",
            "stop",
            "logprobs",
            "prompt_logprobs",
            "response_format",
            "functions",
            "function_call",
            "reasoning_effort",
            "continue_final_message",
            "echo",
            "return_token_ids",
            "weft");

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String ROLE = "role";
    private static final String CONTENT = "content";
    private static final String CALLS = "tool_calls";
    private static final String REASONING = "reasoning_content";

    private final ObjectNode chat = JsonNodeFactory.instance.objectNode();
    /** The message that paragraphs are added to. */
    private @Nullable ObjectNode joining;

    private final StringBuilder joined = new StringBuilder();

    /** A value of free form as JSON; null for none. */
    public static JsonNode tree(@Nullable Object value) {
        return JSON.valueToTree(value);
    }

    /** The body of the chat's request. */
    public JsonNode json() {
        finishJoining();
        return chat;
    }

    /** Sets a field of the chat, unless there is no value. */
    public void set(String field, JsonNode value) {
        if (!value.isNull()) {
            chat.set(field, value);
        }
    }

    public void set(String field, @Nullable String value) {
        if (value != null) {
            chat.put(field, value);
        }
    }

    public void set(String field, @Nullable Double value) {
        if (value != null) {
            chat.put(field, value);
        }
    }

    public void set(String field, @Nullable Long value) {
        if (value != null) {
            chat.put(field, value);
        }
    }

    public void set(String field, @Nullable Boolean value) {
        if (value != null) {
            chat.put(field, value);
        }
    }

    /** An object of the chat, to be filled. */
    public ObjectNode object(String field) {
        return chat.withObjectProperty(field);
    }

    /** A list of the chat, to be filled. */
    public ArrayNode list(String field) {
        return chat.withArrayProperty(field);
    }

    /** Sets a variable of the chat template, unless the request has set it. */
    public void templateVariable(String name, boolean value) {
        JsonNode given = chat.path("chat_template_kwargs");
        // What is no object is refused later.
        if (given.isMissingNode() || (given.isObject() && !given.has(name))) {
            chat.withObjectProperty("chat_template_kwargs").put(name, value);
        }
    }

    /** A new tool of the chat, to be filled. */
    public ObjectNode addTool() {
        return chat.withArrayProperty("tools").addObject();
    }

    /**
     * Takes the fields that a door does not know. Those that mean the same at every door are the chat's; unknown ones
     * have no effect.
     *
     * @throws io.weft.api.http.ApiException for a field of chats that has no meaning here
     */
    public void further(@Nullable Map<String, @Nullable Object> fields) {
        if (fields == null) {
            return;
        }
        Set<String> taken = new HashSet<>(SHARED);
        taken.addAll(UnsupportedFields.names());
        fields.forEach((name, given) -> {
            JsonNode value = taken.contains(name) || OF_CHATS.contains(name) ? tree(given) : NullNode.getInstance();
            if (taken.contains(name)) {
                set(name, value);
            } else if (!asksForNothing(value)) {
                throw ApiError.badField(
                                name,
                                "%s is %s, must be left out: it is a field of /v1/chat/completions."
                                        .formatted(name, ApiError.shortened(value.toString())))
                        .exception();
            }
        });
    }

    private static boolean asksForNothing(JsonNode value) {
        return value.isNull() || (value.isBoolean() ? !value.booleanValue() : value.isInt() && value.intValue() == 1);
    }

    private @Nullable ObjectNode last(String role) {
        JsonNode messages = chat.path("messages");
        JsonNode last = messages.path(messages.size() - 1);
        return last instanceof ObjectNode message && message.path(ROLE).asText().equals(role) ? message : null;
    }

    private ObjectNode message(String role) {
        return chat.withArrayProperty("messages").addObject().put(ROLE, role);
    }

    /** Adds a message; an answer follows the thoughts before it in one message. */
    public void say(String role, String text) {
        ObjectNode last = last(role);
        if (last != null && last.has(REASONING) && !last.has(CONTENT) && !last.has(CALLS)) {
            last.put(CONTENT, text);
        } else {
            message(role).put(CONTENT, text);
        }
    }

    /** Adds a message, or a paragraph to the last one if that has the same role. */
    @SuppressWarnings("ReferenceEquality") // One of two equal messages is joined.
    public void join(String role, String text) {
        ObjectNode last = last(role);
        if (last == null || last != joining) {
            finishJoining();
            joining = last == null ? message(role) : last;
            joined.append(joining.path(CONTENT).asText(""));
            joining.put(CONTENT, "");
        }
        joined.append(joined.isEmpty() ? "" : "\n").append(text);
    }

    /** A text of many paragraphs is put together once. */
    private void finishJoining() {
        if (joining != null) {
            joining.put(CONTENT, joined.toString());
            joining = null;
            joined.setLength(0);
        }
    }

    /** Adds thoughts before an answer. */
    public void think(String text) {
        message("assistant").put(REASONING, text);
    }

    /**
     * Adds the call of a function to the assistant's last message, or to a new one.
     *
     * @param arguments JSON
     */
    public void call(String id, String name, String arguments) {
        ObjectNode last = last("assistant");
        ObjectNode call = (last == null ? message("assistant") : last)
                .withArrayProperty(CALLS)
                .addObject()
                .put("id", id)
                .put("type", "function");
        call.putObject("function").put("name", name).put("arguments", arguments);
    }

    /** Adds the result of a call. */
    public void result(String id, String text) {
        message("tool").put("tool_call_id", id).put(CONTENT, text);
    }

    /** Has the answer go on where the last message ends, if that is the assistant's and says something. */
    public void continueAnswer() {
        ObjectNode last = last("assistant");
        if (last != null && last.has(CONTENT) && !last.has(CALLS)) {
            chat.put("continue_final_message", true);
        }
    }
}
