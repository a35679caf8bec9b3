package io.weft.bench;

import java.util.ArrayList;
import java.util.List;

/**
 * Drafts of which a given number is accepted, whatever the model says: with random weights nothing could be guessed.
 * Each draft is accepted with the same probability, until the first that is not. Passes take even parts of that
 * distribution in turn, so that a few of them already have its mean.
 *
 * @param drafted drafts of a sequence in a pass; 0 for none
 * @param accepted how many of these are accepted, mean
 */
public record DrivenDrafts(int drafted, double accepted) {
    /** Every sequence has one row. */
    public static final DrivenDrafts NONE = new DrivenDrafts(0, 0);

    /** Its multiples divide the unit interval most evenly. */
    private static final double GOLDEN_RATIO = 0.618_033_988_749_895;

    private static final int BISECTIONS = 60;

    public DrivenDrafts {
        if (drafted < 0 || !(accepted >= 0 && accepted <= drafted)) {
            throw new IllegalArgumentException(
                    accepted + " of " + drafted + " drafts are to be accepted, must be from 0 to all");
        }
    }

    /** How many drafts of a sequence are accepted in a pass. */
    int acceptedIn(int sequence, int pass) {
        double share = (pass + 1) * GOLDEN_RATIO + sequence * Math.sqrt(2);
        share -= Math.floor(share);
        double probability = probability();
        int count = 0;
        double atLeast = probability;
        while (count < drafted && share < atLeast) {
            count++;
            atLeast *= probability;
        }
        return count;
    }

    /**
     * The passes that make no more than some tokens of any sequence.
     *
     * @return the accepted drafts of each sequence, by pass
     */
    List<int[]> passes(int sequences, int newTokensMost) {
        List<int[]> passes = new ArrayList<>();
        int[] made = new int[sequences];
        int most = 0;
        while (most + 1 + drafted <= newTokensMost) {
            int[] ofPass = new int[sequences];
            for (int i = 0; i < sequences; i++) {
                ofPass[i] = acceptedIn(i, passes.size());
                made[i] += 1 + ofPass[i];
                most = Math.max(most, made[i]);
            }
            passes.add(ofPass);
        }
        return passes;
    }

    /** Of a draft, such that p + p² + … is the mean. */
    private double probability() {
        double low = 0;
        double high = 1;
        for (int i = 0; i < BISECTIONS; i++) {
            double middle = (low + high) / 2;
            double mean = 0;
            double power = middle;
            for (int draft = 0; draft < drafted; draft++) {
                mean += power;
                power *= middle;
            }
            if (mean < accepted) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return high;
    }
}
