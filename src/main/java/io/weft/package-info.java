/**
 * Weft, an LLM inference service whose KV cache lives in host memory and is partly recomputed on every decode step.
 *
 * <p>This root package holds nothing but its sub-packages: a token's way is {@code api}, {@code engine}, {@code plan},
 * {@code pipeline}, {@code device}.
 */
@NullMarked
package io.weft;

import org.jspecify.annotations.NullMarked;
