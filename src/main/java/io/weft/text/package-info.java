/**
 * Text to tokens and back: tokenizer, chat template (run by {@code template}), streaming detokenizer, stop strings.
 *
 * <p>Never here: any file of a model other than its tokenizer files.
 */
@NullMarked
package io.weft.text;

import org.jspecify.annotations.NullMarked;
