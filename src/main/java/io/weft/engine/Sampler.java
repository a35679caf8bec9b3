package io.weft.engine;

import io.weft.pipeline.TokenChoice;
import io.weft.pipeline.TokenChoice.LogitEdit;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
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
    /** Random numbers of the next tokens, as far as they were asked for. */
    private final Deque<Long> uniforms = new ArrayDeque<>();

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

    /** The number of logits that are changed for the next token. */
    int edits() {
        return edits.size();
    }

    /** How the next token is to be chosen; it is then {@linkplain #remember remembered}. */
    TokenChoice next() {
        return next(List.of()).getFirst();
    }

    /**
     * How the next token is to be chosen, and each one after it if the drafted ones before it are right. Nothing has
     * changed afterwards.
     *
     * @return one more than there are drafted tokens
     */
    List<TokenChoice> next(List<Integer> drafted) {
        List<TokenChoice> choices = new ArrayList<>(drafted.size() + 1);
        if (parameters.temperature() > 0) {
            while (uniforms.size() <= drafted.size()) {
                uniforms.addLast(random.nextLong() >>> 1);
            }
        }
        Iterator<Long> numbers = uniforms.iterator();
        choices.add(choice(numbers));
        for (int token : drafted) {
            count(token, 1);
            choices.add(choice(numbers));
        }
        for (int token : drafted.reversed()) {
            count(token, -1);
        }
        return choices;
    }

    private TokenChoice choice(Iterator<Long> numbers) {
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
                numbers.next());
    }

    /** Takes account of a token that was chosen. */
    void remember(int token) {
        count(token, 1);
        uniforms.pollFirst();
    }

    /** The text has a token more, or the last one less. */
    private void count(int token, int change) {
        boolean wasBarring = generated < barred.firstTokens();
        generatedCounts.merge(token, change, (one, other) -> one + other == 0 ? null : one + other);
        generated += change;
        edit(token);
        if (wasBarring != generated < barred.firstTokens()) {
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
