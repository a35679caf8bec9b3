package io.weft.engine;

import io.weft.engine.GenerationEvent.Alternative;
import io.weft.engine.GenerationEvent.TokenScore;
import java.util.ArrayList;
import java.util.List;

/** Computes log-probabilities: {@code logits − log Σ e^logits}. */
final class TokenScorer {
    private TokenScorer() {}

    /**
     * Scores a token.
     *
     * @param logits (vocabulary), unchanged from the model
     * @param alternatives how many of the likeliest tokens to report
     */
    static TokenScore score(float[] logits, int token, int alternatives) {
        float largest = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            largest = Math.max(largest, logit);
        }
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - largest);
        }
        double logSum = largest + Math.log(sum);
        List<Alternative> best = new ArrayList<>(alternatives);
        for (int candidate : likeliest(logits, alternatives)) {
            best.add(new Alternative(candidate, (float) (logits[candidate] - logSum)));
        }
        return new TokenScore(token, (float) (logits[token] - logSum), best);
    }

    /** The {@code count} largest, best first, ties by id. By insertion, since count is small. */
    private static int[] likeliest(float[] logits, int count) {
        int[] best = new int[Math.min(count, logits.length)];
        int filled = 0;
        for (int token = 0; token < logits.length && best.length > 0; token++) {
            if (filled == best.length && logits[token] <= logits[best[filled - 1]]) {
                continue;
            }
            int at = filled < best.length ? filled++ : filled - 1;
            while (at > 0 && logits[best[at - 1]] < logits[token]) {
                best[at] = best[at - 1];
                at--;
            }
            best[at] = token;
        }
        return best;
    }
}
