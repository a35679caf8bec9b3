/**
 * The OpenAI API over HTTP: resources, wire records with validation, SSE framing, error bodies, health and metrics.
 *
 * <p>Requests are read, validated and tokenised on worker threads; what the engine produces is turned into text and
 * JSON on worker threads too, never on the engine's thread or an event loop. Nothing is known here of caches, plans or
 * devices.
 */
@NullMarked
package io.weft.api;

import org.jspecify.annotations.NullMarked;
