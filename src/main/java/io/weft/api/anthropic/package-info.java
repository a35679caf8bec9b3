/**
 * Anthropic's Messages API, another door to the same chats: requests are translated to those of
 * {@link io.weft.api.openai.Chats}, and answers from there. Threads are those of {@code api.openai}. Never here:
 * tokens, templates, the engine.
 */
@NullMarked
package io.weft.api.anthropic;

import org.jspecify.annotations.NullMarked;
