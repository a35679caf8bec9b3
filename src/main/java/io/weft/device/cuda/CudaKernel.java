package io.weft.device.cuda;

/**
 * A kernel that is loaded.
 *
 * @param name as in the source
 * @param address the driver's handle
 * @param arguments how many it takes
 * @param sharedBytes of shared memory that a launch gives it beside its own
 */
record CudaKernel(String name, long address, int arguments, int sharedBytes) {}
