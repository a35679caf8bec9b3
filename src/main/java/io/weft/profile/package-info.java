/**
 * Measures what the planner needs to know of this machine, and stores the result.
 *
 * <p>{@link io.weft.profile.Profiler} times the link and the kernels of a step with the model's own weights,
 * {@link io.weft.profile.ProfileStore} stores the result in a directory, {@link io.weft.profile.HardwareProfiler} does
 * both and holds the profile in force. Measuring happens once, before the first step, on the thread that starts the
 * model; nothing else may use the device meanwhile. Never here: conclusions from the figures ({@code plan}).
 */
@NullMarked
package io.weft.profile;

import org.jspecify.annotations.NullMarked;
