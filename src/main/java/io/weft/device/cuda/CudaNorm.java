package io.weft.device.cuda;

import io.weft.device.Norm;

/**
 * @param gain address of (width) fp32
 * @param bias address of (width) fp32; zeros without a bias
 */
record CudaNorm(Norm.Kind kind, int width, long gain, long bias) implements Norm {}
