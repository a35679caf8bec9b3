package io.weft.text;

import io.weft.text.template.Template;
import io.weft.text.template.TemplateException;
import java.time.Clock;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A model's chat template. Thread-safe. */
public final class ChatTemplate {
    private final String source;
    private final @Nullable Template template;
    private final String problem;
    private final Map<String, Object> specialTokens;
    private final Clock clock;

    /**
     * @param source the template; if it cannot be read, rendering fails with the reason, and the model still serves
     *     completions
     * @param specialTokens variables such as {@code bos_token}
     */
    ChatTemplate(String source, Map<String, Object> specialTokens, Clock clock) {
        Template parsed = null;
        String unreadable = "";
        try {
            parsed = Template.parse(source);
        } catch (TemplateException e) {
            unreadable = String.valueOf(e.getMessage());
        }
        this.source = source;
        this.template = parsed;
        this.problem = unreadable;
        this.specialTokens = specialTokens;
        this.clock = clock;
    }

    /** The template's text. */
    public String source() {
        return source;
    }

    /** Why no conversation can be rendered; empty if the template was read. */
    public Optional<String> problem() {
        return problem.isEmpty() ? Optional.empty() : Optional.of(problem);
    }

    /**
     * Renders a conversation, ready for the assistant's answer.
     *
     * @param messages each with {@code role}, {@code content} (a string), and any other key that the template reads
     * @param variables further variables of the template, from {@code chat_template_kwargs}
     * @return the prompt; neighbouring parts differ in origin
     * @throws ChatTemplateException if the template refuses the conversation or cannot be run
     */
    public List<PromptPart> render(List<Map<String, Object>> messages, Map<String, Object> variables) {
        if (template == null) {
            throw new ChatTemplateException("the model's chat template cannot be read: " + problem);
        }
        var own = new HashMap<String, @Nullable Object>(specialTokens);
        own.put("add_generation_prompt", true);
        own.put("tools", null);
        own.put("documents", null);
        var callers = new HashMap<String, Object>(variables);
        callers.put("messages", messages);
        try {
            return template.render(own, callers, clock).stream()
                    .map(part -> new PromptPart(
                            part.text(),
                            switch (part.origin()) {
                                case TEMPLATE -> PromptPart.Origin.TEMPLATE;
                                case CALLER -> PromptPart.Origin.USER;
                            }))
                    .toList();
        } catch (TemplateException e) {
            throw new ChatTemplateException("the model's chat template refuses the messages: " + e.getMessage());
        }
    }
}
