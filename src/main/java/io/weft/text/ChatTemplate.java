package io.weft.text;

import java.util.List;
import java.util.Map;

/** A model's chat template. Thread-safe. */
public final class ChatTemplate {
    private final String source;
    private final Map<String, Object> specialTokens;

    ChatTemplate(String source, Map<String, Object> specialTokens) {
        this.source = source;
        this.specialTokens = specialTokens;
    }

    /**
     * Renders a conversation, ready for the assistant's answer.
     *
     * @param messages each with {@code role} and {@code content} (a string), and whatever else the template reads
     * @param variables further variables of the template, from {@code chat_template_kwargs}
     * @throws ChatTemplateException if the template refuses the conversation or cannot be run
     */
    public List<PromptPart> render(List<Map<String, Object>> messages, Map<String, Object> variables) {
        throw new UnsupportedOperationException(source + specialTokens);
    }
}
