package io.weft.api.http;

import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.http.HttpHeaders;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * Runs before all routing: gives every response its request's id, replaces doubled slashes by single ones, and serves
 * {@code /q/metrics} also as {@code /metrics}, where other servers have it.
 */
@Singleton
public class RequestEdge {
    private static final String REQUEST_ID = "x-request-id";
    private static final Pattern SLASHES = Pattern.compile("/{2,}");
    /** The characters allowed in a log line and a header. */
    private static final Pattern ACCEPTED_ID = Pattern.compile("[\\w.:/+=-]{1,128}");

    private static final int FIRST = 1000;

    void register(@Observes Filters filters) {
        filters.register(RequestEdge::handle, FIRST);
    }

    private static void handle(RoutingContext routing) {
        routing.response().putHeader(HttpHeaders.createOptimized(REQUEST_ID), requestId(routing));
        // Where direct memory runs out, the platform only closes the connection.
        routing.request().connection().exceptionHandler(Errors::endIfOutOfMemory);
        String path = routing.request().path();
        String meant = meant(path == null ? "/" : path);
        if (meant.equals(path)) {
            routing.next();
        } else {
            String query = routing.request().query();
            routing.reroute(query == null ? meant : meant + "?" + query);
        }
    }

    private static String meant(String path) {
        String single = SLASHES.matcher(path).replaceAll("/");
        return single.equals("/metrics") ? "/q/metrics" : single;
    }

    /** The client's id of a request, or a generated one. */
    public static String requestId(RoutingContext routing) {
        String known = routing.get(REQUEST_ID);
        if (known != null) {
            return known;
        }
        String sent = routing.request().getHeader(REQUEST_ID);
        String id = sent != null && ACCEPTED_ID.matcher(sent).matches()
                ? sent
                : UUID.randomUUID().toString();
        routing.put(REQUEST_ID, id);
        return id;
    }
}
