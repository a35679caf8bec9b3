/**
 * Compares the kernels of a device with those of another on awkward sizes, and with themselves for bits that must not
 * depend on how work is divided. It knows devices by their interface alone, so a device can be compared with itself.
 */
@NullMarked
package io.weft.device.check;

import org.jspecify.annotations.NullMarked;
