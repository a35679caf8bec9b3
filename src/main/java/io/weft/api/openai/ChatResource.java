package io.weft.api.openai;

import io.smallrye.common.annotation.Blocking;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiSettings;
import io.weft.api.http.Guarded;
import io.weft.api.http.ModelDirectory;
import io.weft.engine.GenerationRequest;
import io.weft.engine.RequestTerms;
import io.weft.engine.ServedModel;
import io.weft.text.ChatTemplate;
import io.weft.text.PromptPart;
import io.weft.text.Tokenizer;
import io.weft.text.constraint.Constraint;
import io.weft.text.tools.OutputFormats;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.MediaType;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;

/** {@code POST /v1/chat/completions}. */
@Path("/v1/chat/completions")
@Guarded
class ChatResource {
    private final ModelDirectory models;
    private final Responder responder;
    private final Tokenizer tokenizer;
    private final ApiSettings settings;
    private final Terms terms;
    private final Constraints constraints;
    private final OutputFormats formats;
    private final ApiMetrics metrics;
    private final Traces traces;

    ChatResource(
            ModelDirectory models,
            Responder responder,
            Tokenizer tokenizer,
            ApiSettings settings,
            Terms terms,
            Constraints constraints,
            OutputFormats formats,
            ApiMetrics metrics,
            Traces traces) {
        this.models = models;
        this.responder = responder;
        this.tokenizer = tokenizer;
        this.settings = settings;
        this.terms = terms;
        this.constraints = constraints;
        this.formats = formats;
        this.metrics = metrics;
        this.traces = traces;
    }

    @POST
    @Blocking
    @Operation(summary = "Answer in a chat")
    @APIResponse(
            responseCode = "200",
            description = "The answer, or its chunks as server-sent events if stream is true",
            content = {
                @Content(mediaType = MediaType.APPLICATION_JSON, schema = @Schema(implementation = ChatResponse.class)),
                @Content(
                        mediaType = MediaType.SERVER_SENT_EVENTS,
                        schema = @Schema(implementation = ChatResponse.class))
            })
    @Consumes(MediaType.APPLICATION_JSON)
    public Uni<Void> chat(@NotNull @Valid ChatRequest request, RoutingContext routing) {
        request.check();
        ServedModel model = models.model(request.fields().model());
        request.fields().requireChoices(1, settings.maxChoices(), models.serving());
        Map<String, Object> variables = request.templateVariables();
        List<PromptPart> prompt = template(tokenizer, variables).render(request.conversation(formats), variables);
        ChatReading reading =
                ChatReading.of(request.toolFields(), request.output().output(), formats, prompt);
        GenerationFields.requireRoom("the chat", tokenizer.leastTokens(prompt), model);
        List<Integer> tokens = tokenizer.encode(prompt);
        request.fields().requireMemory(tokens.size(), models.serving().cacheTokens());
        RequestTerms asked = terms.of(request.fields(), routing);
        Optional<Constraint> constraint = reading.output().map(output -> constraints.of(output, model));
        long seed = request.fields().firstSeed(settings);
        RequestTrace trace = traces.begin(
                RequestTrace.Operation.CHAT, model, 1, request.fields().choicesPerPrompt(), routing);
        List<Choice> choices = IntStream.range(0, request.fields().choicesPerPrompt())
                .mapToObj(
                        index -> choice(index, request, model, tokens, seed + index, reading, constraint, asked, trace))
                .toList();
        ResponseShape.Head head = ResponseShape.Head.anew("chatcmpl-", model);
        return responder.answer(
                request.fields(),
                new ChatShape(head, request, new TokenNames(tokenizer), reading, metrics::malformedCalls),
                choices,
                tokens.size(),
                routing);
    }

    /** @param variables of the template: some models have another one where there are tools */
    static ChatTemplate template(Tokenizer tokenizer, Map<String, Object> variables) {
        return (variables.get("tools") == null ? tokenizer.chatTemplate() : tokenizer.toolTemplate())
                .orElseThrow(() -> ApiError.badField(
                                "messages",
                                "messages cannot be read: the model has no chat template. Use /v1/completions.")
                        .exception());
    }

    private Choice choice(
            int index,
            ChatRequest request,
            ServedModel model,
            List<Integer> tokens,
            long seed,
            ChatReading reading,
            Optional<Constraint> constraint,
            RequestTerms asked,
            RequestTrace trace) {
        GenerationFields fields = request.fields();
        GenerationRequest generation = new GenerationRequest(
                tokens,
                fields.newTokens(tokens.size(), model, settings.defaultMaxTokens(), model.contextTokens()),
                fields.sampling(model.defaults(), settings, seed),
                fields.endTokens(),
                request.alternatives(),
                GenerationFields.optional(fields.promptLogprobs()),
                asked,
                GenerationRequest.StopTokens.NONE,
                constraint);
        return new Choice(
                index, generation, Optional.empty(), fields.stops(), fields.shownTokens(), reading.marks(), trace);
    }
}
