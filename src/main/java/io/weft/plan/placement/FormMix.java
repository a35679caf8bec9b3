package io.weft.plan.placement;

import io.weft.model.CacheForm;
import java.util.Map;
import java.util.TreeMap;

/** Forms that the blocks of a sequence have in fixed proportions, spread evenly. */
final class FormMix {
    private final CacheForm[] forms;
    /** By form, but for the last: its share of the blocks that are left to it and those after it. */
    private final double[] shares;

    /** @param weights of each form, in any unit; at least one is positive */
    FormMix(Map<CacheForm, Double> weights) {
        TreeMap<CacheForm, Double> positive = new TreeMap<>(weights);
        positive.values().removeIf(weight -> !(weight > 0));
        if (positive.isEmpty()) {
            throw new IllegalArgumentException("weights are " + weights + ", one must be positive");
        }
        this.forms = positive.descendingKeySet().toArray(CacheForm[]::new);
        this.shares = new double[forms.length];
        double left = positive.values().stream().mapToDouble(weight -> weight).sum();
        for (int i = 0; i < forms.length; i++) {
            double weight = positive.getOrDefault(forms[i], 0.0);
            shares[i] = Math.min(1, weight / left);
            left -= weight;
        }
    }

    /** The form of a block: of the first n blocks, each form has its share, but for about one. */
    CacheForm form(int block) {
        int index = block;
        for (int i = 0; i < forms.length - 1; i++) {
            if (isOfShare(index, shares[i])) {
                return forms[i];
            }
            index -= Math.toIntExact(Math.round(index * shares[i]));
        }
        return forms[forms.length - 1];
    }

    /** The share of the blocks that have a form. */
    double share(CacheForm form) {
        double left = 1;
        for (int i = 0; i < forms.length; i++) {
            double share = i == forms.length - 1 ? left : left * shares[i];
            if (forms[i].equals(form)) {
                return share;
            }
            left -= share;
        }
        return 0;
    }

    /**
     * Spreads a share evenly, like Bresenham's line: for every n, n·share of the first n blocks, rounded, are of it.
     * Rounding down would leave many short sequences together far below their share.
     */
    static boolean isOfShare(int block, double share) {
        return Math.round((block + 1) * share) > Math.round(block * share);
    }
}
