package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.smallrye.common.annotation.Blocking;
import io.weft.api.http.ApiError;
import io.weft.api.http.Guarded;
import io.weft.api.http.ModelDirectory;
import io.weft.engine.ServedModel;
import io.weft.text.PromptPart;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import io.weft.text.tools.OutputFormats;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.jspecify.annotations.Nullable;

/** {@code POST /tokenize} and {@code POST /detokenize}: text to tokens and back. */
@Path("/")
@Produces(MediaType.APPLICATION_JSON)
@Consumes(MediaType.APPLICATION_JSON)
@Guarded
class TokensResource {
    /** Clients that count tokens may send more than fits the context, but the largest bodies would take too long. */
    private static final int CONTEXTS_MOST = 4;

    /** As many as a body may have. */
    private static final int TOKENS_MOST = 1 << 19;

    private final ModelDirectory models;
    private final Tokenizer tokenizer;
    private final OutputFormats formats;

    TokensResource(ModelDirectory models, Tokenizer tokenizer, OutputFormats formats) {
        this.models = models;
        this.tokenizer = tokenizer;
        this.formats = formats;
    }

    /** A text, or a chat. */
    @JsonNaming(SnakeCaseStrategy.class)
    record TokenizeRequest(
            @Nullable String model,
            @Nullable String prompt,
            @Nullable @Size(max = ChatMessage.MESSAGES_MOST) List<ChatMessage> messages,
            @Nullable @Size(max = ToolFields.TOOLS_MOST) List<ToolDefinition> tools,
            @Nullable Map<String, Object> chatTemplateKwargs,
            @Nullable Boolean addGenerationPrompt,
            @Nullable Boolean continueFinalMessage,
            @Nullable Boolean addSpecialTokens,
            @Nullable Boolean parseSpecial,
            @Nullable Boolean returnTokenStrs) {}

    /** Tokens of a text. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Tokens(
            int count,
            int maxModelLen,
            List<Integer> tokens,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            List<String> tokenStrs) {}

    /** Tokens. */
    record DetokenizeRequest(
            @Nullable String model,
            @NotNull @Size(max = TOKENS_MOST) List<Integer> tokens) {}

    /** Text of some tokens. */
    record Text(String prompt) {}

    @POST
    @Operation(summary = "Turn a text or a chat into tokens")
    @Path("/tokenize")
    @Blocking
    public Tokens tokenize(@NotNull @Valid TokenizeRequest request) {
        ServedModel model = models.model(request.model());
        List<Integer> tokens = tokens(request, model);
        List<String> pieces = Boolean.TRUE.equals(request.returnTokenStrs())
                ? tokens.stream().map(tokenizer::piece).toList()
                : null;
        return new Tokens(tokens.size(), model.contextTokens(), tokens, pieces);
    }

    private List<Integer> tokens(TokenizeRequest request, ServedModel model) {
        if ((request.prompt() == null) == (request.messages() == null)) {
            throw ApiError.badField("prompt", "Either prompt or messages must be given.")
                    .exception();
        }
        if (request.prompt() != null) {
            requireCountable(model, "prompt", tokenizer.leastTokens(request.prompt()));
            return TextReading.of(request.addSpecialTokens(), request.parseSpecial())
                    .encode(request.prompt(), tokenizer);
        }
        ToolFields tools = new ToolFields(request.tools(), null, null, null, null);
        tools.check();
        tools.format(formats);
        Map<String, Object> variables = new LinkedHashMap<>();
        if (request.chatTemplateKwargs() != null) {
            variables.putAll(request.chatTemplateKwargs());
        }
        variables.putAll(tools.variables());
        List<Map<String, Object>> conversation = ChatMessage.conversation(request.messages(), formats);
        tools.tell(conversation, formats);
        requireCountable(model, "messages", tokenizer.leastTokens(ChatMessage.contents(conversation)));
        List<PromptPart> chat = ChatPrompt.render(
                tokenizer,
                conversation,
                variables,
                ChatPrompt.ending(request.addGenerationPrompt(), request.continueFinalMessage()));
        requireCountable(model, "messages", tokenizer.leastTokens(chat));
        SpecialTokens added =
                Boolean.TRUE.equals(request.addSpecialTokens()) ? SpecialTokens.WITH : SpecialTokens.WITHOUT;
        return tokenizer.encode(chat, added);
    }

    /** @throws io.weft.api.http.ApiException if a text is too long to be tokenized only to be counted */
    static void requireCountable(ServedModel model, String field, int leastTokens) {
        long tokensMost = CONTEXTS_MOST * (long) model.contextTokens();
        if (leastTokens > tokensMost) {
            throw ApiError.badField(
                            field,
                            "%s has at least %d tokens, must have at most %d: %d times the model's context."
                                    .formatted(field, leastTokens, tokensMost, CONTEXTS_MOST))
                    .exception();
        }
    }

    @POST
    @Operation(summary = "Turn tokens into text")
    @Path("/detokenize")
    @Blocking
    public Text detokenize(@NotNull @Valid DetokenizeRequest request) {
        ServedModel model = models.model(request.model());
        long tokensMost = CONTEXTS_MOST * (long) model.contextTokens();
        if (request.tokens().size() > tokensMost) {
            throw ApiError.badField(
                            "tokens",
                            "tokens is a list of %d, must have at most %d: %d times the model's context."
                                    .formatted(request.tokens().size(), tokensMost, CONTEXTS_MOST))
                    .exception();
        }
        for (int i = 0; i < request.tokens().size(); i++) {
            int token = request.tokens().get(i);
            if (token < 0 || token >= model.vocabularySize()) {
                String name = "tokens[" + i + "]";
                throw ApiError.badField(
                                name,
                                "%s is %d, must be from 0 to %d.".formatted(name, token, model.vocabularySize() - 1))
                        .exception();
            }
        }
        return new Text(tokenizer.decode(request.tokens(), SpecialTokens.WITH));
    }
}
