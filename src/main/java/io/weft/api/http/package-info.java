/**
 * Shared by all paths: errors and their bodies, rules of JSON, server-sent events, the API key, limits, probes, the
 * management port, and the model that requests may name. Never here: anything that only one API needs.
 *
 * <p>On event loops, which never block: {@code ConnectionTransport} and {@code Connections} admit connections and end
 * those beyond a limit, {@link io.weft.api.http.RequestEdge} names requests, {@code Intake} checks keys and collects
 * bodies. On a few threads of its own, {@code Intake} has requests read. {@code Probes} has its own threads too. Events
 * are framed and written by {@link io.weft.api.http.Delivery delivery threads}, which no other work may occupy.
 */
@NullMarked
package io.weft.api.http;

import org.jspecify.annotations.NullMarked;
