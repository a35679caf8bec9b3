package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.databind.JsonNode;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;
import jakarta.validation.constraints.NotEmpty;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * A message of a chat.
 *
 * @param content a string, a list of text parts, or null
 * @param further other fields, for the template
 */
record ChatMessage(
        @NotEmpty String role,
        @Nullable @Schema(implementation = Object.class) JsonNode content,
        @JsonAnySetter @Nullable Map<String, Object> further) {

    /** The conversation in the form that templates read. */
    static List<Map<String, Object>> conversation(List<ChatMessage> messages) {
        List<Map<String, Object>> conversation = new ArrayList<>(messages.size());
        for (int i = 0; i < messages.size(); i++) {
            conversation.add(messages.get(i).forTemplate("messages[" + i + "]"));
        }
        return conversation;
    }

    private Map<String, Object> forTemplate(String name) {
        Map<String, Object> message = new LinkedHashMap<>();
        if (further != null) {
            message.putAll(further);
        }
        message.put("role", role);
        message.put("content", text(name + ".content"));
        return message;
    }

    private String text(String name) {
        if (content == null || content.isNull()) {
            return "";
        }
        if (content.isTextual()) {
            return content.textValue();
        }
        if (!content.isArray()) {
            throw bad(name, "must be a string or a list of text parts");
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < content.size(); i++) {
            text.append(partText(name + "[" + i + "]", content.get(i)));
        }
        return text.toString();
    }

    private static String partText(String name, JsonNode part) {
        JsonNode type = part.path("type");
        if (!type.asText().equals("text")) {
            String is = type.isTextual() ? "is \"" + ApiError.shortened(type.asText()) + "\", " : "";
            throw bad(name + ".type", is + "must be \"text\"");
        }
        if (!part.path("text").isTextual()) {
            throw bad(name + ".text", "must be a string");
        }
        return part.path("text").textValue();
    }

    private static ApiException bad(String name, String what) {
        return ApiError.badField(name, name + " " + what + ".").exception();
    }
}
