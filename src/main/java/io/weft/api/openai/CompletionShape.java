package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.engine.GenerationEvent.TokenScore;
import io.weft.text.Tokenizer.SpecialTokens;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** Shapes responses of {@code /v1/completions}. */
final class CompletionShape implements ResponseShape {
    private static final String OBJECT = "text_completion";

    private final Head head;
    private final CompletionRequest request;
    private final TokenNames names;
    /** The choices of which a chunk was sent. */
    private final BitSet opened = new BitSet();
    /** The characters of a choice's tokens so far. */
    private final Map<Integer, Integer> offsets = new HashMap<>();

    CompletionShape(Head head, CompletionRequest request, TokenNames names) {
        this.head = head;
        this.request = request;
        this.names = names;
    }

    @Override
    public List<Object> chunks(Delta delta, @Nullable JsonNode usage) {
        return switch (delta) {
            case Delta.PromptScored scored ->
                scored.choice().echo().isEmpty()
                        ? List.of()
                        : List.of(chunk(scored.choice(), "", promptLogprobs(scored), null, List.of(), usage));
            case Delta.Token token ->
                List.of(chunk(token.choice(), token.text(), logprobs(token), null, List.of(token.token()), usage));
            case Delta.End end -> List.of(chunk(end.choice(), end.text(), null, end.finishReason(), List.of(), usage));
        };
    }

    @Override
    public Object tokenChunk(Choice choice, String text, int token, @Nullable JsonNode usage) {
        return chunk(choice, text, null, null, List.of(token), usage);
    }

    /** The first chunk of a choice contains the echo of its prompt. */
    private CompletionResponse chunk(
            Choice choice,
            String text,
            CompletionResponse.@Nullable Logprobs logprobs,
            @Nullable String finishReason,
            List<Integer> tokens,
            @Nullable JsonNode usage) {
        boolean first = !opened.get(choice.index());
        opened.set(choice.index());
        boolean ids = request.fields().returnsTokenIds();
        CompletionResponse.Part part = new CompletionResponse.Part(
                choice.index(),
                first ? choice.echo().orElse("") + text : text,
                logprobs,
                finishReason,
                ids && first ? choice.request().promptTokens() : null,
                ids ? tokens : null,
                null);
        return response(List.of(part), usage);
    }

    private CompletionResponse response(List<CompletionResponse.Part> parts, @Nullable JsonNode usage) {
        return new CompletionResponse(head.id(), OBJECT, head.created(), head.model(), parts, usage);
    }

    private CompletionResponse.@Nullable Logprobs promptLogprobs(Delta.PromptScored scored) {
        return request.alternatives().isEmpty()
                ? null
                : promptLogprobs(
                        scored.choice(),
                        scored.scores(),
                        advance(scored.choice(), scored.choice().request().promptTokens(), request.echoedTokens()));
    }

    private CompletionResponse.Logprobs promptLogprobs(Choice choice, List<TokenScore> scores, int offset) {
        return names.logprobs(
                choice.request().promptTokens().getFirst(), limited(scores), offset, request.echoedTokens());
    }

    private CompletionResponse.@Nullable Logprobs logprobs(Delta.Token token) {
        return token.score().isEmpty()
                ? null
                : names.logprobs(
                        null,
                        List.of(token.score().get()),
                        advance(
                                token.choice(),
                                List.of(token.token()),
                                token.choice().shown()),
                        token.choice().shown());
    }

    /** Counts a choice's next tokens; returns the number of characters before them. */
    private int advance(Choice choice, List<Integer> tokens, SpecialTokens shown) {
        int offset = offsets.getOrDefault(choice.index(), 0);
        offsets.put(choice.index(), offset + names.characters(tokens, shown));
        return offset;
    }

    /** The prompt may have been scored with more alternatives than the echo shows. */
    private List<TokenScore> limited(List<TokenScore> scores) {
        int most = request.alternatives().orElseThrow();
        return scores.stream()
                .map(score -> new TokenScore(
                        score.token(),
                        score.logprob(),
                        score.alternatives()
                                .subList(0, Math.min(most, score.alternatives().size()))))
                .toList();
    }

    @Override
    public Object usageChunk(JsonNode usage) {
        return response(List.of(), usage);
    }

    @Override
    public Object whole(List<ChoiceResult> results, JsonNode usage) {
        return response(results.stream().map(this::whole).toList(), usage);
    }

    private CompletionResponse.Part whole(ChoiceResult result) {
        Choice choice = result.choice();
        boolean ids = request.fields().returnsTokenIds();
        OptionalInt promptAlternatives =
                GenerationFields.optional(request.fields().promptLogprobs());
        return new CompletionResponse.Part(
                choice.index(),
                choice.echo().orElse("") + result.text(),
                request.alternatives().isEmpty() ? null : wholeLogprobs(result),
                result.finishReason(),
                ids ? choice.request().promptTokens() : null,
                ids ? result.tokens() : null,
                promptAlternatives.isEmpty()
                        ? null
                        : names.promptLogprobs(result.promptScores(), promptAlternatives.getAsInt()));
    }

    private CompletionResponse.Logprobs wholeLogprobs(ChoiceResult result) {
        Choice choice = result.choice();
        if (choice.echo().isEmpty()) {
            return names.logprobs(null, result.scores(), 0, choice.shown());
        }
        int offset = names.characters(choice.request().promptTokens(), request.echoedTokens());
        return promptLogprobs(choice, result.promptScores(), 0)
                .then(names.logprobs(null, result.scores(), offset, choice.shown()));
    }
}
