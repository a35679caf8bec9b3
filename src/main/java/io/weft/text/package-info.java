/**
 * Text to tokens and back: tokenizer, chat template (run by {@code template}), streaming detokenizer, stop strings.
 *
 * <p>Never here: anything of a model but its tokenizer files.
 */
@NullMarked
package io.weft.text;

import org.jspecify.annotations.NullMarked;
