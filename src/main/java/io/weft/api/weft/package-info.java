/**
 * Weft's own API under {@code /weft/v1}: the plan in force, other plans, the profile, timelines of steps, and the
 * status; and the page at {@code /}, which shows them. Never here: decisions; this package only asks {@code plan} and
 * {@code observe}.
 *
 * <p>Answers are computed on worker threads: a plan may take tens of milliseconds.
 */
@NullMarked
package io.weft.api.weft;

import org.jspecify.annotations.NullMarked;
