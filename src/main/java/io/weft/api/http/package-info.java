/**
 * Shared by all paths: errors and their bodies, rules of JSON, server-sent events, the API key, limits, probes, the
 * management port, and the model that requests may name. Never here: anything that only one API needs.
 *
 * <p>{@link io.weft.api.http.RequestEdge} and the management port accept requests on an event loop and never block it;
 * errors are made and probes and metrics computed on worker threads; events are framed and written by
 * {@link io.weft.api.http.Delivery delivery threads}, which no other work may occupy.
 */
@NullMarked
package io.weft.api.http;

import org.jspecify.annotations.NullMarked;
