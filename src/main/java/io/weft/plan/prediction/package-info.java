/**
 * How long a step takes: the cost of a stage, the simulation of a step, the chunk size that this recommends, and how
 * predictions follow what is measured.
 */
@NullMarked
package io.weft.plan.prediction;

import org.jspecify.annotations.NullMarked;
