/**
 * Where the tokens that were seen are kept: blocks of a fixed number of tokens in device memory or (pinned) host
 * memory, as K and V or as activations.
 *
 * <p>A sequence's newest tokens lie in <em>open</em> blocks on the device, which hold K, V and activations; a full one
 * is copied to its home, layer by layer, by the step that fills it. It may have a name then, by which others that begin
 * alike find it, and stays after its sequence until its memory is wanted. Spare device memory may hold copies of blocks
 * that live on the host. {@link io.weft.cache.KvCache} gives out memory, {@code BlockStore} knows the names,
 * {@code HostPool} cuts host memory into slots. Never here: which form a block is given ({@code plan}) and the copying
 * ({@code pipeline}). Used from the engine's thread alone.
 *
 * <p>{@link io.weft.cache.DiskStore} keeps parts of blocks in files. It knows neither sequences nor devices, has
 * threads of its own, and any thread may use it.
 */
@NullMarked
package io.weft.cache;

import org.jspecify.annotations.NullMarked;
