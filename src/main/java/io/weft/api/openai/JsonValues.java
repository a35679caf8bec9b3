package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** JSON as the maps, lists, texts and numbers that templates read. */
final class JsonValues {
    private JsonValues() {}

    private static final ObjectMapper JSON = new ObjectMapper();

    /** The JSON of maps, lists, texts and numbers. */
    static String text(Object value) {
        return JSON.valueToTree(value).toString();
    }

    static Map<String, Object> object() {
        return new LinkedHashMap<>();
    }

    /** Null for JSON's null. */
    static @Nullable Object of(JsonNode node) {
        return switch (node.getNodeType()) {
            case OBJECT -> {
                Map<String, @Nullable Object> members = new LinkedHashMap<>();
                node.properties().forEach(member -> members.put(member.getKey(), of(member.getValue())));
                yield members;
            }
            case ARRAY -> {
                List<@Nullable Object> items = new ArrayList<>(node.size());
                node.forEach(item -> items.add(of(item)));
                yield items;
            }
            case STRING -> node.textValue();
            case BOOLEAN -> node.booleanValue();
            case NUMBER -> node.numberValue();
            default -> null;
        };
    }
}
