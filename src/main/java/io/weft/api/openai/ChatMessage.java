package io.weft.api.openai;

import static io.weft.api.openai.JsonFields.bad;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import io.weft.api.http.ApiError;
import io.weft.text.PromptPart;
import io.weft.text.tools.OutputFormats;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * A message of a chat.
 *
 * @param role never null or empty in a {@link #conversation}, which says so where it is
 * @param content a string, a list of text parts, or null
 * @param further other fields, for the template
 */
record ChatMessage(
        @Nullable String role,
        @Nullable @Schema(implementation = Object.class) Object content,
        @JsonAnySetter @Nullable Map<String, Object> further) {
    /** More than any context holds with some words in each. */
    static final int MESSAGES_MOST = 4096;

    /** The conversation in the form that templates read. */
    static List<Map<String, Object>> conversation(List<ChatMessage> messages, OutputFormats formats) {
        List<Map<String, Object>> conversation = new ArrayList<>(messages.size());
        for (int i = 0; i < messages.size(); i++) {
            conversation.add(messages.get(i).forTemplate("messages[" + i + "]", formats));
        }
        return conversation;
    }

    /** What the messages say, as far as it is known before a template is rendered, which takes time for long ones. */
    static List<PromptPart> contents(List<Map<String, Object>> conversation) {
        return conversation.stream()
                .map(message -> new PromptPart(String.valueOf(message.get("content")), PromptPart.Origin.USER))
                .toList();
    }

    private Map<String, Object> forTemplate(String name, OutputFormats formats) {
        Map<String, Object> message = new LinkedHashMap<>();
        if (further != null) {
            message.putAll(further);
        }
        message.put("role", role(name + ".role"));
        message.put("content", text(name + ".content", content));
        PastCalls.prepare(message, name, content == null, formats.tools());
        return message;
    }

    private String role(String name) {
        if (role == null) {
            throw bad(name, "is missing or null, must be given");
        }
        if (role.isEmpty()) {
            throw bad(name, "is \"\", must not be empty");
        }
        return role;
    }

    /** The text of a content: a string, a list of text parts, or null. */
    static String text(String name, @Nullable Object content) {
        return switch (content) {
            case null -> "";
            case String text -> text;
            case List<?> parts -> {
                StringBuilder text = new StringBuilder();
                for (int i = 0; i < parts.size(); i++) {
                    text.append(partText(name + "[" + i + "]", parts.get(i)));
                }
                yield text.toString();
            }
            default -> throw bad(name, "must be a string or a list of text parts");
        };
    }

    private static String partText(String name, @Nullable Object part) {
        Map<?, ?> fields = part instanceof Map<?, ?> object ? object : Map.of();
        Object type = fields.get("type");
        if (!"text".equals(type)) {
            String is = type instanceof String other ? "is \"" + ApiError.shortened(other) + "\", " : "";
            throw bad(name + ".type", is + "must be \"text\"");
        }
        if (!(fields.get("text") instanceof String text)) {
            throw bad(name + ".text", "must be a string");
        }
        return text;
    }
}
