/**
 * Acceptance tests of a device: its kernels against those of another on awkward sizes, against themselves for bits that
 * must not depend on how work is divided, and the whole pipeline.
 *
 * <p>It knows devices by their interface alone, so that a device can be compared with itself.
 */
@NullMarked
package io.weft.check;

import org.jspecify.annotations.NullMarked;
