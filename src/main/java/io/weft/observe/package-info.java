/**
 * What steps did, next to what was predicted.
 *
 * <p>{@link io.weft.observe.Observatory} receives every step, keeps the timelines of the last timed steps, and adapts
 * the profile to them; {@link io.weft.observe.ChromeTrace} writes timelines in a format that Perfetto reads. All may be
 * called from any thread. Never here: what a plan is ({@code plan}), or how a step is timed ({@code pipeline}).
 */
@NullMarked
package io.weft.observe;

import org.jspecify.annotations.NullMarked;
