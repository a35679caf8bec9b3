/**
 * The command line, and where everything is put together.
 *
 * <p>{@link io.weft.cli.WeftMain} reads the arguments before Quarkus starts; {@code serve} then starts it, the other
 * commands do without. {@link io.weft.cli.Assembly} builds device, model, cache, pipeline and planner out of
 * {@link io.weft.cli.Settings}. Never here: anything another package could hold.
 */
@NullMarked
package io.weft.cli;

import org.jspecify.annotations.NullMarked;
