/**
 * The embedded device and the reference for all others: "device" and "host" memory are two budgets of native memory, a
 * stream is a thread with a queue, a transfer is a copy whose rate may be limited, kernels use the Vector API.
 *
 * <p>Every result has the same bits in the interpreter and in compiled code, for any number of threads and rows. That
 * rules out vector operations whose rounding Java leaves open: reductions of lanes, and library functions such as
 * {@code EXP}. Each stream runs on a thread of its own; kernels share the threads of
 * {@link io.weft.device.cpu.Workers}.
 */
@NullMarked
package io.weft.device.cpu;

import org.jspecify.annotations.NullMarked;
