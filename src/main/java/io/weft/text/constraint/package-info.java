/**
 * Constraints of a text while it is generated: a regular expression, a choice, JSON, JSON of a schema.
 *
 * <p>A schema or an expression becomes a grammar over characters ({@code SchemaCompiler}, {@code Regex},
 * {@code Grammar}); the grammar is read byte by byte by an automaton with a stack, made deterministic as far as a text
 * needs it ({@code Machine}); and the automaton is run over a trie of the vocabulary's bytes to find the tokens that
 * may come next ({@link io.weft.text.constraint.ConstraintState}). See ADR 0019.
 *
 * <p>Never here: logits, devices, requests. Any thread.
 */
@NullMarked
package io.weft.text.constraint;

import org.jspecify.annotations.NullMarked;
