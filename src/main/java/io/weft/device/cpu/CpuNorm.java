package io.weft.device.cpu;

import io.weft.device.Norm;

/**
 * @param gain address of (width) fp32
 * @param bias address of (width) fp32; zeros without a bias
 */
record CpuNorm(Norm.Kind kind, int width, long gain, long bias) implements Norm {}
