package io.weft.api.openai;

import io.weft.api.http.ApiError;
import io.weft.text.ChatTemplate;
import io.weft.text.PromptPart;
import io.weft.text.Tokenizer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Makes prompts of conversations, by the model's chat template. */
final class ChatPrompt {
    /** Roles that models know whose templates write any role's name. */
    private static final Set<String> ROLES = Set.of("system", "user", "assistant", "tool");

    private ChatPrompt() {}

    /** The ending that two fields ask for; a prompt for an answer without them. */
    static ChatTemplate.Ending ending(@Nullable Boolean addGenerationPrompt, @Nullable Boolean continueFinalMessage) {
        if (Boolean.TRUE.equals(continueFinalMessage)) {
            if (Boolean.TRUE.equals(addGenerationPrompt)) {
                throw ApiError.badField(
                                "continue_final_message",
                                "continue_final_message and add_generation_prompt are true, at most one of them may be.")
                        .exception();
            }
            return ChatTemplate.Ending.OPEN_FINAL_MESSAGE;
        }
        return Boolean.FALSE.equals(addGenerationPrompt)
                ? ChatTemplate.Ending.FINAL_MESSAGE
                : ChatTemplate.Ending.GENERATION_PROMPT;
    }

    /** @throws io.weft.api.http.ApiException if the model has no template, or a role that it does not know */
    static List<PromptPart> render(
            Tokenizer tokenizer,
            List<Map<String, Object>> conversation,
            Map<String, Object> variables,
            ChatTemplate.Ending ending) {
        // Some models have another one where there are tools.
        ChatTemplate template = (variables.get("tools") == null ? tokenizer.chatTemplate() : tokenizer.toolTemplate())
                .orElseThrow(() -> ApiError.badField(
                                "messages",
                                "messages cannot be read: the model has no chat template. Use /v1/completions.")
                        .exception());
        for (int i = 0; i < conversation.size(); i++) {
            conversation.set(i, known(conversation.get(i), "messages[" + i + "].role", template));
        }
        return template.render(conversation, variables, ending);
    }

    /** Many templates write any role's name, and models make nonsense of one that they have never seen. */
    private static Map<String, Object> known(Map<String, Object> message, String name, ChatTemplate template) {
        String role = String.valueOf(message.get("role"));
        if (ROLES.contains(role) || template.names(role)) {
            return message;
        }
        // OpenAI's newer name of the same.
        if (role.equals("developer")) {
            Map<String, Object> system = new LinkedHashMap<>(message);
            system.put("role", "system");
            return system;
        }
        throw ApiError.badField(
                        name,
                        "%s is \"%s\", must be system, developer, user, assistant or tool: the chat template names no such role."
                                .formatted(name, ApiError.shortened(role)))
                .exception();
    }
}
