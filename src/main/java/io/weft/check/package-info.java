/**
 * Acceptance tests of a device: its kernels against their formulas in double precision, on awkward sizes; against
 * themselves for bits that must not depend on how work is divided; and the whole pipeline.
 *
 * <p>{@link io.weft.check.KernelChecks} and {@link io.weft.check.PipelineChecks} are the entry points. Each family of
 * kernels has a class of checks, all with one {@link io.weft.check.CheckBench}; the formulas are in
 * {@link io.weft.check.Reference}, the bounds on deviations from them in {@link io.weft.check.RoundingErrors}. The
 * checks know devices only by their interface.
 */
@NullMarked
package io.weft.check;

import org.jspecify.annotations.NullMarked;
