/**
 * Which form each block has, and where it lies: the linear programme and its solver, the search over whole placements,
 * admission, and the moves of running sequences.
 */
@NullMarked
package io.weft.plan.placement;

import org.jspecify.annotations.NullMarked;
