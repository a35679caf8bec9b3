package io.weft.engine;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Chooses the tokens of one request. Every choice depends on the logits, the request and what it generated so far, and
 * on nothing else.
 */
final class Sampler {
    /**
     * A nucleus is looked for among tokens at least this factor times the likeliest, then the factor again, and so on.
     */
    private static final double NUCLEUS_STEP = 1.0 / 1024;

    private final SamplingParameters parameters;
    private final SplittableRandom random;
    private final Set<Integer> promptTokens;
    private final Map<Integer, Integer> generatedCounts = new HashMap<>();

    Sampler(SamplingParameters parameters, List<Integer> promptTokens) {
        this.parameters = parameters;
        this.random = new SplittableRandom(parameters.seed());
        this.promptTokens = parameters.repetitionPenalty() == 1 ? Set.of() : new HashSet<>(promptTokens);
    }

    /**
     * Chooses a token and remembers it.
     *
     * @param logits (vocabulary); changed
     */
    int choose(float[] logits) {
        parameters.logitBias().forEach((token, bias) -> logits[token] += bias.floatValue());
        penalise(logits);
        int token = parameters.temperature() == 0 ? likeliest(logits) : draw(logits);
        generatedCounts.merge(token, 1, Integer::sum);
        return token;
    }

    private void penalise(float[] logits) {
        if (parameters.repetitionPenalty() != 1) {
            float penalty = (float) parameters.repetitionPenalty();
            Set<Integer> seen = new HashSet<>(promptTokens);
            seen.addAll(generatedCounts.keySet());
            for (int token : seen) {
                logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
            }
        }
        generatedCounts.forEach((token, count) ->
                logits[token] -= (float) (parameters.presencePenalty() + count * parameters.frequencyPenalty()));
    }

    /** The smallest id among the largest logits. */
    private static int likeliest(float[] logits) {
        int best = 0;
        for (int token = 1; token < logits.length; token++) {
            if (logits[token] > logits[best]) {
                best = token;
            }
        }
        return best;
    }

    private int draw(float[] logits) {
        float largest = logits[likeliest(logits)];
        double[] weights = new double[logits.length];
        double total = 0;
        for (int token = 0; token < weights.length; token++) {
            weights[token] = Math.exp((logits[token] - largest) / parameters.temperature());
            total += weights[token];
        }
        int[] candidates = candidates(weights, total);
        double left = random.nextDouble() * mass(weights, candidates, candidates.length);
        for (int token : candidates) {
            left -= weights[token];
            if (left < 0) {
                return token;
            }
        }
        return candidates[candidates.length - 1];
    }

    private static double mass(double[] weights, int[] tokens, int count) {
        double mass = 0;
        for (int i = 0; i < count; i++) {
            mass += weights[tokens[i]];
        }
        return mass;
    }

    /** Tokens that top-k, top-p and min-p leave, the likeliest first unless all are left. */
    private int[] candidates(double[] weights, double total) {
        boolean keepsAll = (parameters.topK() == 0 || parameters.topK() >= weights.length)
                && parameters.topP() == 1
                && parameters.minP() == 0;
        if (keepsAll) {
            int[] all = new int[weights.length];
            Arrays.setAll(all, token -> token);
            return all;
        }
        int topK = parameters.topK() == 0 ? weights.length : Math.min(parameters.topK(), weights.length);
        int[] sorted = likeliestFirst(weights, topK, total);
        double wanted = parameters.topP() * (topK < weights.length ? mass(weights, sorted, topK) : total);
        double mass = 0;
        int count = 0;
        while (count < Math.min(topK, sorted.length) && (count == 0 || mass < wanted)) {
            if (count > 0 && weights[sorted[count]] < parameters.minP()) {
                break;
            }
            mass += weights[sorted[count++]];
        }
        return Arrays.copyOf(sorted, count);
    }

    /**
     * The likeliest tokens in order, ties by id: at least {@code topK}, or those that hold all the mass that top-p can
     * ask for. Sorting the whole vocabulary for each token would take milliseconds.
     */
    private int[] likeliestFirst(double[] weights, int topK, double total) {
        for (double threshold = NUCLEUS_STEP; ; threshold *= NUCLEUS_STEP) {
            double floor = threshold;
            int[] above = java.util.stream.IntStream.range(0, weights.length)
                    .filter(token -> weights[token] >= floor)
                    .toArray();
            double mass =
                    Arrays.stream(above).mapToDouble(token -> weights[token]).sum();
            boolean complete = above.length == weights.length || threshold < Double.MIN_NORMAL;
            boolean holdsTopK = topK < weights.length && above.length >= topK;
            boolean holdsTopP = topK == weights.length && parameters.topP() < 1 && mass >= parameters.topP() * total;
            boolean holdsMinP = topK == weights.length && parameters.minP() > 0 && floor <= parameters.minP();
            if (complete || holdsTopK || holdsTopP || holdsMinP) {
                return Arrays.stream(above)
                        .boxed()
                        .sorted((a, b) -> weights[a] != weights[b]
                                ? Double.compare(weights[b], weights[a])
                                : Integer.compare(a, b))
                        .mapToInt(Integer::intValue)
                        .toArray();
            }
        }
    }
}
