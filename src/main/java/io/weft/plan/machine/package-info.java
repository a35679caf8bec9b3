/** What is known of a machine: curves that were measured, and presets from public figures. */
@NullMarked
package io.weft.plan.machine;

import org.jspecify.annotations.NullMarked;
