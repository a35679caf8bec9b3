package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.engine.GenerationEvent.TokenScore;
import java.util.BitSet;
import java.util.List;
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
            case Delta.End end ->
                List.of(chunk(
                        end.choice(),
                        end.wholeText(),
                        end.token().map(this::logprobs).orElse(null),
                        end.finishReason(),
                        end.token().map(token -> List.of(token.token())).orElse(List.of()),
                        usage));
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
        return request.alternatives().isEmpty() ? null : promptLogprobs(scored.choice(), scored.scores());
    }

    private CompletionResponse.Logprobs promptLogprobs(Choice choice, List<TokenScore> scores) {
        List<Integer> prompt = choice.request().promptTokens();
        return names.logprobs(
                prompt.getFirst(),
                limited(scores),
                names.places(prompt, request.echoedTokens(), choice.echo().orElse("")));
    }

    private CompletionResponse.@Nullable Logprobs logprobs(Delta.Token token) {
        return token.score().isEmpty()
                ? null
                : names.logprobs(null, List.of(token.score().get()), List.of(echoed(token.choice()) + token.place()));
    }

    /** Code points of the echo before a choice's own text. */
    private static int echoed(Choice choice) {
        String echo = choice.echo().orElse("");
        return echo.codePointCount(0, echo.length());
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
        int echoed = echoed(choice);
        CompletionResponse.Logprobs own = names.logprobs(
                null,
                result.scores(),
                result.places().stream().map(place -> echoed + place).toList());
        return choice.echo().isEmpty()
                ? own
                : promptLogprobs(choice, result.promptScores()).then(own);
    }
}
