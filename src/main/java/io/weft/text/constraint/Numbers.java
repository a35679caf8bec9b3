package io.weft.text.constraint;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * JSON numbers within bounds, digit by digit. A number is compared with its bounds from the first digit on, as long as
 * it begins as they do; and its remainder is that of the digits so far.
 */
final class Numbers {
    /** Every decimal of so many digits is another double. */
    private static final int DECIMAL_DIGITS = 15;

    /** Every integer of so many digits fits in 64 bits. */
    private static final int INTEGER_DIGITS = 18;

    private static final int BOUND_DIGITS_MAX = 400;
    private static final int DIVISOR_MAX = 10_000;

    /** @param inclusive whether the value itself is within */
    record Bound(BigDecimal value, boolean inclusive) {}

    /**
     * @param whole whether only integers are allowed
     * @param divisor which divides the number, if it is there
     */
    record Range(
            boolean whole,
            @Nullable Bound min,
            @Nullable Bound max,
            @Nullable BigDecimal divisor) {}

    private final CharAutomaton.Builder builder = new CharAutomaton.Builder();
    private final Map<Place, Integer> states = new HashMap<>();
    private final List<Place> open = new ArrayList<>();
    private final boolean whole;

    /** Digits after the point of which the divisor is a multiple, and the divisor in their units. */
    private final int scale;

    private final int divisor;

    private Numbers(boolean whole, @Nullable BigDecimal divisor) {
        this.whole = whole;
        if (divisor == null) {
            this.scale = DECIMAL_DIGITS;
            this.divisor = 1;
            return;
        }
        BigDecimal plain = divisor.stripTrailingZeros();
        if (plain.signum() <= 0 || plain.precision() > 5 || Math.abs(plain.scale()) > 10) {
            throw new ConstraintException("\"multipleOf\" is enforced from 1e-10 to 10000 only");
        }
        this.scale = Math.max(0, plain.scale());
        BigInteger units = plain.scaleByPowerOfTen(scale).toBigIntegerExact();
        if (units.compareTo(BigInteger.valueOf(DIVISOR_MAX)) > 0) {
            throw new ConstraintException("\"multipleOf\" is enforced from 1e-10 to 10000 only");
        }
        this.divisor = units.intValueExact();
    }

    /** @throws ConstraintException if bounds are too long, or a divisor is too large */
    static CharAutomaton automaton(Range range) {
        if (range.min() == null && range.max() == null && range.divisor() == null) {
            return Regex.whole(
                    range.whole()
                            ? "0|-?[1-9][0-9]{0," + (INTEGER_DIGITS - 1) + "}"
                            : "-?(?:0|[1-9][0-9]{0,14})(?:\\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?");
        }
        var numbers = new Numbers(range.whole(), range.divisor());
        int start = numbers.builder.state();
        Bound min = range.min();
        Bound max = range.max();
        if (max == null || max.value().signum() >= 0) {
            boolean fromZero = min == null || min.value().signum() < 0;
            numbers.magnitudes(start, fromZero ? new Bound(BigDecimal.ZERO, true) : min, max);
        }
        if (min == null || min.value().signum() < 0) {
            int minus = numbers.builder.state();
            numbers.builder.arc(start, CharClass.of('-'), minus);
            boolean toZero = max == null || max.value().signum() >= 0;
            numbers.magnitudes(minus, toZero ? new Bound(BigDecimal.ZERO, false) : negated(max), negated(min));
        }
        numbers.expand();
        return numbers.builder.build();
    }

    private static @Nullable Bound negated(@Nullable Bound bound) {
        return bound == null ? null : new Bound(bound.value().negate(), bound.inclusive());
    }

    /** A bound's digits: those before the point and those after it. */
    private record Digits(String whole, String fraction, boolean inclusive) {
        static Digits of(Bound bound) {
            BigDecimal value = bound.value();
            if (Math.abs((long) value.precision() - value.scale()) + Math.abs((long) value.scale())
                    > 2L * BOUND_DIGITS_MAX) {
                throw new ConstraintException("a bound of a number has more than " + BOUND_DIGITS_MAX + " digits");
            }
            String plain = value.toPlainString();
            int point = plain.indexOf('.');
            return point < 0
                    ? new Digits(plain, "", bound.inclusive())
                    : new Digits(plain.substring(0, point), plain.substring(point + 1), bound.inclusive());
        }

        /** The digit at a place; places before the point count up to {@code whole.length()}. */
        int at(int place) {
            int after = place - whole.length();
            return after < 0 ? whole.charAt(place) - '0' : after < fraction.length() ? fraction.charAt(after) - '0' : 0;
        }

        /** Whether only zeros follow from a place on. */
        boolean endsAt(int place) {
            for (int i = place; i < whole.length() + fraction.length(); i++) {
                if (at(i) != 0) {
                    return false;
                }
            }
            return true;
        }
    }

    /**
     * @param length digits before the point
     * @param read digits read so far
     * @param point whether the point was read
     * @param min null once the number is larger; else it begins with the same digits
     * @param max null once the number is smaller
     * @param remainder of the digits so far
     */
    private record Place(
            int length,
            int read,
            boolean point,
            @Nullable Digits min,
            @Nullable Digits max,
            int remainder) {}

    private void magnitudes(int from, @Nullable Bound min, @Nullable Bound max) {
        Digits low = min == null ? null : Digits.of(min);
        Digits high = max == null ? null : Digits.of(max);
        // Validators divide in double precision.
        int usual = whole && divisor == 1 ? INTEGER_DIGITS : DECIMAL_DIGITS;
        int longest = usual;
        if (usual == INTEGER_DIGITS && high != null && high.whole().length() == usual + 1) {
            // Up to the largest of 64 bits, if the schema says so.
            longest++;
        }
        for (int length = 1; length <= longest; length++) {
            if ((low != null && low.whole().length() > length)
                    || (high != null && high.whole().length() < length)) {
                continue;
            }
            Digits tightLow = low != null && low.whole().length() == length ? low : null;
            Digits tightHigh = high != null && high.whole().length() == length ? high : null;
            digits(from, new Place(length, 0, false, tightLow, tightHigh, 0), length > 1);
        }
    }

    private void expand() {
        while (!open.isEmpty()) {
            Place place = open.removeLast();
            int state = number(place);
            if (place.read() < place.length()) {
                digits(state, place, false);
                continue;
            }
            int fraction = place.read() - place.length();
            boolean more = !whole && place.read() < DECIMAL_DIGITS && fraction < scale;
            if (place.point()) {
                if (fraction > 0 && allowed(place)) {
                    builder.accept(state);
                }
                if (more) {
                    digits(state, place, false);
                }
                continue;
            }
            if (allowed(place)) {
                builder.accept(state);
            }
            if (more) {
                Place point =
                        new Place(place.length(), place.read(), true, place.min(), place.max(), place.remainder());
                builder.arc(state, CharClass.of('.'), number(point));
            }
        }
    }

    private int number(Place place) {
        Integer known = states.get(place);
        if (known == null) {
            known = builder.state();
            states.put(place, known);
            open.add(place);
        }
        return known;
    }

    private void digits(int from, Place place, boolean notZero) {
        for (int digit = notZero ? 1 : 0; digit <= 9; digit++) {
            Digits min = place.min();
            Digits max = place.max();
            if ((min != null && digit < min.at(place.read())) || (max != null && digit > max.at(place.read()))) {
                continue;
            }
            Place next = new Place(
                    place.length(),
                    place.read() + 1,
                    place.point(),
                    min != null && digit == min.at(place.read()) ? min : null,
                    max != null && digit == max.at(place.read()) ? max : null,
                    (place.remainder() * 10 + digit) % divisor);
            builder.arc(from, CharClass.of('0' + digit), number(next));
        }
    }

    private boolean allowed(Place place) {
        Digits min = place.min();
        Digits max = place.max();
        if (min != null && !(min.endsAt(place.read()) && min.inclusive())) {
            return false;
        }
        if (max != null && max.endsAt(place.read()) && !max.inclusive()) {
            return false;
        }
        long remainder = place.remainder();
        for (int i = place.read() - place.length(); divisor > 1 && i < scale; i++) {
            remainder = remainder * 10 % divisor;
        }
        return remainder % divisor == 0;
    }
}
