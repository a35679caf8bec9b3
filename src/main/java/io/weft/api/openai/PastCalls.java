package io.weft.api.openai;

import static io.weft.api.openai.JsonFields.bad;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.text.tools.ToolFormat;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Calls of tools in a conversation, and their results, in the form that templates read. */
final class PastCalls {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String CALLS = "tool_calls";
    private static final String CALL_ID = "tool_call_id";

    private PastCalls() {}

    /**
     * Templates want the arguments as an object, as Hugging Face has them, where the API has their text; and no content
     * where there is none.
     *
     * @param message changed
     * @param field of the message
     * @param silent whether the message has no content
     * @param format how the model writes calls
     * @throws io.weft.api.http.ApiException 400 for calls of another shape
     */
    static void prepare(Map<String, Object> message, String field, boolean silent, Optional<ToolFormat> format) {
        Object calls = message.get(CALLS);
        if (calls == null || (calls instanceof List<?> list && list.isEmpty())) {
            message.remove(CALLS);
        } else {
            message.put(CALLS, calls(calls, field + "." + CALLS, format));
            if (silent) {
                withoutContent(message);
            }
        }
        Object id = message.get(CALL_ID);
        if (id != null) {
            message.put(CALL_ID, id(id, field + "." + CALL_ID, format));
        }
    }

    private static void withoutContent(Map<String, @Nullable Object> message) {
        message.put("content", null);
    }

    private static List<Object> calls(Object given, String field, Optional<ToolFormat> format) {
        if (!(given instanceof List<?> list)) {
            throw bad(field, "must be a list of calls");
        }
        List<Object> calls = new ArrayList<>(list.size());
        for (int i = 0; i < list.size(); i++) {
            calls.add(call(list.get(i), field + "[" + i + "]", format));
        }
        return calls;
    }

    private static Map<String, Object> call(@Nullable Object given, String field, Optional<ToolFormat> format) {
        if (!(given instanceof Map<?, ?> members)) {
            throw bad(field, "must be an object");
        }
        Map<String, Object> call = copy(members);
        if (!(members.get("function") instanceof Map<?, ?> called)) {
            throw bad(field + ".function", "must be an object");
        }
        Map<String, Object> function = copy(called);
        if (!(called.get("name") instanceof String)) {
            throw bad(field + ".function.name", "must be a string");
        }
        function.put("arguments", arguments(called.get("arguments"), field + ".function.arguments", format));
        call.put("function", function);
        call.putIfAbsent("type", "function");
        if (call.get("id") != null) {
            call.put("id", id(call.get("id"), field + ".id", format));
        }
        return call;
    }

    private static Map<String, Object> copy(Map<?, ?> members) {
        Map<String, Object> copy = JsonValues.object();
        members.forEach((name, value) -> copy.put(String.valueOf(name), value));
        return copy;
    }

    private static Object arguments(@Nullable Object given, String field, Optional<ToolFormat> format) {
        boolean text = format.filter(ToolFormat::templateTakesText).isPresent();
        return switch (given) {
            case null -> text ? "{}" : Map.of();
            case String written -> text ? written : parsed(written);
            case Map<?, ?> object -> text ? JsonValues.text(object) : object;
            default -> throw bad(field, "must be a string of JSON");
        };
    }

    /** A text that is no JSON object stays: a model wrote it, and reads it again. */
    private static Object parsed(String written) {
        if (written.isBlank()) {
            return Map.of();
        }
        try {
            JsonNode value = JSON.readTree(written);
            Object object = value.isObject() ? JsonValues.of(value) : null;
            return object == null ? written : object;
        } catch (JsonProcessingException e) {
            return written;
        }
    }

    /** Some families' templates take ids of their own form alone. */
    private static String id(Object given, String field, Optional<ToolFormat> format) {
        if (!(given instanceof String id)) {
            throw bad(field, "must be a string");
        }
        int length = format.map(ToolFormat::idLength).orElse(0);
        boolean fits = length == 0 || (id.length() == length && id.chars().allMatch(Character::isLetterOrDigit));
        return fits ? id : ChatAnswer.letters(id, length);
    }
}
