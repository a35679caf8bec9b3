package io.weft.device.cpu;

import io.weft.device.RotaryTable;

/**
 * @param cosines address of (positions, rotaryWidth / 2) fp32
 * @param sines address of (positions, rotaryWidth / 2) fp32
 */
record CpuRotaryTable(int rotaryWidth, int positions, Layout layout, long cosines, long sines) implements RotaryTable {}
