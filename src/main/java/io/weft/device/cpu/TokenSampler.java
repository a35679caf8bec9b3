package io.weft.device.cpu;

import static io.weft.device.cpu.Memory.getFloat;
import static io.weft.device.cpu.Memory.getInt;
import static io.weft.device.cpu.Memory.getLong;
import static io.weft.device.cpu.Memory.setFloat;

import io.weft.device.DeviceBuffer;
import io.weft.device.TokenChoices;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Chooses the token of one row, see {@link io.weft.device.Kernels#chooseTokens}. The bits of a weight, as an int, are
 * its <em>key</em>: weights are not negative, so keys have the order of weights.
 */
final class TokenSampler {
    private static final float WEIGHT_UNITS = 0x1p40f;
    private static final int DIGIT_BITS = 8;
    private static final int DIGITS = 1 << DIGIT_BITS;

    private final long values;
    private final int width;

    /** @param values address of (width) fp32: scores, later weights */
    TokenSampler(long values, int width) {
        this.values = values;
        this.width = width;
    }

    /**
     * The tokens that are kept: all with larger keys, and the first ones with this key.
     *
     * @param key weight of the last token that is kept, as bits
     * @param ties how many tokens with this key are kept
     */
    private record Cut(int key, long ties) {}

    /** The quantity that the search for a cut adds up. */
    @FunctionalInterface
    private interface Measure {
        long of(int key);
    }

    /** @param choice address of a {@link TokenChoices.Row} */
    int choose(long logits, long choice, TokenChoices choices) {
        if (!score(logits)) {
            return TokenChoices.NO_TOKEN;
        }
        edit(
                logits,
                getInt(choice + TokenChoices.Row.FIRST_EDIT_AT),
                getInt(choice + TokenChoices.Row.EDITS_AT),
                choices.edits());
        int mask = getInt(choice + TokenChoices.Row.MASK_AT);
        if (mask != TokenChoices.NO_MASK) {
            int maskBytes = TokenChoices.maskBytes(width);
            mask(choices.masks().slice((long) mask * maskBytes, maskBytes));
        }
        int likeliest = likeliest();
        int topK = getInt(choice + TokenChoices.Row.TOP_K_AT);
        if (topK == 1) {
            return likeliest;
        }
        weigh(value(likeliest), getFloat(choice + TokenChoices.Row.INVERSE_TEMPERATURE_AT));
        Cut cut = new Cut(0, width);
        if (topK < width) {
            cut = cut(topK, key -> 1);
        }
        long topP = getLong(choice + TokenChoices.Row.TOP_P_AT);
        if (topP < Long.MAX_VALUE) {
            cut = byMass(cut, topP);
        }
        int least = Float.floatToRawIntBits(getFloat(choice + TokenChoices.Row.MIN_P_AT));
        return draw(least > cut.key() ? new Cut(least, width) : cut, getLong(choice + TokenChoices.Row.UNIFORM_AT));
    }

    private float value(int token) {
        return getFloat(values + (long) token * Float.BYTES);
    }

    private int key(int token) {
        return Float.floatToRawIntBits(value(token));
    }

    private static long units(int key) {
        return (long) (Float.intBitsToFloat(key) * WEIGHT_UNITS);
    }

    /** Scores tokens without edits; false if there is a NaN. */
    private boolean score(long logits) {
        boolean numbers = true;
        for (int token = 0; token < width; token++) {
            long at = (long) token * Float.BYTES;
            float logit = getFloat(logits + at);
            numbers &= !Float.isNaN(logit);
            setFloat(values + at, bounded(logit));
        }
        return numbers;
    }

    private void edit(long logits, int firstEdit, int editCount, DeviceBuffer edits) {
        long edit = edits.slice((long) firstEdit * TokenChoices.EDIT_BYTES, (long) editCount * TokenChoices.EDIT_BYTES)
                .address();
        for (int i = 0; i < editCount; i++, edit += TokenChoices.EDIT_BYTES) {
            int token = getInt(edit + TokenChoices.Edit.TOKEN_AT);
            if (token < 0 || token >= width) {
                throw new IndexOutOfBoundsException("edited token " + token + " of a vocabulary of " + width);
            }
            long at = (long) token * Float.BYTES;
            float x = getFloat(logits + at) + getFloat(edit + TokenChoices.Edit.BIAS_AT);
            float repetitionPenalty = getFloat(edit + TokenChoices.Edit.REPETITION_PENALTY_AT);
            x = x > 0 ? x / repetitionPenalty : x * repetitionPenalty;
            setFloat(values + at, bounded(x - getFloat(edit + TokenChoices.Edit.PENALTY_AT)));
        }
    }

    private void mask(DeviceBuffer allowed) {
        for (int token = 0; token < width; token++) {
            long word = getLong(allowed.address() + (long) (token / Long.SIZE) * Long.BYTES);
            if ((word >>> token & 1) == 0) {
                setFloat(values + (long) token * Float.BYTES, Float.NEGATIVE_INFINITY);
            }
        }
    }

    private static float bounded(float score) {
        return Math.max(-Float.MAX_VALUE, Math.min(Float.MAX_VALUE, score));
    }

    /** The smallest id among the largest scores. */
    private int likeliest() {
        int best = 0;
        for (int token = 1; token < width; token++) {
            if (value(token) > value(best)) {
                best = token;
            }
        }
        return best;
    }

    /** Turns scores into weights. */
    private void weigh(float largest, float inverseTemperature) {
        int token = 0;
        for (; token + Memory.LANES <= width; token += Memory.LANES) {
            long at = values + (long) token * Float.BYTES;
            FloatVector score = Memory.getVector(at);
            VectorMask<Float> likeliest = score.compare(VectorOperators.EQ, largest);
            FloatVector x = score.sub(largest).mul(inverseTemperature).blend(0, likeliest);
            Memory.setVector(at, FloatMath.exp(x));
        }
        for (; token < width; token++) {
            float x = value(token) == largest ? 0 : (value(token) - largest) * inverseTemperature;
            setFloat(values + (long) token * Float.BYTES, FloatMath.exp(x));
        }
    }

    /** @param topP share of the mass in units of 2⁻⁶³ */
    private Cut byMass(Cut kept, long topP) {
        long mass = kept.ties() * units(kept.key());
        for (int token = 0; token < width; token++) {
            mass += key(token) > kept.key() ? units(key(token)) : 0;
        }
        return cut(Math.max(1, Math.multiplyHigh(mass << 1, topP)), TokenSampler::units);
    }

    /**
     * The fewest of the likeliest tokens whose {@code measure} reaches {@code wanted}. Finds the key digit by digit:
     * for each next digit, it measures the tokens whose keys share the digits found so far.
     */
    private Cut cut(long wanted, Measure measure) {
        int key = 0;
        long above = 0;
        for (int shift = Integer.SIZE - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
            long[] byDigit = new long[DIGITS];
            for (int token = 0; token < width; token++) {
                // Not a digit if the key is smaller, or begins with a larger number.
                int digit = (key(token) - key) >> shift;
                if (digit >= 0 && digit < DIGITS) {
                    byDigit[digit] += measure.of(key(token));
                }
            }
            int last = DIGITS - 1;
            while (last > 0 && above + byDigit[last] < wanted) {
                above += byDigit[last--];
            }
            key += last << shift;
        }
        return new Cut(key, Math.ceilDiv(wanted - above, measure.of(key)));
    }

    /** @param uniform share of the mass in units of 2⁻⁶³ */
    private int draw(Cut cut, long uniform) {
        long left = Math.multiplyHigh(pass(cut, Long.MAX_VALUE).mass() << 1, uniform);
        return pass(cut, left).token();
    }

    /** How far a pass in id order went. */
    private record Pass(int token, long mass) {}

    /** Adds up the mass of kept tokens until it exceeds {@code most}, or to the end. */
    private Pass pass(Cut cut, long most) {
        long mass = 0;
        long ties = cut.ties();
        for (int token = 0; token < width; token++) {
            int key = key(token);
            if (key > cut.key() || (key == cut.key() && ties-- > 0)) {
                mass += units(key);
                if (mass > most) {
                    return new Pass(token, mass);
                }
            }
        }
        return new Pass(width - 1, mass);
    }
}
