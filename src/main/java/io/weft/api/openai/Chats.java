package io.weft.api.openai;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.ApiException;
import io.weft.api.http.ApiSettings;
import io.weft.api.http.Errors;
import io.weft.api.http.ModelDirectory;
import io.weft.api.http.RequestEdge;
import io.weft.engine.GenerationRequest;
import io.weft.engine.RequestRejectedException;
import io.weft.engine.RequestTerms;
import io.weft.engine.SamplingParameters;
import io.weft.engine.ServedModel;
import io.weft.text.ChatTemplateException;
import io.weft.text.PromptPart;
import io.weft.text.Tokenizer;
import io.weft.text.constraint.Constraint;
import io.weft.text.tools.OutputFormats;
import jakarta.inject.Singleton;
import jakarta.validation.ConstraintViolation;
import jakarta.validation.ConstraintViolationException;
import jakarta.validation.Validator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/** Answers chats, whichever door they come through. */
@Singleton
public class Chats {
    private final ModelDirectory models;
    private final Responder responder;
    private final Tokenizer tokenizer;
    private final ApiSettings settings;
    private final Terms terms;
    private final Constraints constraints;
    private final OutputFormats formats;
    private final ApiMetrics metrics;
    private final Traces traces;
    private final ObjectMapper json;
    private final Validator validator;

    Chats(
            ModelDirectory models,
            Responder responder,
            Tokenizer tokenizer,
            ApiSettings settings,
            Terms terms,
            Constraints constraints,
            OutputFormats formats,
            ApiMetrics metrics,
            Traces traces,
            ObjectMapper json,
            Validator validator) {
        this.models = models;
        this.responder = responder;
        this.tokenizer = tokenizer;
        this.settings = settings;
        this.terms = terms;
        this.constraints = constraints;
        this.formats = formats;
        this.metrics = metrics;
        this.traces = traces;
        this.json = json;
        this.validator = validator;
    }

    /** A chat that may go to the engine. */
    private record Ready(ServedModel model, ChatReading reading, List<Choice> choices) {
        int promptTokens() {
            return choices.getFirst().request().promptTokens().size();
        }
    }

    /** Answers a chat as OpenAI has it. */
    Uni<Void> answer(ChatRequest request, RoutingContext routing) {
        Ready ready = ready(request, routing);
        ResponseShape.Head head = ResponseShape.Head.anew("chatcmpl-", ready.model());
        return responder.answer(
                request.fields(),
                new ChatShape(head, request, new TokenNames(tokenizer), ready.reading(), metrics::malformedCalls),
                ready.choices(),
                ready.promptTokens(),
                routing);
    }

    /**
     * Answers a chat in the form of another API.
     *
     * @throws ApiException for what cannot be served, in the door's words
     */
    public Uni<Void> answer(ChatDraft draft, Door door, RoutingContext routing) {
        ChatRequest request;
        Ready ready;
        try {
            request = read(draft);
            ready = ready(request, routing);
        } catch (ApiException
                | RequestRejectedException
                | ConstraintViolationException
                | ChatTemplateException
                | JsonProcessingException e) {
            throw inWordsOf(door, e, routing);
        }
        ResponseShape.Head head = ResponseShape.Head.anew(door.idPrefix(), ready.model());
        SamplingParameters sampling = ready.choices().getFirst().request().sampling();
        AnswerForm.Start start = new AnswerForm.Start(
                head.id(),
                head.created(),
                head.model(),
                ready.promptTokens(),
                0,
                sampling.temperature(),
                sampling.topP());
        return responder
                .answer(
                        request.fields(),
                        new TranslatedAnswer(door.answer(), start, ready.reading(), metrics::malformedCalls),
                        ready.choices().getFirst(),
                        routing)
                .onFailure(RequestRejectedException.class)
                .transform(rejected -> inWordsOf(door, rejected, routing));
    }

    /**
     * The tokens of a chat's prompt.
     *
     * @throws ApiException for what cannot be read, in the door's words
     */
    public int promptTokens(ChatDraft draft, Door door, RoutingContext routing) {
        try {
            ChatRequest request = read(draft);
            request.check();
            ServedModel model = models.model(request.fields().model());
            request.toolFields().format(formats);
            List<Map<String, Object>> conversation = request.conversation(formats);
            String field = door.named("messages");
            TokensResource.requireCountable(model, field, tokenizer.leastTokens(ChatMessage.contents(conversation)));
            List<PromptPart> prompt = prompt(request, conversation);
            TokensResource.requireCountable(model, field, tokenizer.leastTokens(prompt));
            return request.fields()
                    .truncated(tokenizer.encode(prompt, request.addedTokens()), model)
                    .size();
        } catch (ApiException | ConstraintViolationException | ChatTemplateException | JsonProcessingException e) {
            throw inWordsOf(door, e, routing);
        }
    }

    private static ApiException inWordsOf(Door door, Throwable failure, RoutingContext routing) {
        return Errors.of(failure, RequestEdge.requestId(routing))
                .in(door::named)
                .exception();
    }

    private ChatRequest read(ChatDraft draft) throws JsonProcessingException {
        ChatRequest request = json.treeToValue(draft.json(), ChatRequest.class);
        Set<ConstraintViolation<ChatRequest>> violations = validator.validate(request);
        if (!violations.isEmpty()) {
            throw new ConstraintViolationException(violations);
        }
        return request;
    }

    private List<PromptPart> prompt(ChatRequest request, List<Map<String, Object>> conversation) {
        return ChatPrompt.render(tokenizer, conversation, request.templateVariables(), request.ending());
    }

    private Ready ready(ChatRequest request, RoutingContext routing) {
        request.check();
        ServedModel model = models.model(request.fields().model());
        request.fields().requireChoices(1, settings.maxChoices(), models.serving());
        List<Map<String, Object>> conversation = request.conversation(formats);
        request.fields().requireRoom("the chat", tokenizer.leastTokens(ChatMessage.contents(conversation)), model);
        List<PromptPart> prompt = prompt(request, conversation);
        ChatReading reading =
                ChatReading.of(request.toolFields(), request.output().output(), formats, prompt);
        request.fields().requireRoom("the chat", tokenizer.leastTokens(prompt), model);
        List<Integer> tokens = request.fields().truncated(tokenizer.encode(prompt, request.addedTokens()), model);
        List<Integer> predicted = request.fields().predicted(tokenizer, model);
        RequestTerms asked = terms.of(request.fields(), routing);
        Optional<Constraint> constraint = reading.output().map(output -> constraints.of(output, model));
        long seed = request.fields().firstSeed(settings);
        RequestTrace trace = traces.begin(
                RequestTrace.Operation.CHAT, model, 1, request.fields().choicesPerPrompt(), routing);
        Optional<String> echo = request.echoed(conversation);
        List<Choice> choices = IntStream.range(0, request.fields().choicesPerPrompt())
                .mapToObj(index -> choice(
                        index,
                        request,
                        model,
                        tokens,
                        predicted,
                        echo,
                        seed + index,
                        reading,
                        constraint,
                        asked,
                        trace))
                .toList();
        return new Ready(model, reading, choices);
    }

    private Choice choice(
            int index,
            ChatRequest request,
            ServedModel model,
            List<Integer> tokens,
            List<Integer> predicted,
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
                constraint,
                predicted);
        return new Choice(index, generation, echo, fields.stopStrings(), fields.shownTokens(), reading.marks(), trace);
    }
}
