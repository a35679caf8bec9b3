/**
 * The commands, and what they print.
 *
 * <p>{@link io.weft.cli.WeftMain} reads the arguments before Quarkus starts; {@code serve} then starts it, the other
 * commands do without. Never here: anything that another package could want.
 */
@NullMarked
package io.weft.cli;

import org.jspecify.annotations.NullMarked;
