package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.engine.GenerationEvent.TokenScore;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** Shapes responses of {@code /v1/chat/completions}. */
final class ChatShape implements ResponseShape {
    private static final String ROLE = "assistant";

    private final Head head;
    private final ChatRequest request;
    private final TokenNames names;
    /** The choices of which a chunk was sent. */
    private final BitSet opened = new BitSet();

    ChatShape(Head head, ChatRequest request, TokenNames names) {
        this.head = head;
        this.request = request;
        this.names = names;
    }

    @Override
    public List<Object> chunks(Delta delta, @Nullable JsonNode usage) {
        List<Object> chunks = new ArrayList<>(2);
        Choice choice = delta.choice();
        if (!opened.get(choice.index())) {
            opened.set(choice.index());
            chunks.add(opening(choice, usage));
        }
        switch (delta) {
            case Delta.Token token ->
                chunks.add(chunk(
                        choice,
                        content(token.text()),
                        token.score().map(score -> logprobs(List.of(score))).orElse(null),
                        null,
                        List.of(token.token()),
                        usage));
            case Delta.End end -> {
                if (!end.text().isEmpty()) {
                    chunks.add(chunk(choice, content(end.text()), null, null, List.of(), usage));
                }
                chunks.add(chunk(
                        choice, new ChatResponse.Message(null, null), null, end.finishReason(), List.of(), usage));
            }
            case Delta.PromptScored scored -> {}
        }
        return chunks;
    }

    @Override
    public Object tokenChunk(Choice choice, String text, int token, @Nullable JsonNode usage) {
        return chunk(choice, content(text), null, null, List.of(token), usage);
    }

    private static ChatResponse.Message content(String text) {
        return new ChatResponse.Message(null, text);
    }

    private ChatResponse opening(Choice choice, @Nullable JsonNode usage) {
        ChatResponse.Part part =
                new ChatResponse.Part(choice.index(), null, new ChatResponse.Message(ROLE, ""), null, null, null);
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
        return new ChatResponse.Part(
                result.choice().index(),
                new ChatResponse.Message(ROLE, result.text()),
                null,
                request.alternatives().isEmpty() ? null : logprobs(result.scores()),
                result.finishReason(),
                request.fields().returnsTokenIds() ? result.tokens() : null);
    }
}
