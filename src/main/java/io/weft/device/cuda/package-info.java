/**
 * NVIDIA GPUs, fp16 or bf16: the only package that knows CUDA.
 *
 * <p>JCuda's driver API provides context, module, memory, streams and events ({@link io.weft.device.cuda.CudaContext});
 * the calls of a step go to the same libraries through {@code java.lang.foreign}, which costs a third
 * ({@link io.weft.device.cuda.DriverCalls}, {@link io.weft.device.cuda.CublasLt}), and those of a whole step can be
 * captured once ({@link io.weft.device.cuda.CudaGraph}). The kernels are {@code src/main/cuda}, compiled into the
 * resource {@code weft/cuda/kernels.fatbin}.
 *
 * <p>A row has the same bits whatever else is in a call: matrix products never split K, attention merges partial
 * results of fixed tiles in token order, and no reduction uses atomics.
 *
 * <p>Errors are sticky: an error fails the device, and every later event carries it.
 */
@NullMarked
package io.weft.device.cuda;

import org.jspecify.annotations.NullMarked;
