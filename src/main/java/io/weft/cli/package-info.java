/**
 * The commands and their output.
 *
 * <p>{@link io.weft.cli.WeftMain} reads the arguments before Quarkus starts; {@code serve} then starts it; the other
 * commands do not need it. Never here: anything that another package could want.
 */
@NullMarked
package io.weft.cli;

import org.jspecify.annotations.NullMarked;
