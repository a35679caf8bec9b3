/**
 * Where the tokens that were seen are kept: blocks of a fixed number of tokens in device memory or (pinned) host
 * memory, as K and V or as activations.
 *
 * <p>A sequence is admitted with a home for every block that it may ever fill, so a running sequence never runs out of
 * memory. Its newest tokens lie in <em>open</em> blocks on the device, which hold K, V and activations; a full one is
 * copied to its home, layer by layer, by the step that fills it. Spare device memory may hold copies of blocks that
 * live on the host. Never here: which form a block is given ({@code plan}) and the copying ({@code pipeline}). Used
 * from the engine's thread alone.
 */
@NullMarked
package io.weft.cache;

import org.jspecify.annotations.NullMarked;
