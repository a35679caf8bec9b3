/**
 * What a model writes, taken apart as it arrives: thoughts, the answer, and calls of tools. Each family of models
 * writes calls in its own way; a {@link io.weft.text.tools.ToolFormat} is one of these ways, to read and to prescribe.
 *
 * <p>Functions over text: no tokens, no requests, no threads.
 */
@NullMarked
package io.weft.text.tools;

import org.jspecify.annotations.NullMarked;
