package io.weft.device.cuda;

/**
 * A loaded kernel.
 *
 * @param name name in the source
 * @param address the driver's handle
 * @param arguments number of arguments
 * @param sharedBytes bytes of shared memory that a launch adds to the kernel's own
 */
record CudaKernel(String name, long address, int arguments, int sharedBytes) {}
