/**
 * The HTTP surface. {@link io.weft.api.openai} and {@link io.weft.api.weft} are its two halves and do not know each
 * other; {@link io.weft.api.http} is what both need. {@link io.weft.api.responses} and {@link io.weft.api.anthropic}
 * are other doors to the chats of the first.
 *
 * <p>Nothing is known here of caches or devices.
 */
@NullMarked
package io.weft.api;

import org.jspecify.annotations.NullMarked;
