/**
 * Measures decode steps of each schedule, next to the simulator's predictions.
 *
 * <p>Never here: flags and tables, which belong to {@code cli}.
 */
@NullMarked
package io.weft.bench;

import org.jspecify.annotations.NullMarked;
