/**
 * Measured decode steps of each schedule, beside what the simulator predicts for them.
 *
 * <p>Never here: flags and tables, which belong to {@code cli}.
 */
@NullMarked
package io.weft.bench;

import org.jspecify.annotations.NullMarked;
