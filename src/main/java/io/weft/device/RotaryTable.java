package io.weft.device;

/**
 * Cosines and sines of rotary positions on the device, (positions, rotaryWidth / 2) each, fp32. Dimensions of a head
 * are rotated two by two, as the layout says; those from {@code rotaryWidth} on do not change.
 */
public interface RotaryTable {
    /** Leading dimensions of a head that are rotated; even. */
    int rotaryWidth();

    /** Positions the table covers. */
    int positions();

    /** Which dimensions are rotated together. */
    Layout layout();

    /** Which two dimensions of a head the angle {@code j} of a position rotates. */
    enum Layout {
        /** {@code j} and {@code j + rotaryWidth / 2}: the "rotate half" of Hugging Face. */
        HALVES,
        /** {@code 2j} and {@code 2j + 1}: GLM-4 and Cohere, as in the paper (Su et al. 2021). */
        PAIRS
    }
}
