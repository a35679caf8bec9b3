package io.weft.text;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Looks for stop strings in a text that arrives character by character. Of several matches, the one that starts first
 * counts, however the text was cut. Time is linear in the text (Knuth, Morris, Pratt: one automaton for each stop).
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
    private long completedStart = Long.MAX_VALUE;
    private @Nullable String completed;

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
        advance(c);
        if (completed != null && completedStart < foundStart) {
            foundStart = completedStart;
            found = completed;
        }
    }

    /** Adds a character at which no stop ends; one that ends later may contain it. */
    void addExempt(char c) {
        advance(c);
    }

    /** Finds the stop that ends with the next character, the longest of several. */
    private void advance(char c) {
        length++;
        completed = null;
        completedStart = Long.MAX_VALUE;
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
                if (length - n < completedStart) {
                    completedStart = length - n;
                    completed = stop;
                }
                n = fallback[s][n];
            }
            matched[s] = n;
        }
    }

    /** The stop that counts; null if there is none yet, or while an earlier one may still be completed. */
    @Nullable
    String found() {
        return openStart() < foundStart ? null : found;
    }

    /** Characters of the text, from its start, that certainly contain no part of a stop. */
    long certain() {
        return Math.min(openStart(), foundStart);
    }

    /** Characters of the final text, once no more text arrives. */
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
