/**
 * The composition root: the settings, and device, model, cache, pipeline and planner assembled according to them.
 *
 * <p>{@link io.weft.app.Assembly} does so for every command; {@link io.weft.app.Service} adds CDI for a server. Never
 * here: code that decides, computes or talks to people.
 */
@NullMarked
package io.weft.app;

import org.jspecify.annotations.NullMarked;
