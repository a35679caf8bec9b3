/**
 * How long a step takes: the cost of a stage, the simulation of a step, the best chunk size, and the adaptation of
 * predictions to measurements.
 */
@NullMarked
package io.weft.plan.prediction;

import org.jspecify.annotations.NullMarked;
