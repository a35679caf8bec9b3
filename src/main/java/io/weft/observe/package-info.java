/**
 * What steps did, beside what they were predicted to do.
 *
 * <p>{@link io.weft.observe.Observatory} is told of every step, keeps the timelines of the last ones that were timed,
 * and lets the profile follow them; {@link io.weft.observe.ChromeTrace} writes timelines as Perfetto reads them. All
 * may be called from any thread. Never here: what a plan is ({@code plan}), or how a step is timed ({@code pipeline}).
 */
@NullMarked
package io.weft.observe;

import org.jspecify.annotations.NullMarked;
