/**
 * The OpenAI API: resources, wire records with validation, text from tokens, server-sent events, metrics of requests.
 *
 * <p>Requests are read, validated and tokenised on worker threads; what the engine produces becomes text and JSON on
 * worker threads too, never on the engine's thread or an event loop.
 */
@NullMarked
package io.weft.api.openai;

import org.jspecify.annotations.NullMarked;
