/** What is known of a machine: measured curves, and presets from public figures. */
@NullMarked
package io.weft.plan.machine;

import org.jspecify.annotations.NullMarked;
