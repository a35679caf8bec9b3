package io.weft.api.anthropic;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.api.http.ApiError;
import io.weft.api.http.ErrorForm;
import io.weft.api.openai.AnswerForm;
import io.weft.text.tools.Output;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** An answer as a message of Anthropic's: blocks of thoughts, text and calls. */
final class MessageForm implements AnswerForm {
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    /** Holds what a model wrote for a call's input and is no object: the name that Anthropic uses for it. */
    private static final String INVALID = "INVALID_JSON";

    private static final String TYPE = "type";

    private enum Kind {
        THINKING("thinking", "thinking_delta", "thinking"),
        TEXT("text", "text_delta", "text"),
        TOOL_USE("tool_use", "input_json_delta", "partial_json");

        private final String type;
        private final String delta;
        private final String member;

        Kind(String type, String delta, String member) {
            this.type = type;
            this.delta = delta;
            this.member = member;
        }
    }

    /** A block that is being written. */
    private record Block(Kind kind, ObjectNode json, StringBuilder text) {}

    private final ObjectNode message = NODES.objectNode();
    private final ArrayNode content = NODES.arrayNode();
    private @Nullable Block open;
    private String id = "";
    private boolean called;

    @Override
    public List<Event> begin(Start start) {
        id = start.id();
        message.put("id", id)
                .put(TYPE, "message")
                .put("role", "assistant")
                .put("model", start.model())
                .set("content", content);
        message.putNull("stop_reason").putNull("stop_sequence");
        message.putObject("usage")
                // Who adds the three has the prompt.
                .put("input_tokens", start.inputTokens() - start.cachedTokens())
                .put("cache_creation_input_tokens", 0)
                .put("cache_read_input_tokens", start.cachedTokens())
                .put("output_tokens", 0);
        ObjectNode data = event("message_start");
        data.set("message", message.deepCopy());
        return List.of(new Event("message_start", data));
    }

    private static ObjectNode event(String type) {
        return NODES.objectNode().put(TYPE, type);
    }

    private ObjectNode ofBlock(String type) {
        return event(type).put("index", content.size());
    }

    @Override
    public List<Event> add(Output part) {
        List<Event> events = new ArrayList<>(3);
        switch (part) {
            case Output.Reasoning(String text) -> write(Kind.THINKING, text, events);
            case Output.Content(String text) -> write(Kind.TEXT, text, events);
            case Output.Call(int index, String name) -> {
                close(events);
                called = true;
                ObjectNode block = NODES.objectNode()
                        .put(TYPE, Kind.TOOL_USE.type)
                        .put("id", id.replaceFirst("^msg_", "toolu_") + index)
                        .put("name", name);
                block.putObject("input");
                begin(new Block(Kind.TOOL_USE, block, new StringBuilder()), events);
            }
            case Output.Arguments(int index, String text) -> write(Kind.TOOL_USE, text, events);
        }
        return events;
    }

    private void write(Kind kind, String text, List<Event> events) {
        if (text.isEmpty()) {
            return;
        }
        Block block = open;
        if (block == null || block.kind() != kind) {
            close(events);
            ObjectNode json = NODES.objectNode().put(TYPE, kind.type).put(kind.member, "");
            if (kind == Kind.THINKING) {
                json.put("signature", "");
            }
            block = new Block(kind, json, new StringBuilder());
            begin(block, events);
        }
        block.text().append(text);
        ObjectNode data = ofBlock("content_block_delta");
        data.putObject("delta").put(TYPE, kind.delta).put(kind.member, text);
        events.add(new Event("content_block_delta", data));
    }

    private void begin(Block block, List<Event> events) {
        open = block;
        ObjectNode data = ofBlock("content_block_start");
        data.set("content_block", block.json().deepCopy());
        events.add(new Event("content_block_start", data));
    }

    private void close(List<Event> events) {
        Block block = open;
        if (block == null) {
            return;
        }
        open = null;
        events.add(new Event("content_block_stop", ofBlock("content_block_stop")));
        String text = block.text().toString();
        if (block.kind() == Kind.TOOL_USE) {
            block.json().set("input", input(text));
        } else {
            block.json().put(block.kind().member, text);
        }
        content.add(block.json());
    }

    private static JsonNode input(String arguments) {
        if (arguments.isBlank()) {
            return NODES.objectNode();
        }
        try {
            JsonNode input = JSON.readTree(arguments);
            if (input.isObject()) {
                return input;
            }
        } catch (JsonProcessingException e) {
            // It is passed on.
        }
        return NODES.objectNode().put(INVALID, arguments);
    }

    @Override
    public List<Event> end(End end) {
        List<Event> events = new ArrayList<>(3);
        close(events);
        String reason = switch (end.reason()) {
            case LENGTH -> "max_tokens";
            case STOP -> {
                if (end.stop().isPresent()) {
                    yield "stop_sequence";
                }
                yield called ? "tool_use" : "end_turn";
            }
        };
        message.put("stop_reason", reason).put("stop_sequence", end.stop().orElse(null));
        message.withObjectProperty("usage").put("output_tokens", end.outputTokens());
        ObjectNode data = event("message_delta");
        data.putObject("delta")
                .put("stop_reason", reason)
                .put("stop_sequence", end.stop().orElse(null));
        data.set("usage", message.path("usage"));
        events.add(new Event("message_delta", data));
        events.add(new Event("message_stop", event("message_stop")));
        return events;
    }

    @Override
    public List<Event> fail(ApiError error, String requestId) {
        return List.of(new Event("error", JSON.valueToTree(ErrorForm.anthropic(error, requestId))));
    }

    @Override
    public JsonNode whole() {
        return message;
    }
}
