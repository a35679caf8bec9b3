package io.weft.api.openai;

import io.smallrye.common.annotation.Blocking;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.ApiSettings;
import io.weft.api.http.Guarded;
import io.weft.api.http.ModelDirectory;
import io.weft.engine.GenerationRequest;
import io.weft.engine.RequestTerms;
import io.weft.engine.ServedModel;
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
        List<Map<String, Object>> conversation = request.conversation(formats);
        request.fields().requireRoom("the chat", tokenizer.leastTokens(ChatMessage.contents(conversation)), model);
        List<PromptPart> prompt =
                ChatPrompt.render(tokenizer, conversation, request.templateVariables(), request.ending());
        ChatReading reading =
                ChatReading.of(request.toolFields(), request.output().output(), formats, prompt);
        request.fields().requireRoom("the chat", tokenizer.leastTokens(prompt), model);
        List<Integer> tokens = request.fields().truncated(tokenizer.encode(prompt, request.addedTokens()), model);
        request.fields().requireMemory(tokens.size(), models.serving().cacheTokens());
        RequestTerms asked = terms.of(request.fields(), routing);
        Optional<Constraint> constraint = reading.output().map(output -> constraints.of(output, model));
        long seed = request.fields().firstSeed(settings);
        RequestTrace trace = traces.begin(
                RequestTrace.Operation.CHAT, model, 1, request.fields().choicesPerPrompt(), routing);
        Optional<String> echo = request.echoed(conversation);
        List<Choice> choices = IntStream.range(0, request.fields().choicesPerPrompt())
                .mapToObj(index ->
                        choice(index, request, model, tokens, echo, seed + index, reading, constraint, asked, trace))
                .toList();
        ResponseShape.Head head = ResponseShape.Head.anew("chatcmpl-", model);
        return responder.answer(
                request.fields(),
                new ChatShape(head, request, new TokenNames(tokenizer), reading, metrics::malformedCalls),
                choices,
                tokens.size(),
                routing);
    }

    private Choice choice(
            int index,
            ChatRequest request,
            ServedModel model,
            List<Integer> tokens,
            Optional<String> echo,
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
                fields.stopTokens(),
                constraint);
        return new Choice(index, generation, echo, fields.stopStrings(), fields.shownTokens(), reading.marks(), trace);
    }
}
