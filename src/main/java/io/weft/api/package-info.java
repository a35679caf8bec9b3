/**
 * The HTTP surface. {@link io.weft.api.openai} and {@link io.weft.api.weft} are its two doors and do not know each
 * other; {@link io.weft.api.http} is what both need.
 *
 * <p>Nothing is known here of caches or devices.
 */
@NullMarked
package io.weft.api;

import org.jspecify.annotations.NullMarked;
