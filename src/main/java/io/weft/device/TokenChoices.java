package io.weft.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * How to choose a token for each row of logits, see {@link Kernels#chooseTokens}. {@code src/main/cuda/sampling.cuh}
 * has the same layout.
 *
 * @param rows (rows) of {@link Row}
 * @param edits of {@link Edit}, grouped by row
 * @param masks of {@link #maskBytes} each: the bit of each token that may be chosen, of token t bit t mod 64 of word t
 *     / 64
 */
public record TokenChoices(DeviceBuffer rows, DeviceBuffer edits, DeviceBuffer masks) {
    /** Bytes of a row. */
    public static final int ROW_BYTES = 40;
    /** The mask of a row that may have any token. */
    public static final int NO_MASK = -1;
    /** Bytes of a mask are a multiple of this. */
    private static final int MASK_ALIGNMENT_BYTES = 16;
    /** Bytes of an edit. */
    public static final int EDIT_BYTES = 16;
    /** The token of a row with a NaN among its logits. */
    public static final int NO_TOKEN = -1;
    /** The most columns of a row of logits: the sum of that many weights of 2⁴⁰ units fits 63 bits. */
    public static final int VOCABULARY_MOST = 1 << 22;

    private static final double SHARE_UNITS = 0x1p63;

    /** Choices without masks. */
    public TokenChoices(DeviceBuffer rows, DeviceBuffer edits) {
        this(rows, edits, edits.slice(0, 0));
    }

    /** Bytes of the mask of a row. */
    public static int maskBytes(int vocabulary) {
        return Math.ceilDiv(vocabulary, Byte.SIZE * MASK_ALIGNMENT_BYTES) * MASK_ALIGNMENT_BYTES;
    }

    /** Rows as an array for the device. */
    public static MemorySegment rowArray(List<Row> rows) {
        MemorySegment array = MemorySegment.ofArray(new long[rows.size() * ROW_BYTES / Long.BYTES]);
        for (int i = 0; i < rows.size(); i++) {
            rows.get(i).write(array, i);
        }
        return array;
    }

    /** Edits as an array for the device. */
    public static MemorySegment editArray(List<Edit> edits) {
        MemorySegment array = MemorySegment.ofArray(new long[edits.size() * EDIT_BYTES / Long.BYTES]);
        for (int i = 0; i < edits.size(); i++) {
            edits.get(i).write(array, i);
        }
        return array;
    }

    /** Refuses a vocabulary that is empty or too large. */
    public static void requireVocabulary(int vocabulary) {
        if (vocabulary < 1 || vocabulary > VOCABULARY_MOST) {
            throw new IllegalArgumentException(
                    "vocabulary is " + vocabulary + ", must be from 1 to " + VOCABULARY_MOST);
        }
    }

    /**
     * One row.
     *
     * @param firstEdit index of its first edit
     * @param edits its number of edits
     * @param mask index of its mask, or {@link #NO_MASK}
     * @param temperature divisor of scores, above 0
     * @param topK how many of the likeliest tokens are kept, smaller ids first among equals; 1 takes the token with the
     *     largest score
     * @param topP keeps the fewest of these that hold this share of their mass, in (0, 1]
     * @param minP keeps those of these with at least this fraction of the largest weight, in [0, 1]
     * @param uniform random share of their mass, in id order, at which the token is taken, in units of 2⁻⁶³
     */
    public record Row(
            int firstEdit, int edits, int mask, double temperature, int topK, double topP, double minP, long uniform) {
        /** Offset of {@code uniform}, int64. */
        public static final int UNIFORM_AT = 0;
        /** Offset of {@code topP}, int64 in units of 2⁻⁶³; the largest number stands for 1. */
        public static final int TOP_P_AT = 8;
        /** Offset of {@code firstEdit}, int32. */
        public static final int FIRST_EDIT_AT = 16;
        /** Offset of {@code edits}, int32. */
        public static final int EDITS_AT = 20;
        /** Offset of {@code topK}, int32. */
        public static final int TOP_K_AT = 24;
        /** Offset of 1 / temperature, fp32. */
        public static final int INVERSE_TEMPERATURE_AT = 28;
        /** Offset of {@code minP}, fp32. */
        public static final int MIN_P_AT = 32;
        /** Offset of {@code mask}, int32. */
        public static final int MASK_AT = 36;

        /** A row without a mask. */
        public Row(int firstEdit, int edits, double temperature, int topK, double topP, double minP, long uniform) {
            this(firstEdit, edits, NO_MASK, temperature, topK, topP, minP, uniform);
        }

        public Row {
            if (!(temperature > 0) || topK < 1 || !(topP > 0 && topP <= 1) || !(minP >= 0 && minP <= 1)) {
                throw new IllegalArgumentException(
                        "temperature is %s, top-k %d, top-p %s, min-p %s; must be above 0, at least 1, in (0, 1], in [0, 1]"
                                .formatted(temperature, topK, topP, minP));
            }
            if (uniform < 0) {
                throw new IllegalArgumentException("uniform is " + uniform + ", must not be negative");
            }
        }

        /** Above 0, so that what is infinitely unlikely stays so. */
        private float inverseTemperature() {
            return Math.max(Float.MIN_VALUE, (float) (1 / temperature));
        }

        /** Writes this row as row {@code index}. */
        public void write(MemorySegment rows, int index) {
            long at = (long) index * ROW_BYTES;
            rows.set(ValueLayout.JAVA_LONG, at + UNIFORM_AT, uniform);
            rows.set(ValueLayout.JAVA_LONG, at + TOP_P_AT, (long) (topP * SHARE_UNITS));
            rows.set(ValueLayout.JAVA_INT, at + FIRST_EDIT_AT, firstEdit);
            rows.set(ValueLayout.JAVA_INT, at + EDITS_AT, edits);
            rows.set(ValueLayout.JAVA_INT, at + TOP_K_AT, topK);
            rows.set(ValueLayout.JAVA_FLOAT, at + INVERSE_TEMPERATURE_AT, inverseTemperature());
            rows.set(ValueLayout.JAVA_FLOAT, at + MIN_P_AT, (float) minP);
            rows.set(ValueLayout.JAVA_INT, at + MASK_AT, mask);
        }
    }

    /**
     * The change of one logit of a row: {@code x = logit + bias}, divided by {@code repetitionPenalty} if positive and
     * else multiplied by it, less {@code penalty}.
     *
     * @param token the token; no other edit of the row has it
     */
    public record Edit(int token, float bias, float repetitionPenalty, float penalty) {
        /** Offset of {@code token}, int32. */
        public static final int TOKEN_AT = 0;
        /** Offset of {@code bias}, fp32. */
        public static final int BIAS_AT = 4;
        /** Offset of {@code repetitionPenalty}, fp32. */
        public static final int REPETITION_PENALTY_AT = 8;
        /** Offset of {@code penalty}, fp32. */
        public static final int PENALTY_AT = 12;

        /** Writes this edit as edit {@code index}. */
        public void write(MemorySegment edits, int index) {
            long at = (long) index * EDIT_BYTES;
            edits.set(ValueLayout.JAVA_INT, at + TOKEN_AT, token);
            edits.set(ValueLayout.JAVA_FLOAT, at + BIAS_AT, bias);
            edits.set(ValueLayout.JAVA_FLOAT, at + REPETITION_PENALTY_AT, repetitionPenalty);
            edits.set(ValueLayout.JAVA_FLOAT, at + PENALTY_AT, penalty);
        }
    }
}
