/**
 * The composition root: settings, and device, model, cache, pipeline and planner put together as these say.
 *
 * <p>{@link io.weft.app.Assembly} does so for every command; {@link io.weft.app.Service} is what CDI adds for a server.
 * Never here: what decides, computes or talks to people.
 */
@NullMarked
package io.weft.app;

import org.jspecify.annotations.NullMarked;
