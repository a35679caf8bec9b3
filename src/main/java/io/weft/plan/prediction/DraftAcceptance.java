package io.weft.plan.prediction;

/**
 * How likely the next tokens of one text are those of its draft: learned from the drafts that it had, of which the
 * newest count most. A draft need not be checked by a step to be counted. It comes true, or not, as the text goes on.
 */
public final class DraftAcceptance {
    /** The most tokens of a draft. */
    public static final int TOKENS_MOST = 8;

    /** As likely before anything is known: as little as to be worth nothing where rows cost something. */
    private static final double FIRST = 0.1;
    /** The drafts that this counts as much as. */
    private static final double FIRST_WEIGHT = 2;
    /** An old draft counts this much less with each newer one: the newest twelve or so make up the whole. */
    private static final double DECAY = 0.92;

    /** Index: place in a draft. Of the drafts that were right before it, how many were counted, and were right. */
    private final double[] counted = new double[TOKENS_MOST];

    private final double[] right = new double[TOKENS_MOST];

    /**
     * Counts a token of a draft whose tokens before it were right.
     *
     * @param place of the token in its draft, from 0
     * @param isRight whether the text has the same token
     */
    public void count(int place, boolean isRight) {
        counted[place] = counted[place] * DECAY + 1;
        right[place] = right[place] * DECAY + (isRight ? 1 : 0);
    }

    /**
     * The probability that all tokens up to a place are right. It does not increase with the place. Of a place that was
     * seen seldom, little more is known than of the one before it.
     */
    public double probability(int place) {
        double probability = 1;
        double rate = FIRST;
        for (int i = 0; i <= place; i++) {
            rate = (right[i] + FIRST_WEIGHT * rate) / (counted[i] + FIRST_WEIGHT);
            probability *= rate;
        }
        return probability;
    }
}
