package io.weft.text;

import io.weft.text.template.Template;
import io.weft.text.template.TemplateException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A model's chat template. Thread-safe. */
public final class ChatTemplate {
    /** Stands at the end of a message that is to be continued, to find the place in the prompt; no text has it. */
    private static final String END_OF_FINAL_MESSAGE = "\uE000weft: the final message ends here\uE001";

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

    /** How a prompt ends. */
    public enum Ending {
        /** With what stands before an answer of the assistant. */
        GENERATION_PROMPT,
        /** After the final message. */
        FINAL_MESSAGE,
        /** Within the final message, at the end of its content: whatever comes is more of it. */
        OPEN_FINAL_MESSAGE
    }

    /** Whether the template has a role's name in quotes. */
    public boolean names(String role) {
        return source.contains("'" + role + "'") || source.contains("\"" + role + "\"");
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
        return render(messages, variables, Ending.GENERATION_PROMPT);
    }

    /** The same with another ending. */
    public List<PromptPart> render(List<Map<String, Object>> messages, Map<String, Object> variables, Ending ending) {
        return switch (ending) {
            case GENERATION_PROMPT -> rendered(messages, variables, true);
            case FINAL_MESSAGE -> rendered(messages, variables, false);
            case OPEN_FINAL_MESSAGE -> openEnded(messages, variables);
        };
    }

    /**
     * Cuts where the content of the final message ends, as Hugging Face's {@code continue_final_message} does: a mark
     * and a space after it say where, and whether the template trims what it writes.
     */
    private List<PromptPart> openEnded(List<Map<String, Object>> messages, Map<String, Object> variables) {
        Map<String, Object> marked = new HashMap<>(messages.getLast());
        marked.merge("content", END_OF_FINAL_MESSAGE + " ", (content, end) -> content + "" + end);
        List<Map<String, Object>> all = new ArrayList<>(messages);
        all.set(all.size() - 1, marked);
        List<PromptPart> parts = rendered(all, variables, false);
        String text = parts.stream().map(PromptPart::text).collect(Collectors.joining());
        int end = text.lastIndexOf(END_OF_FINAL_MESSAGE);
        if (end < 0) {
            throw new ChatTemplateException(
                    "the model's chat template leaves out the final message, so that it cannot be continued");
        }
        if (!text.startsWith(" ", end + END_OF_FINAL_MESSAGE.length())) {
            end = text.substring(0, end).stripTrailing().length();
        }
        List<PromptPart> kept = new ArrayList<>();
        int start = 0;
        for (PromptPart part : parts) {
            String own = part.text()
                    .substring(0, Math.clamp(end - start, 0, part.text().length()));
            if (!own.isEmpty()) {
                kept.add(new PromptPart(own, part.origin()));
            }
            start += part.text().length();
        }
        return kept;
    }

    private List<PromptPart> rendered(
            List<Map<String, Object>> messages, Map<String, Object> variables, boolean addsGenerationPrompt) {
        if (template == null) {
            throw new ChatTemplateException("the model's chat template cannot be read: " + problem);
        }
        var own = new HashMap<String, @Nullable Object>(specialTokens);
        own.put("add_generation_prompt", addsGenerationPrompt);
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
