package io.weft.check;

import java.util.Locale;

/**
 * The result of one check.
 *
 * @param name kernel, sizes and comparison
 * @param error the largest error, or how many elements differ; NaN if an element was not written
 * @param bound the largest error that passes
 */
public record CheckResult(String name, double error, double bound) {
    /** A NaN passes nothing. */
    public boolean passed() {
        return error <= bound;
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT, "%-4s %-76s error %.2e, bound %.2e", passed() ? "ok" : "FAIL", name, error, bound);
    }
}
