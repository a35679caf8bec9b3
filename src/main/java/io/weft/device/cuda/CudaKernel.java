package io.weft.device.cuda;

/**
 * A kernel that is loaded.
 *
 * @param name as in the source
 * @param address the driver's handle
 * @param arguments how many it takes
 */
record CudaKernel(String name, long address, int arguments) {}
