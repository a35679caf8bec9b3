/**
 * The OpenAI API: resources, wire records with validation, text from tokens, metrics of requests.
 *
 * <p>A request goes one way: a resource reads it and makes {@link io.weft.api.openai.Choice choices} of it,
 * {@link io.weft.api.openai.Generator} runs these on the engine, and what comes back as {@link io.weft.api.openai.Delta
 * deltas} {@link io.weft.api.openai.Responder} turns into one JSON object or a stream of them, in the
 * {@link io.weft.api.openai.ResponseShape shape} of the path.
 *
 * <p>Requests are read, validated and tokenised on worker threads; what the engine produces becomes text and JSON on
 * worker threads too, never on the engine's thread or an event loop. Never here: caches, plans, devices.
 */
@NullMarked
package io.weft.api.openai;

import org.jspecify.annotations.NullMarked;
