package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import io.weft.engine.GenerationEvent.TokenScore;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** Shapes responses of {@code /v1/chat/completions}. */
final class ChatShape implements ResponseShape {
    private static final String ROLE = "assistant";

    private final Head head;
    private final ChatRequest request;
    private final TokenNames names;
    private final ChatReading reading;
    /** Counts calls that are no JSON. */
    private final IntConsumer malformedCalls;
    /** By the choice's index, if there is something to take apart. */
    private final Map<Integer, ChatAnswer> answers = new HashMap<>();
    /** The choices of which a chunk was sent. */
    private final BitSet opened = new BitSet();

    ChatShape(Head head, ChatRequest request, TokenNames names, ChatReading reading, IntConsumer malformedCalls) {
        this.head = head;
        this.request = request;
        this.names = names;
        this.reading = reading;
        this.malformedCalls = malformedCalls;
    }

    @Override
    public List<Object> chunks(Delta delta, @Nullable JsonNode usage) {
        List<Object> chunks = new ArrayList<>(2);
        Choice choice = delta.choice();
        if (!opened.get(choice.index())) {
            opened.set(choice.index());
            chunks.add(opening(choice, usage));
            choice.echo().ifPresent(echo -> chunks.add(chunk(choice, content(echo), null, null, List.of(), usage)));
        }
        if (reading.isPlain()) {
            addPlain(delta, usage, chunks);
        } else {
            addParts(delta, usage, chunks);
        }
        return chunks;
    }

    private void addParts(Delta delta, @Nullable JsonNode usage, List<Object> chunks) {
        Choice choice = delta.choice();
        ChatAnswer answer = answers.computeIfAbsent(choice.index(), this::answer);
        switch (delta) {
            case Delta.Token token ->
                answer.add(token.text(), token.token(), token.score())
                        .forEach(part -> chunks.add(chunk(choice, part, null, usage)));
            case Delta.End end -> {
                end.token()
                        .ifPresent(last -> answer.add(last.text(), last.token(), last.score())
                                .forEach(part -> chunks.add(chunk(choice, part, null, usage))));
                answer.end(end.text()).forEach(part -> chunks.add(chunk(choice, part, null, usage)));
                chunks.add(chunk(choice, answer.rest(), answer.finishReason(end.finishReason()), usage));
                malformedCalls.accept(answer.malformedCalls());
            }
            case Delta.PromptScored scored -> {}
        }
    }

    private ChatAnswer answer(int choice) {
        return new ChatAnswer(reading, head.id(), choice);
    }

    private ChatResponse chunk(
            Choice choice, ChatAnswer.Part part, @Nullable String finishReason, @Nullable JsonNode usage) {
        return chunk(
                choice,
                part.message(),
                part.scores().isEmpty() ? null : logprobs(part.scores()),
                finishReason,
                part.tokens(),
                usage);
    }

    private void addPlain(Delta delta, @Nullable JsonNode usage, List<Object> chunks) {
        Choice choice = delta.choice();
        switch (delta) {
            case Delta.Token token -> chunks.add(chunk(token, token.text(), usage));
            case Delta.End end -> {
                if (end.token().isPresent()) {
                    chunks.add(chunk(end.token().get(), end.wholeText(), usage));
                } else if (!end.text().isEmpty()) {
                    chunks.add(chunk(choice, content(end.text()), null, null, List.of(), usage));
                }
                chunks.add(chunk(
                        choice,
                        new ChatResponse.Message(null, null, null, null),
                        null,
                        end.finishReason(),
                        List.of(),
                        usage));
            }
            case Delta.PromptScored scored -> {}
        }
    }

    @Override
    public boolean hasTokenChunks() {
        return reading.isPlain();
    }

    private ChatResponse chunk(Delta.Token token, String text, @Nullable JsonNode usage) {
        return chunk(
                token.choice(),
                content(text),
                token.score().map(score -> logprobs(List.of(score))).orElse(null),
                null,
                List.of(token.token()),
                usage);
    }

    @Override
    public Object tokenChunk(Choice choice, String text, int token, @Nullable JsonNode usage) {
        return chunk(choice, content(text), null, null, List.of(token), usage);
    }

    private static ChatResponse.Message content(String text) {
        return ChatResponse.Message.content(text);
    }

    private ChatResponse opening(Choice choice, @Nullable JsonNode usage) {
        ChatResponse.Message role = new ChatResponse.Message(ROLE, TextNode.valueOf(""), null, null);
        ChatResponse.Part part = new ChatResponse.Part(choice.index(), null, role, null, null, null);
        return chunk(List.of(part), promptIds(choice), usage);
    }

    private @Nullable List<Integer> promptIds(Choice choice) {
        return request.fields().returnsTokenIds() ? choice.request().promptTokens() : null;
    }

    private ChatResponse chunk(
            Choice choice,
            ChatResponse.Message delta,
            ChatResponse.@Nullable Logprobs logprobs,
            @Nullable String finishReason,
            List<Integer> tokens,
            @Nullable JsonNode usage) {
        List<Integer> ids = request.fields().returnsTokenIds() ? tokens : null;
        ChatResponse.Part part = new ChatResponse.Part(choice.index(), null, delta, logprobs, finishReason, ids);
        return chunk(List.of(part), null, usage);
    }

    private ChatResponse chunk(
            List<ChatResponse.Part> parts, @Nullable List<Integer> promptIds, @Nullable JsonNode usage) {
        return new ChatResponse(
                head.id(), "chat.completion.chunk", head.created(), head.model(), parts, null, promptIds, usage);
    }

    private ChatResponse.Logprobs logprobs(List<TokenScore> scores) {
        return new ChatResponse.Logprobs(scores.stream().map(names::chatLogprob).toList());
    }

    @Override
    public Object usageChunk(JsonNode usage) {
        return chunk(List.of(), null, usage);
    }

    @Override
    public Object whole(List<ChoiceResult> results, JsonNode usage) {
        ChoiceResult first = results.getFirst();
        OptionalInt promptAlternatives =
                GenerationFields.optional(request.fields().promptLogprobs());
        return new ChatResponse(
                head.id(),
                "chat.completion",
                head.created(),
                head.model(),
                results.stream().map(this::whole).toList(),
                promptAlternatives.isEmpty()
                        ? null
                        : names.promptLogprobs(first.promptScores(), promptAlternatives.getAsInt()),
                promptIds(first.choice()),
                usage);
    }

    private ChatResponse.Part whole(ChoiceResult result) {
        ChatResponse.Message message;
        String finishReason = result.finishReason();
        String echo = result.choice().echo().orElse("");
        if (reading.isPlain()) {
            message = new ChatResponse.Message(ROLE, TextNode.valueOf(echo + result.text()), null, null);
        } else {
            ChatAnswer answer = answer(result.choice().index());
            message = answer.whole(ROLE, echo, result.text());
            finishReason = answer.finishReason(finishReason);
            malformedCalls.accept(answer.malformedCalls());
        }
        return new ChatResponse.Part(
                result.choice().index(),
                message,
                null,
                request.alternatives().isEmpty() ? null : logprobs(result.scores()),
                finishReason,
                request.fields().returnsTokenIds() ? result.tokens() : null);
    }
}
