package io.weft.device;

/**
 * Cosines and sines of rotary positions on the device, (positions, rotaryWidth / 2) each, fp32. Dimension {@code j} of
 * a head is rotated with dimension {@code j + rotaryWidth / 2} (the "rotate half" layout of Hugging Face); dimensions
 * from {@code rotaryWidth} on do not change.
 */
public interface RotaryTable {
    /** Leading dimensions of a head that are rotated; even. */
    int rotaryWidth();

    /** Positions the table covers. */
    int positions();
}
