/**
 * An interpreter of the part of Jinja that chat templates use, with the settings of Hugging Face ({@code trim_blocks},
 * {@code lstrip_blocks}, loop controls, {@code raise_exception}, {@code strftime_now}, {@code tojson} as plain JSON).
 * {@link Lexer} cuts a source into tokens, {@link Parser} makes {@link Node}s of them, {@link Interpreter} runs these
 * on {@link Value}s. A text knows which of its characters the template wrote and which the caller did, through every
 * operation, so a control token spelled by a user can be told from one written by the template.
 *
 * <p>Differences that templates do not show: tuples and a dictionary's views are lists, integers have 64 bits,
 * recursive loops, imports, blocks and calls with {@code *} are refused.
 *
 * <p>Never here: access to files, classes or the network; a template computes with what it is given, within limits.
 */
@NullMarked
package io.weft.text.template;

import org.jspecify.annotations.NullMarked;
