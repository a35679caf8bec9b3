package io.weft.api.http;

import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.SocketAddress;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.Objects;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Runs before all routing: counts requests, gives every response its id, and finds paths that have two spellings. */
@Singleton
public class RequestEdge {
    static final String REQUEST_ID = "x-request-id";
    private static final String CLIENT = "weft.client";
    private static final String CACHE_OWNER = "weft.cache.owner";
    private static final Pattern SLASHES = Pattern.compile("/{2,}");
    /** The characters allowed in a log line and a header. */
    private static final Pattern ACCEPTED_ID = Pattern.compile("[\\w.:/+=-]{1,128}");

    /** Where other servers have their OpenAPI document. */
    private static final String OPENAPI_JSON = "/openapi.json";

    private static final String OPENAPI = "/q/openapi?format=json";
    private static final int FIRST = 1000;

    private final Connections connections;
    private final ErrorResponses errors;

    RequestEdge(Connections connections, ErrorResponses errors) {
        this.connections = connections;
        this.errors = errors;
    }

    void register(@Observes Filters filters) {
        filters.register(this::handle, FIRST);
    }

    /** What fails before any resource is asked, a missing Host header say, gets the same body as other errors. */
    void registerErrors(@Observes Router router) {
        router.route().order(-FIRST).failureHandler(this::fail);
        connections.answerUnreadable(this::refuse);
    }

    private void fail(RoutingContext routing) {
        String id = requestId(routing);
        routing.response().putHeader(HttpHeaders.createOptimized(REQUEST_ID), id);
        errors.end(routing.request(), error(routing.statusCode(), routing.failure(), id));
    }

    /** What Vert.x cannot even make a request of. */
    private void refuse(HttpServerRequest request, Throwable cause) {
        request.response().putHeader(HttpHeaders.createOptimized(REQUEST_ID), requestId(request));
        errors.end(
                request,
                switch (cause) {
                    case TooLongHttpLineException line -> ApiError.unreadable(414, withoutStop(line));
                    case TooLongHttpHeaderException headers -> ApiError.unreadable(431, withoutStop(headers));
                    default ->
                        ApiError.unreadable(400, "The request's line or one of its headers is not as HTTP wants it");
                });
    }

    /** The limit, in Netty's words. */
    private static String withoutStop(TooLongFrameException failure) {
        return String.valueOf(failure.getMessage()).replaceFirst("\\.$", "");
    }

    private static ApiError error(int status, @Nullable Throwable failure, String id) {
        if (status >= 400 && status < 500) {
            String message = failure == null ? null : failure.getMessage();
            return ApiError.unreadable(status, message == null ? "The request cannot be read" : message);
        }
        return Errors.of(failure == null ? new IllegalStateException("status " + status) : failure, id);
    }

    private void handle(RoutingContext routing) {
        if (routing.get(REQUEST_ID) == null) {
            connections.began(routing);
        }
        routing.response().putHeader(HttpHeaders.createOptimized(REQUEST_ID), requestId(routing));
        ErrorForm.of(routing.request())
                .idHeader()
                .ifPresent(name -> routing.response().putHeader(name, requestId(routing)));
        // Where direct memory runs out, the platform only closes the connection.
        routing.request().connection().exceptionHandler(Errors::endIfOutOfMemory);
        String path = routing.request().path();
        String meant = SLASHES.matcher(path == null ? "/" : path).replaceAll("/");
        if (meant.equals(OPENAPI_JSON)) {
            routing.reroute(OPENAPI);
        } else if (meant.equals(path)) {
            routing.next();
        } else {
            String query = routing.request().query();
            routing.reroute(query == null ? meant : meant + "?" + query);
        }
    }

    /** Names the client of a request. */
    static void named(RoutingContext routing, String client) {
        routing.put(CLIENT, client);
    }

    /** Whose request it is: its API key if there are several, else its address. */
    public static String client(RoutingContext routing) {
        String named = routing.get(CLIENT);
        SocketAddress address = routing.request().remoteAddress();
        return named != null || address == null ? Objects.requireNonNullElse(named, "") : address.hostAddress();
    }

    /** Says whose the cached blocks of a request are. */
    static void sharesAs(RoutingContext routing, String owner) {
        routing.put(CACHE_OWNER, owner);
    }

    /** Whose the cached blocks of a request are; empty if all clients share. */
    public static String cacheOwner(RoutingContext routing) {
        String owner = routing.get(CACHE_OWNER);
        return Objects.requireNonNullElse(owner, "");
    }

    /** The client's id of a request, or a generated one. */
    public static String requestId(RoutingContext routing) {
        String known = routing.get(REQUEST_ID);
        if (known != null) {
            return known;
        }
        String id = requestId(routing.request());
        routing.put(REQUEST_ID, id);
        return id;
    }

    private static String requestId(HttpServerRequest request) {
        String sent = request.getHeader(REQUEST_ID);
        return sent != null && ACCEPTED_ID.matcher(sent).matches()
                ? sent
                : UUID.randomUUID().toString();
    }
}
