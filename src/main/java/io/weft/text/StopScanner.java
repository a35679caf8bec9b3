package io.weft.text;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Looks for stop strings in a text that comes character by character. Of several, the one that starts first counts,
 * whatever pieces the text came in. Takes time linear in the text (Knuth, Morris, Pratt: one automaton for each stop).
 */
final class StopScanner {
    private final List<String> stops;

    /** {@code fallback[s][n]}: of the first n characters of stop s, how many of its first are also the last. */
    private final int[][] fallback;

    /** {@code matched[s]}: how many of the first characters of stop s are the text's last. */
    private final int[] matched;

    private long length;
    private long foundStart = Long.MAX_VALUE;
    private @Nullable String found;

    /** @throws IllegalArgumentException if a stop is empty */
    StopScanner(List<String> stops) {
        this.stops = List.copyOf(stops);
        this.fallback = new int[stops.size()][];
        this.matched = new int[stops.size()];
        for (int s = 0; s < fallback.length; s++) {
            if (this.stops.get(s).isEmpty()) {
                throw new IllegalArgumentException("stop " + s + " is empty; it must have a character");
            }
            fallback[s] = fallback(this.stops.get(s));
        }
    }

    private static int[] fallback(String stop) {
        var fallback = new int[stop.length() + 1];
        for (int i = 1, n = 0; i < stop.length(); i++) {
            while (n > 0 && stop.charAt(i) != stop.charAt(n)) {
                n = fallback[n];
            }
            if (stop.charAt(i) == stop.charAt(n)) {
                n++;
            }
            fallback[i + 1] = n;
        }
        return fallback;
    }

    void add(char c) {
        length++;
        for (int s = 0; s < matched.length; s++) {
            String stop = stops.get(s);
            int n = matched[s];
            while (n > 0 && stop.charAt(n) != c) {
                n = fallback[s][n];
            }
            if (stop.charAt(n) == c) {
                n++;
            }
            if (n == stop.length()) {
                if (length - n < foundStart) {
                    foundStart = length - n;
                    found = stop;
                }
                n = fallback[s][n];
            }
            matched[s] = n;
        }
    }

    /** The stop that counts, or null while there is none or one that starts before it may yet come. */
    @Nullable
    String found() {
        return openStart() < foundStart ? null : found;
    }

    /** The text before this place is certain, and has no stop in it. */
    long certain() {
        return Math.min(openStart(), foundStart);
    }

    /** Once no more text comes, the text before this place is what there is. */
    long end() {
        return Math.min(length, foundStart);
    }

    private long openStart() {
        int open = 0;
        for (int n : matched) {
            open = Math.max(open, n);
        }
        return length - open;
    }
}
