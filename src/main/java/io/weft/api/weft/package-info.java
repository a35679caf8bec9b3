/** Weft's own surface under {@code /weft/v1}: the plan in force, other plans, the profile, and timelines of steps. */
@NullMarked
package io.weft.api.weft;

import org.jspecify.annotations.NullMarked;
