/**
 * Acceptance tests of a device: its kernels against their formulas in double precision, on awkward sizes; against
 * themselves for bits that must not depend on how work is divided; and the whole pipeline.
 *
 * <p>{@link io.weft.check.KernelChecks} and {@link io.weft.check.PipelineChecks} are the doors. A family of kernels has
 * its checks in a class of its own, all with one {@link io.weft.check.CheckBench}; the formulas are in
 * {@link io.weft.check.Reference}, how far arithmetic may be from them in {@link io.weft.check.RoundingErrors}. Devices
 * are known by their interface alone.
 */
@NullMarked
package io.weft.check;

import org.jspecify.annotations.NullMarked;
