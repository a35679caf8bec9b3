package io.weft.cli;

import com.google.errorprone.annotations.FormatMethod;
import com.google.errorprone.annotations.FormatString;
import java.util.Locale;

/** The lines of a table for people, and how its figures are written. */
final class TableLines {
    /** Columns of names at the start of lines. */
    static final int NAME_WIDTH = 22;

    private static final String[] PREFIXES = {"", "k", "M", "G", "T", "P"};

    private final StringBuilder lines = new StringBuilder();

    @FormatMethod
    void line(@FormatString String format, Object... values) {
        lines.append(String.format(Locale.ROOT, format, values).stripTrailing()).append(System.lineSeparator());
    }

    /** A line that begins with a name. */
    @FormatMethod
    void named(String name, @FormatString String format, Object... values) {
        line("%-" + NAME_WIDTH + "s %s", name, String.format(Locale.ROOT, format, values));
    }

    void blank() {
        line("");
    }

    @Override
    public String toString() {
        return lines.toString();
    }

    static String millis(double millis) {
        return String.format(Locale.ROOT, millis < 10 ? "%.3f ms" : millis < 1000 ? "%.1f ms" : "%,.0f ms", millis);
    }

    static String rate(double perSecond) {
        return String.format(Locale.ROOT, perSecond < 100 ? "%.1f" : "%,.0f", perSecond);
    }

    /** In powers of ten, in which links and memory are sold. */
    static String bytes(long bytes) {
        return scaled((double) bytes) + "B";
    }

    static String flops(double flops) {
        return scaled(flops) + "FLOP";
    }

    /** A large number in words: 7.62 million. */
    static String count(long number) {
        if (number < 1_000_000) {
            return String.format(Locale.ROOT, "%,d", number);
        }
        return number < 1_000_000_000
                ? String.format(Locale.ROOT, "%.2f million", number / 1e6)
                : String.format(Locale.ROOT, "%,.2f billion", number / 1e9);
    }

    private static String scaled(double value) {
        int power = 0;
        double rest = value;
        while (Math.abs(rest) >= 1000 && power < PREFIXES.length - 1) {
            rest /= 1000;
            power++;
        }
        return String.format(Locale.ROOT, power == 0 ? "%.0f %s" : "%.2f %s", rest, PREFIXES[power]);
    }
}
