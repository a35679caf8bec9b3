package io.weft.device.cuda;

import io.weft.device.RotaryTable;

/**
 * @param cosines address of (positions, rotaryWidth / 2) fp32
 * @param sines address of (positions, rotaryWidth / 2) fp32
 */
record CudaRotaryTable(int rotaryWidth, int positions, Layout layout, long cosines, long sines)
        implements RotaryTable {}
