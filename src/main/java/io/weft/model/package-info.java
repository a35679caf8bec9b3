/**
 * What a model is: its sizes, its architecture as a description, the files it comes in and its weights on a device.
 *
 * <p>Never here: running it (that is {@code pipeline}) or text ({@code text}). Reading happens once at start, on one
 * thread; everything read is immutable.
 */
@NullMarked
package io.weft.model;

import org.jspecify.annotations.NullMarked;
