/**
 * The OpenAI API: resources, wire records with validation, text from tokens, metrics of requests.
 *
 * <p>A request goes one way: a resource reads it and makes {@link io.weft.api.openai.Choice choices} of it,
 * {@link io.weft.api.openai.Generator} runs these on the engine, and {@link io.weft.api.openai.Responder} turns the
 * resulting {@link io.weft.api.openai.Delta deltas} into one JSON object or a stream of them, in the
 * {@link io.weft.api.openai.ResponseShape shape} of the path.
 *
 * <p>Chats have other {@linkplain io.weft.api.openai.Door doors}: {@link io.weft.api.openai.Chats} takes what a request
 * there stands for, and its answer is written in that door's {@link io.weft.api.openai.AnswerForm form}.
 *
 * <p>Worker threads read, validate and tokenize requests. {@linkplain io.weft.api.http.DeliveryThread Delivery threads}
 * turn the engine's events into text and JSON; the engine's thread and event loops never do. Never here: caches, plans,
 * devices.
 */
@NullMarked
package io.weft.api.openai;

import org.jspecify.annotations.NullMarked;
