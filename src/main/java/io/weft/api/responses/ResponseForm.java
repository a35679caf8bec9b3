package io.weft.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.api.http.ApiError;
import io.weft.api.openai.AnswerForm;
import io.weft.api.openai.ChatDraft;
import io.weft.text.tools.Output;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** An answer as a response of OpenAI's: items of thoughts, messages and calls. */
final class ResponseForm implements AnswerForm {
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final String STATUS = "status";
    private static final String CONTENT = "content";

    private enum Kind {
        REASONING("reasoning", "rs", "reasoning_text"),
        MESSAGE("message", "msg", "output_text"),
        CALL("function_call", "fc", "function_call_arguments");

        private final String type;
        private final String idPrefix;
        /** In the names of events of the text. */
        private final String text;

        Kind(String type, String idPrefix, String text) {
            this.type = type;
            this.idPrefix = idPrefix;
            this.text = text;
        }
    }

    /** An item that is being written. */
    private record Item(Kind kind, ObjectNode json, StringBuilder text) {
        String id() {
            return json.path("id").asText();
        }
    }

    private final ResponsesRequest request;
    private final ObjectNode response = NODES.objectNode();
    private final ArrayNode output = NODES.arrayNode();
    private String idSuffix = "";
    private @Nullable Item open;
    private int sequence;
    private int inputTokens;
    private int cachedTokens;

    ResponseForm(ResponsesRequest request) {
        this.request = request;
    }

    @Override
    public List<Event> begin(Start start) {
        idSuffix = start.id().replaceFirst("^resp_", "");
        inputTokens = start.inputTokens();
        cachedTokens = start.cachedTokens();
        response.put("id", start.id())
                .put("object", "response")
                .put("created_at", start.created())
                .put(STATUS, "in_progress")
                .put("background", false)
                .putNull("error")
                .putNull("incomplete_details")
                .put("instructions", request.instructions())
                .put("max_output_tokens", request.maxOutputTokens())
                .putNull("max_tool_calls")
                .put("model", start.model())
                .set("output", output);
        response.put("parallel_tool_calls", !Boolean.FALSE.equals(request.parallelToolCalls()))
                .putNull("previous_response_id");
        response.putObject("reasoning")
                .put(
                        "effort",
                        ChatDraft.tree(request.reasoning()).path("effort").textValue())
                .putNull("summary");
        response.put("service_tier", "default").put("store", false).put("temperature", start.temperature());
        response.set("text", text());
        response.set("tool_choice", given(request.toolChoice(), NODES.textNode("auto")));
        response.set("tools", given(request.tools(), NODES.arrayNode()));
        response.put("top_logprobs", 0)
                .put("top_p", start.topP())
                .put("truncation", "disabled")
                .putNull("usage")
                .putNull("user");
        response.set("metadata", given(request.metadata(), NODES.objectNode()));
        return List.of(ofResponse("response.created"), ofResponse("response.in_progress"));
    }

    private static JsonNode given(@Nullable Object value, JsonNode without) {
        return value == null ? without : ChatDraft.tree(value);
    }

    private JsonNode text() {
        ObjectNode text = NODES.objectNode();
        JsonNode format = ChatDraft.tree(request.text()).path("format");
        text.set("format", format.isObject() ? format : NODES.objectNode().put("type", "text"));
        return text.put("verbosity", "medium");
    }

    private ObjectNode event(String type) {
        return NODES.objectNode().put("type", type).put("sequence_number", sequence++);
    }

    private Event ofResponse(String type) {
        ObjectNode data = event(type);
        data.set("response", response.deepCopy());
        return new Event(type, data);
    }

    /** An event of the item that is open. */
    private ObjectNode ofItem(String type, Item item) {
        ObjectNode data = event(type).put("item_id", item.id()).put("output_index", output.size());
        return item.kind() == Kind.CALL ? data : data.put("content_index", 0);
    }

    private Event ofOutput(String type, Item item) {
        ObjectNode data = event(type).put("output_index", output.size());
        data.set("item", item.json().deepCopy());
        return new Event(type, data);
    }

    @Override
    public List<Event> add(Output part) {
        List<Event> events = new ArrayList<>(4);
        switch (part) {
            case Output.Reasoning(String text) -> write(Kind.REASONING, text, events);
            case Output.Content(String text) -> write(Kind.MESSAGE, text, events);
            case Output.Call(int index, String name) -> {
                close("completed", events);
                Item item = item(Kind.CALL);
                item.json()
                        .put("call_id", "call_" + idSuffix + index)
                        .put("name", name)
                        .put("arguments", "");
                begin(item, events);
            }
            case Output.Arguments(int index, String text) -> write(Kind.CALL, text, events);
        }
        return events;
    }

    private Item item(Kind kind) {
        ObjectNode json = NODES.objectNode()
                .put("id", kind.idPrefix + "_" + idSuffix + output.size())
                .put("type", kind.type)
                .put(STATUS, "in_progress");
        return new Item(kind, json, new StringBuilder());
    }

    private void write(Kind kind, String text, List<Event> events) {
        if (text.isEmpty()) {
            return;
        }
        Item item = open;
        if (item == null || item.kind() != kind) {
            close("completed", events);
            item = begun(kind, events);
        }
        item.text().append(text);
        String type = "response." + kind.text + ".delta";
        ObjectNode data = ofItem(type, item).put("delta", text);
        if (kind == Kind.MESSAGE) {
            data.putArray("logprobs");
        }
        events.add(new Event(type, data));
    }

    /** A new item with a part for its text. */
    private Item begun(Kind kind, List<Event> events) {
        Item item = item(kind);
        if (kind == Kind.MESSAGE) {
            item.json().put("role", "assistant");
        } else {
            item.json().putArray("summary");
        }
        item.json().putArray(CONTENT);
        begin(item, events);
        events.add(ofPart("response.content_part.added", item, ""));
        return item;
    }

    private void begin(Item item, List<Event> events) {
        open = item;
        events.add(ofOutput("response.output_item.added", item));
    }

    private Event ofPart(String type, Item item, String text) {
        ObjectNode data = ofItem(type, item);
        data.set("part", part(item.kind(), text));
        return new Event(type, data);
    }

    private static ObjectNode part(Kind kind, String text) {
        ObjectNode part = NODES.objectNode().put("type", kind.text).put("text", text);
        if (kind == Kind.MESSAGE) {
            part.putArray("annotations");
            part.putArray("logprobs");
        }
        return part;
    }

    private void close(String status, List<Event> events) {
        Item item = open;
        if (item == null) {
            return;
        }
        String text = item.text().toString();
        String type = "response." + item.kind().text + ".done";
        ObjectNode done = ofItem(type, item);
        if (item.kind() == Kind.CALL) {
            done.put("name", item.json().path("name").asText()).put("arguments", text);
            events.add(new Event(type, done));
            item.json().put("arguments", text);
        } else {
            done.put("text", text);
            if (item.kind() == Kind.MESSAGE) {
                done.putArray("logprobs");
            }
            events.add(new Event(type, done));
            events.add(ofPart("response.content_part.done", item, text));
            item.json().withArrayProperty(CONTENT).add(part(item.kind(), text));
        }
        item.json().put(STATUS, status);
        events.add(ofOutput("response.output_item.done", item));
        open = null;
        output.add(item.json());
    }

    @Override
    public List<Event> end(End end) {
        List<Event> events = new ArrayList<>(6);
        String status = switch (end.reason()) {
            case STOP -> "completed";
            case LENGTH -> "incomplete";
        };
        if (open == null && output.isEmpty()) {
            // Clients look for a message.
            begun(Kind.MESSAGE, events);
        }
        close(status, events);
        response.put(STATUS, status);
        if (end.reason() == Reason.LENGTH) {
            response.putObject("incomplete_details").put("reason", "max_output_tokens");
        }
        ObjectNode usage = response.putObject("usage");
        usage.put("input_tokens", inputTokens).putObject("input_tokens_details").put("cached_tokens", cachedTokens);
        usage.put("output_tokens", end.outputTokens())
                .putObject("output_tokens_details")
                .put("reasoning_tokens", end.reasoningTokens());
        usage.put("total_tokens", inputTokens + end.outputTokens());
        events.add(ofResponse("response." + status));
        return events;
    }

    /** An error, as clients expect it, and the response that failed. */
    @Override
    public List<Event> fail(ApiError error, String requestId) {
        ObjectNode data = event("error")
                .put("code", error.code())
                .put("message", error.message())
                .put("param", error.param());
        // Some clients read the error's fields there.
        data.putObject("error")
                .put("type", error.type())
                .put("code", error.code())
                .put("message", error.message())
                .put("param", error.param());
        response.put(STATUS, "failed");
        response.putObject("error").put("code", failureCode(error)).put("message", error.message());
        return List.of(new Event("error", data), ofResponse("response.failed"));
    }

    /** One of OpenAI's codes. */
    private static String failureCode(ApiError error) {
        if (error.status() == 429) {
            return "rate_limit_exceeded";
        }
        return error.status() == 400 ? "invalid_prompt" : "server_error";
    }

    @Override
    public JsonNode whole() {
        return response;
    }
}
