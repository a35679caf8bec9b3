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
import io.weft.text.Tokenizer;
import io.weft.text.constraint.Constraint;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.MediaType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;

/** {@code POST /v1/completions}. */
@Path("/v1/completions")
@Guarded
class CompletionsResource {
    private static final int DEFAULT_MAX_TOKENS = 16;

    private final ModelDirectory models;
    private final Responder responder;
    private final Tokenizer tokenizer;
    private final ApiSettings settings;
    private final Terms terms;
    private final Constraints constraints;
    private final Traces traces;

    CompletionsResource(
            ModelDirectory models,
            Responder responder,
            Tokenizer tokenizer,
            ApiSettings settings,
            Terms terms,
            Constraints constraints,
            Traces traces) {
        this.models = models;
        this.responder = responder;
        this.tokenizer = tokenizer;
        this.settings = settings;
        this.terms = terms;
        this.constraints = constraints;
        this.traces = traces;
    }

    @POST
    @Blocking
    @Operation(summary = "Complete a prompt")
    @APIResponse(
            responseCode = "200",
            description = "The answer, or its chunks as server-sent events if stream is true",
            content = {
                @Content(
                        mediaType = MediaType.APPLICATION_JSON,
                        schema = @Schema(implementation = CompletionResponse.class)),
                @Content(
                        mediaType = MediaType.SERVER_SENT_EVENTS,
                        schema = @Schema(implementation = CompletionResponse.class))
            })
    @Consumes(MediaType.APPLICATION_JSON)
    public Uni<Void> complete(@NotNull @Valid CompletionRequest request, RoutingContext routing) {
        request.check();
        ServedModel model = models.model(request.fields().model());
        request.fields().requireChoices(request.prompt().count(), settings.maxChoices(), models.serving());
        int prompts = request.prompt().count();
        RequestTrace trace = traces.begin(
                RequestTrace.Operation.COMPLETION,
                model,
                prompts,
                request.fields().choicesPerPrompt(),
                routing);
        List<Choice> choices = new ArrayList<>();
        long seed = request.fields().firstSeed(settings);
        RequestTerms asked = terms.of(request.fields(), routing);
        Optional<Constraint> constraint = constraints.of(request.output(), model);
        List<Integer> predicted = request.fields().predicted(tokenizer, model);
        int promptTokens = 0;
        for (int prompt = 0; prompt < request.prompt().count(); prompt++) {
            String name = request.prompt().name(prompt);
            request.fields().requireRoom(name, request.prompt().leastTokens(prompt, tokenizer), model);
            List<Integer> whole = request.prompt().tokens(prompt, tokenizer, request.reading());
            if (whole.isEmpty()) {
                throw ApiError.badField(name, name + " has no tokens, must have at least 1.")
                        .exception();
            }
            List<Integer> tokens = request.fields().truncated(whole, model);
            promptTokens += tokens.size();
            Optional<String> echo = request.echoes()
                    ? Optional.of(
                            tokens.size() < whole.size()
                                    ? tokenizer.decode(tokens, request.fields().shownTokens())
                                    : request.prompt()
                                            .text(
                                                    prompt,
                                                    tokenizer,
                                                    request.fields().shownTokens()))
                    : Optional.empty();
            for (int i = 0; i < request.fields().choicesPerPrompt(); i++) {
                choices.add(choice(
                        choices.size(), request, model, tokens, predicted, echo, seed + i, constraint, asked, trace));
            }
        }
        ResponseShape.Head head = ResponseShape.Head.anew("cmpl-", model);
        return responder.answer(
                request.fields(),
                new CompletionShape(head, request, new TokenNames(tokenizer)),
                choices,
                promptTokens,
                routing);
    }

    private Choice choice(
            int index,
            CompletionRequest request,
            ServedModel model,
            List<Integer> tokens,
            List<Integer> predicted,
            Optional<String> echo,
            long seed,
            Optional<Constraint> constraint,
            RequestTerms asked,
            RequestTrace trace) {
        GenerationFields fields = request.fields();
        OptionalInt set = settings.defaultMaxTokens();
        GenerationRequest generation = new GenerationRequest(
                tokens,
                fields.newTokens(tokens.size(), model, set, DEFAULT_MAX_TOKENS),
                fields.sampling(model.defaults(), settings, seed),
                fields.endTokens(),
                request.alternatives(),
                request.promptAlternatives(),
                asked,
                fields.stopTokens(),
                constraint,
                predicted);
        return new Choice(index, generation, echo, fields.stopStrings(), fields.shownTokens(), Set.of(), trace);
    }
}
