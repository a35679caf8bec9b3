package io.weft.check;

import io.weft.device.TokenChoices;
import io.weft.device.TokenChoices.Edit;
import io.weft.device.TokenChoices.Row;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * Determines the tokens of one row that a device may choose, in double precision: sort everything, cut, add up. A
 * device's weights are in fp32, so near a cut it may keep a token or not; such tokens are <em>open</em>, and the mass
 * of those kept then lies between two bounds.
 */
final class ChoiceReference {
    /** The relative error of an fp32 exponential. */
    private static final double EXPONENTIAL = 0x1p-22;

    /** Weights below this are less than a unit of mass. */
    private static final double EXPONENT_LEAST = -87;

    private static final double UNIT = 0x1p-40;
    private static final double SHARE_UNITS = 0x1p63;

    private enum Kept {
        NO,
        OPEN,
        YES
    }

    private final Row row;
    private final IntPredicate allowed;
    private final boolean hasNaN;
    private final float[] scores;
    private final double[] weights;
    /** The relative error of each weight. */
    private final double[] errors;

    private final Kept[] kept;

    /**
     * @param logits (vocabulary)
     * @param edits edits of this row
     * @param allowed the tokens of its mask
     */
    ChoiceReference(float[] logits, Row row, List<Edit> edits, IntPredicate allowed) {
        this.allowed = allowed;
        this.row = row;
        this.hasNaN = IntStream.range(0, logits.length).anyMatch(token -> Float.isNaN(logits[token]));
        this.scores = scores(logits, edits, allowed);
        this.weights = new double[scores.length];
        this.errors = new double[scores.length];
        this.kept = new Kept[scores.length];
        double largest = scores[likeliest()];
        for (int token = 0; token < scores.length; token++) {
            double x = scores[token] == largest ? 0 : (scores[token] - largest) / row.temperature();
            weights[token] = Math.exp(x);
            // A difference, an inverse and a product, each rounded to fp32.
            errors[token] = EXPONENTIAL + 3 * RoundingErrors.FP32 * Math.min(-x, -EXPONENT_LEAST);
        }
        cut();
    }

    /** The score is fp32 by definition, so it needs no tolerance. */
    private static float[] scores(float[] logits, List<Edit> edits, IntPredicate allowed) {
        float[] scores = new float[logits.length];
        for (int token = 0; token < scores.length; token++) {
            scores[token] = bounded(logits[token]);
        }
        for (Edit edit : edits) {
            float x = logits[edit.token()] + edit.bias();
            x = x > 0 ? x / edit.repetitionPenalty() : x * edit.repetitionPenalty();
            scores[edit.token()] = bounded(x - edit.penalty());
        }
        for (int token = 0; token < scores.length; token++) {
            if (!allowed.test(token)) {
                scores[token] = Float.NEGATIVE_INFINITY;
            }
        }
        return scores;
    }

    private static float bounded(float score) {
        return Math.max(-Float.MAX_VALUE, Math.min(Float.MAX_VALUE, score));
    }

    private int likeliest() {
        int best = 0;
        for (int token = 1; token < scores.length; token++) {
            if (scores[token] > scores[best]) {
                best = token;
            }
        }
        return best;
    }

    /** Decides for each token whether it is kept. */
    private void cut() {
        List<Integer> ranked = IntStream.range(0, scores.length)
                .boxed()
                .sorted((a, b) -> scores[a] == scores[b] ? a - b : Float.compare(scores[b], scores[a]))
                .toList();
        cutByCount(ranked);
        cutByMass(ranked);
        for (int token = 0; token < scores.length; token++) {
            double share = weights[token] / row.minP();
            if (share < 1 - errors[token]) {
                kept[token] = Kept.NO;
            } else if (share < 1 + errors[token] && kept[token] == Kept.YES) {
                kept[token] = Kept.OPEN;
            }
        }
        kept[ranked.getFirst()] = Kept.YES;
    }

    /** Equal scores have equal weights; among unequal but close ones, either may rank first. */
    private void cutByCount(List<Integer> ranked) {
        int count = Math.min(row.topK(), ranked.size());
        int last = ranked.get(count - 1);
        boolean othersAreClose =
                ranked.stream().anyMatch(token -> scores[token] != scores[last] && weightsMayBeEqual(token, last));
        for (int rank = 0; rank < ranked.size(); rank++) {
            int token = ranked.get(rank);
            boolean open = count < ranked.size() && othersAreClose && weightsMayBeEqual(token, last);
            kept[token] = open ? Kept.OPEN : rank < count ? Kept.YES : Kept.NO;
        }
    }

    private boolean weightsMayBeEqual(int token, int other) {
        double difference = Math.abs(weights[token] - weights[other]);
        return difference <= (errors[token] + errors[other]) * Math.max(weights[token], weights[other]) + UNIT;
    }

    private void cutByMass(List<Integer> ranked) {
        if (row.topP() == 1) {
            return;
        }
        Mass total = new Mass();
        ranked.forEach(total::add);
        Mass before = new Mass();
        for (int token : ranked) {
            Kept was = kept[token];
            if (before.least >= row.topP() * total.most) {
                kept[token] = Kept.NO;
            } else if (before.most >= row.topP() * total.least && was == Kept.YES) {
                kept[token] = Kept.OPEN;
            }
            before.add(token, was);
        }
    }

    /** Bounds on the mass of some tokens. */
    private final class Mass {
        private double least;
        private double most;

        void add(int token) {
            add(token, kept[token]);
        }

        void add(int token, Kept how) {
            if (how != Kept.NO) {
                most += weights[token] * (1 + errors[token]);
            }
            if (how == Kept.YES) {
                least += Math.max(0, weights[token] * (1 - errors[token]) - UNIT);
            }
        }
    }

    /** Whether a device may have chosen a token. */
    boolean mayChoose(int chosen) {
        if (hasNaN) {
            return chosen == TokenChoices.NO_TOKEN;
        }
        if (chosen < 0 || chosen >= scores.length || !allowed.test(chosen)) {
            return false;
        }
        if (row.topK() == 1) {
            return chosen == likeliest();
        }
        if (kept[chosen] == Kept.NO) {
            return false;
        }
        Mass before = new Mass();
        for (int token = 0; token < chosen; token++) {
            before.add(token);
        }
        Mass with = new Mass();
        with.least = before.least;
        with.most = before.most;
        with.add(chosen);
        Mass total = new Mass();
        IntStream.range(0, scores.length).forEach(total::add);
        double share = row.uniform() / SHARE_UNITS;
        return before.least <= share * total.most + UNIT && with.most >= share * total.least - UNIT;
    }
}
