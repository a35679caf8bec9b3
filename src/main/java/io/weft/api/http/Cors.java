package io.weft.api.http;

import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;

/**
 * Lets pages of some origins use the API in a browser (CORS). It does not keep anybody else out, which is what keys are
 * for; and a page may send any header, since it needs the key all the same. Without origins there is nothing of it.
 */
@Singleton
class Cors {
    private static final String ANY = "*";
    private static final String EXPOSED = "x-request-id, Retry-After";
    private static final String METHODS = "GET, POST, OPTIONS";
    private static final String PREFLIGHT_SECONDS = "600";
    /** After {@link RequestEdge} and before all that answers. */
    private static final int PRIORITY = 950;

    private final ApiSettings settings;

    Cors(ApiSettings settings) {
        this.settings = settings;
    }

    void register(@Observes Filters filters) {
        if (!settings.corsOrigins().isEmpty()) {
            filters.register(this::handle, PRIORITY);
        }
    }

    private void handle(RoutingContext routing) {
        HttpServerRequest request = routing.request();
        HttpServerResponse response = routing.response();
        boolean any = settings.corsOrigins().contains(ANY);
        String origin = request.getHeader(HttpHeaders.ORIGIN);
        if (!any) {
            response.putHeader(HttpHeaders.VARY, HttpHeaders.ORIGIN);
        }
        if (origin == null || !(any || settings.corsOrigins().contains(origin))) {
            routing.next();
            return;
        }
        response.putHeader(HttpHeaders.ACCESS_CONTROL_ALLOW_ORIGIN, any ? ANY : origin);
        if (isPreflight(request)) {
            response.putHeader(HttpHeaders.ACCESS_CONTROL_ALLOW_METHODS, METHODS)
                    .putHeader(HttpHeaders.ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
            String headers = request.getHeader(HttpHeaders.ACCESS_CONTROL_REQUEST_HEADERS);
            if (headers != null) {
                response.putHeader(HttpHeaders.ACCESS_CONTROL_ALLOW_HEADERS, headers);
            }
            response.setStatusCode(204).end();
        } else {
            response.putHeader(HttpHeaders.ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            routing.next();
        }
    }

    private static boolean isPreflight(HttpServerRequest request) {
        return request.method().equals(HttpMethod.OPTIONS)
                && request.getHeader(HttpHeaders.ACCESS_CONTROL_REQUEST_METHOD) != null;
    }
}
