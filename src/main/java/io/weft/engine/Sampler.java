package io.weft.engine;

import io.weft.pipeline.TokenChoice;
import io.weft.pipeline.TokenChoice.LogitEdit;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * How the tokens of one request are chosen. Every choice depends on the logits, the request and what it generated so
 * far, and on nothing else.
 */
final class Sampler {
    private final SamplingParameters parameters;
    private final SplittableRandom random;
    private final Set<Integer> promptTokens;
    private final Barred barred;
    private int generated;
    private final Map<Integer, Integer> generatedCounts = new HashMap<>();
    /** By token. */
    private final Map<Integer, LogitEdit> edits = new HashMap<>();

    /**
     * Tokens that are not chosen at first.
     *
     * @param tokens token ids
     * @param firstTokens tokens for which this holds
     */
    record Barred(Set<Integer> tokens, int firstTokens) {
        static final Barred NONE = new Barred(Set.of(), 0);

        Barred {
            tokens = firstTokens == 0 ? Set.of() : Set.copyOf(tokens);
        }
    }

    Sampler(SamplingParameters parameters, List<Integer> promptTokens, Barred barred) {
        this.parameters = parameters;
        this.random = new SplittableRandom(parameters.seed());
        this.promptTokens = parameters.repetitionPenalty() == 1 ? Set.of() : new HashSet<>(promptTokens);
        this.barred = barred;
        parameters.logitBias().keySet().forEach(this::edit);
        barred.tokens().forEach(this::edit);
        this.promptTokens.forEach(this::edit);
    }

    /** How the next token is to be chosen; it is then {@linkplain #remember remembered}. */
    TokenChoice next() {
        List<LogitEdit> all = List.copyOf(edits.values());
        if (parameters.temperature() == 0) {
            return new TokenChoice(all, Optional.empty(), 1, 1, 1, 0, 0);
        }
        int topK = parameters.topK() == 0 ? Integer.MAX_VALUE : parameters.topK();
        return new TokenChoice(
                all,
                Optional.empty(),
                parameters.temperature(),
                topK,
                parameters.topP(),
                parameters.minP(),
                random.nextLong() >>> 1);
    }

    /** Takes account of a token that was chosen. */
    void remember(int token) {
        generatedCounts.merge(token, 1, Integer::sum);
        generated++;
        edit(token);
        if (generated == barred.firstTokens()) {
            barred.tokens().forEach(this::edit);
        }
    }

    private boolean isBarred(int token) {
        return generated < barred.firstTokens() && barred.tokens().contains(token);
    }

    /** Brings the edit of a token up to date. */
    private void edit(int token) {
        int count = generatedCounts.getOrDefault(token, 0);
        boolean seen = count > 0 || promptTokens.contains(token);
        double penalty = count == 0 ? 0 : parameters.presencePenalty() + count * parameters.frequencyPenalty();
        double bias = isBarred(token)
                ? Double.NEGATIVE_INFINITY
                : parameters.logitBias().getOrDefault(token, 0.0);
        double repetitionPenalty = seen ? parameters.repetitionPenalty() : 1;
        if (bias != 0 || repetitionPenalty != 1 || penalty != 0) {
            edits.put(token, new LogitEdit(token, (float) bias, (float) repetitionPenalty, (float) penalty));
        } else {
            edits.remove(token);
        }
    }
}
