package io.weft.text.template;

import java.time.DayOfWeek;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoField;
import java.time.temporal.IsoFields;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Dates in C's notation, in English, of a time without a zone, as Python's {@code datetime.now()} is. */
final class Strftime {
    private static final int DAYS_OF_WEEK = 7;

    private Strftime() {}

    static String format(String format, ZonedDateTime time) {
        var out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            int kind = i + 1;
            while (c == '%' && kind < format.length() && "-_0^#".indexOf(format.charAt(kind)) >= 0) {
                kind++;
            }
            if (c != '%' || kind == format.length()) {
                out.append(c);
                continue;
            }
            String flags = format.substring(i + 1, kind);
            String text = directive(format.charAt(kind), time);
            out.append(text == null ? format.substring(i, kind + 1) : flagged(flags, text));
            i = kind;
        }
        return out.toString();
    }

    private static String flagged(String flags, String text) {
        String flagged = text;
        if (flags.contains("-")) {
            flagged = flagged.replaceFirst("^[0 ]+(?=\\d)", "");
        } else if (flags.contains("_")) {
            int zeros = 0;
            while (zeros < text.length() - 1 && text.charAt(zeros) == '0') {
                zeros++;
            }
            flagged = " ".repeat(zeros) + text.substring(zeros);
        } else if (flags.contains("0")) {
            flagged = flagged.replace(' ', '0');
        }
        return flags.contains("^") ? flagged.toUpperCase(Locale.ROOT) : flagged;
    }

    /** The text of a directive; null if C knows none. */
    private static @Nullable String directive(char directive, ZonedDateTime time) {
        String pattern = switch (directive) {
            case 'a' -> "EEE";
            case 'A' -> "EEEE";
            case 'b', 'h' -> "MMM";
            case 'B' -> "MMMM";
            case 'c' -> "EEE MMM ppd HH:mm:ss yyyy";
            case 'd' -> "dd";
            case 'D', 'x' -> "MM/dd/yy";
            case 'e' -> "ppd";
            case 'f' -> "SSSSSS";
            case 'F' -> "yyyy-MM-dd";
            case 'G' -> "YYYY";
            case 'H' -> "HH";
            case 'I' -> "hh";
            case 'j' -> "DDD";
            case 'k' -> "ppH";
            case 'l' -> "pph";
            case 'm' -> "MM";
            case 'M' -> "mm";
            case 'n' -> "'\n'";
            case 'p' -> "a";
            case 'P' -> "a";
            case 'r' -> "hh:mm:ss a";
            case 'R' -> "HH:mm";
            case 'S' -> "ss";
            case 't' -> "'\t'";
            case 'T', 'X' -> "HH:mm:ss";
            case 'y' -> "yy";
            case 'Y' -> "yyyy";
            case '%' -> "'%'";
            default -> "";
        };
        int dayOfWeek = time.getDayOfWeek().getValue();
        return switch (directive) {
            case 'C' -> "%02d".formatted(time.getYear() / 100);
            case 'g' -> "%02d".formatted(time.get(IsoFields.WEEK_BASED_YEAR) % 100);
            case 'G' -> "%04d".formatted(time.get(IsoFields.WEEK_BASED_YEAR));
            case 'P' ->
                DateTimeFormatter.ofPattern(pattern, Locale.US).format(time).toLowerCase(Locale.ROOT);
            case 's' -> Long.toString(time.toEpochSecond());
            case 'u' -> Integer.toString(dayOfWeek);
            case 'U' -> week(time, DayOfWeek.SUNDAY);
            case 'V' -> "%02d".formatted(time.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR));
            case 'w' -> Integer.toString(dayOfWeek % DAYS_OF_WEEK);
            case 'W' -> week(time, DayOfWeek.MONDAY);
            case 'z', 'Z' -> "";
            default ->
                pattern.isEmpty()
                        ? null
                        : DateTimeFormatter.ofPattern(pattern, Locale.US).format(time);
        };
    }

    /** The week of the year, of which the first begins with the first such day. */
    private static String week(ZonedDateTime time, DayOfWeek first) {
        int sinceFirst = Math.floorMod(time.getDayOfWeek().getValue() - first.getValue(), DAYS_OF_WEEK);
        return "%02d".formatted((time.get(ChronoField.DAY_OF_YEAR) - 1 + DAYS_OF_WEEK - sinceFirst) / DAYS_OF_WEEK);
    }
}
