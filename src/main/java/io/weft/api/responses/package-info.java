/**
 * OpenAI's Responses API, another door to the same chats: requests are translated to those of
 * {@link io.weft.api.openai.Chats}, and answers from there. Nothing is stored. Threads are those of {@code api.openai}.
 * Never here: tokens, templates, the engine.
 */
@NullMarked
package io.weft.api.responses;

import org.jspecify.annotations.NullMarked;
