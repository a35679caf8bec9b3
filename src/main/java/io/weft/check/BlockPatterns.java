package io.weft.check;

import io.weft.device.BlockValues;
import io.weft.device.ElementType;
import io.weft.device.PackedLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.IntUnaryOperator;

/** Values of a block that try its codes, as bits of an element type. */
final class BlockPatterns {
    /** From here on, as many values as a block has room for can be escapes. */
    static final int FULL_COUNT_LEAST = 400;

    private final ElementType type;
    private final PackedLayout layout;
    private final SplittableRandom random;

    BlockPatterns(BlockValues values, SplittableRandom random) {
        this.type = values.type();
        this.layout = new PackedLayout(values);
        this.random = random;
    }

    /** What a block holds. */
    enum Pattern {
        /** As in a cache: normally distributed, each eighth channel larger. */
        USUAL,
        /** Any bits: all exponents, infinities, NaN with any payload. */
        ANY,
        /** Near the largest numbers. */
        LARGE,
        /** Numbers without a leading bit, and zeros of both signs. */
        DENORMAL,
        /** One value everywhere. */
        CONSTANT,
        /** Two values in turn, of opposite signs. */
        ALTERNATING,
        /** Seven exponents, that of infinities and NaN among them. */
        SEVEN,
        /** As many escapes as there is room for. */
        FULL,
        /** One more. */
        OVERFULL
    }

    private int bits() {
        return type.bytes() * Byte.SIZE;
    }

    private int exponents() {
        return 1 << (bits() - layout.lowBits());
    }

    /** A value with an exponent, and any other bits. */
    private int withExponent(int exponent) {
        int low = random.nextInt() & (1 << layout.lowBits()) - 1;
        int rotated = exponent << layout.lowBits() | low;
        return mask(rotated >>> 1 | (rotated & 1) << (bits() - 1));
    }

    private int mask(int value) {
        return bits() == Integer.SIZE ? value : value & 0xffff;
    }

    private int number(double value) {
        return Workbench.bits(type, (float) value);
    }

    int[] values(Pattern pattern) {
        int constant = number(random.nextDouble(-1, 1));
        int opposite = number(random.nextDouble(-100, 0));
        return switch (pattern) {
            case USUAL -> fill(i -> number(random.nextGaussian() * (i % 8 == 0 ? 5 : 1)));
            case ANY -> fill(i -> mask(random.nextInt()));
            case LARGE -> fill(i -> number((random.nextInt(4) / 1.5 - 1) * largest()));
            case DENORMAL -> fill(i -> random.nextInt(3) == 0 ? number(-0.0) : withExponent(0));
            case CONSTANT -> fill(i -> constant);
            case ALTERNATING -> fill(i -> i % 2 == 0 ? constant : opposite);
            case SEVEN -> fill(i -> withExponent(exponents() - 1 - random.nextInt(PackedLayout.ESCAPE)));
            case FULL -> escapes(layout.escapesMost());
            case OVERFULL -> escapes(layout.escapesMost() + 1);
        };
    }

    private int[] fill(IntUnaryOperator value) {
        int[] values = new int[layout.count()];
        Arrays.setAll(values, value);
        return values;
    }

    private double largest() {
        return switch (type) {
            case F32, BF16 -> 3.3e38;
            case F16 -> 65_504;
        };
    }

    /** Seven frequent exponents, and {@code count} values with others, evenly among them in the order of packing. */
    private int[] escapes(int count) {
        int others = exponents() - PackedLayout.ESCAPE;
        int[] values = new int[layout.count()];
        for (int i = 0; i < values.length; i++) {
            long before = (long) i * count / layout.count();
            long after = (i + 1L) * count / layout.count();
            int exponent = after > before
                    ? PackedLayout.ESCAPE + (int) (before % others)
                    : (int) ((i - before) % PackedLayout.ESCAPE);
            values[layout.place(i)] = withExponent(exponent);
        }
        return values;
    }

    /** How many values have none of the seven exponents that are most frequent in their unit. */
    static int escapes(BlockValues shape, int[] values) {
        PackedLayout layout = new PackedLayout(shape);
        int signless = shape.type().bytes() * Byte.SIZE - 1;
        int mantissaBits = layout.lowBits() - 1;
        int escapes = 0;
        for (int unit = 0; unit < layout.units(); unit++) {
            int[] counts = new int[1 << (signless - mantissaBits)];
            int first = unit * PackedLayout.UNIT_VALUES;
            for (int i = first; i < first + layout.values(unit); i++) {
                counts[(values[layout.place(i)] >>> mantissaBits) & (counts.length - 1)]++;
            }
            Arrays.sort(counts);
            escapes += Arrays.stream(counts, 0, counts.length - PackedLayout.ESCAPE)
                    .sum();
        }
        return escapes;
    }
}
