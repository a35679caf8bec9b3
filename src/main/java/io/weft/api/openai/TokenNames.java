package io.weft.api.openai;

import io.weft.api.openai.CompletionResponse.PromptLogprob;
import io.weft.engine.GenerationEvent.Alternative;
import io.weft.engine.GenerationEvent.TokenScore;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Shows scored tokens as the API does. */
record TokenNames(Tokenizer tokenizer) {
    /** The value that represents −∞, which JSON does not have. */
    private static final float LEAST_LOGPROB = -9999;

    static float finite(float logprob) {
        return Math.max(logprob, LEAST_LOGPROB);
    }

    /**
     * The log-probabilities of consecutive tokens.
     *
     * @param first a token before all others that has no score, if there is one
     * @param places code points of the text before each token
     */
    CompletionResponse.Logprobs logprobs(@Nullable Integer first, List<TokenScore> scores, List<Integer> places) {
        List<String> tokens = new ArrayList<>();
        List<@Nullable Float> logprobs = new ArrayList<>();
        List<@Nullable Map<String, Float>> alternatives = new ArrayList<>();
        if (first != null) {
            tokens.add(tokenizer.piece(first));
            logprobs.add(null);
            alternatives.add(null);
        }
        for (TokenScore score : scores) {
            tokens.add(tokenizer.piece(score.token()));
            logprobs.add(finite(score.logprob()));
            alternatives.add(alternatives(score));
        }
        return new CompletionResponse.Logprobs(tokens, logprobs, alternatives, places);
    }

    /**
     * The places of a prompt's tokens in its echo.
     *
     * @param shown whether the echo has the special ones among them
     */
    List<Integer> places(List<Integer> prompt, SpecialTokens shown, String echo) {
        int length = echo.codePointCount(0, echo.length());
        return tokenizer.places(prompt, shown).stream()
                .map(place -> Math.min(place, length))
                .toList();
    }

    /** The alternatives, best first, with the token itself. */
    private Map<String, Float> alternatives(TokenScore score) {
        Map<String, Float> alternatives = new LinkedHashMap<>();
        for (Alternative alternative : score.alternatives()) {
            alternatives.putIfAbsent(tokenizer.piece(alternative.token()), finite(alternative.logprob()));
        }
        alternatives.putIfAbsent(tokenizer.piece(score.token()), finite(score.logprob()));
        return alternatives;
    }

    ChatResponse.TokenLogprob chatLogprob(TokenScore score) {
        return new ChatResponse.TokenLogprob(
                tokenizer.piece(score.token()),
                finite(score.logprob()),
                bytes(score.token()),
                score.alternatives().stream()
                        .map(alternative -> new ChatResponse.Alternative(
                                tokenizer.piece(alternative.token()),
                                finite(alternative.logprob()),
                                bytes(alternative.token())))
                        .toList());
    }

    private List<Integer> bytes(int token) {
        List<Integer> bytes = new ArrayList<>();
        for (byte value : tokenizer.pieceBytes(token)) {
            bytes.add(Byte.toUnsignedInt(value));
        }
        return bytes;
    }

    /** The log-probabilities of a prompt by token id; the first token has none. */
    List<@Nullable Map<String, PromptLogprob>> promptLogprobs(List<TokenScore> scores, int alternatives) {
        List<@Nullable Map<String, PromptLogprob>> all = new ArrayList<>();
        all.add(null);
        for (TokenScore score : scores) {
            Map<String, PromptLogprob> byId = new LinkedHashMap<>();
            int rank = 1;
            for (Alternative alternative : score.alternatives()
                    .subList(0, Math.min(alternatives, score.alternatives().size()))) {
                byId.put("" + alternative.token(), promptLogprob(alternative.token(), alternative.logprob(), rank++));
            }
            byId.putIfAbsent("" + score.token(), promptLogprob(score.token(), score.logprob(), null));
            all.add(byId);
        }
        return all;
    }

    private PromptLogprob promptLogprob(int token, float logprob, @Nullable Integer rank) {
        return new PromptLogprob(finite(logprob), rank, tokenizer.piece(token));
    }
}
