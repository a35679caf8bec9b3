/**
 * What a step does, what it costs, and where blocks lie: pure functions over records.
 *
 * <p>Read the packages in this order: {@link io.weft.plan.machine} (what is known of a machine),
 * {@link io.weft.plan.step} (what a step does), {@link io.weft.plan.prediction} (how long it takes),
 * {@link io.weft.plan.placement} (which form each block has, and where), {@link io.weft.plan.whatif} (questions about
 * machines and loads). Each uses only those before it. Nothing here touches a device, a clock or a thread, and
 * everything may be called from any thread.
 */
@NullMarked
package io.weft.plan;

import org.jspecify.annotations.NullMarked;
