package io.weft.api;

import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import io.quarkus.hibernate.validator.runtime.jaxrs.ResteasyReactiveViolationException;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.jboss.resteasy.reactive.server.ServerExceptionMapper;

/** Every error has the same body. Named one by one is what the platform would answer itself otherwise. */
final class ErrorMappers {
    private ErrorMappers() {}

    @ServerExceptionMapper
    static Response map(Throwable failure, RoutingContext routing) {
        return response(Errors.of(failure, RequestEdge.requestId(routing)));
    }

    @ServerExceptionMapper
    static Response map(WebApplicationException failure, RoutingContext routing) {
        return response(Errors.of(failure, RequestEdge.requestId(routing)));
    }

    @ServerExceptionMapper
    static Response map(MismatchedInputException failure, RoutingContext routing) {
        return response(Errors.of(failure, RequestEdge.requestId(routing)));
    }

    @ServerExceptionMapper
    static Response map(ResteasyReactiveViolationException failure, RoutingContext routing) {
        return response(Errors.of(failure, RequestEdge.requestId(routing)));
    }

    /** An error as a response. */
    static Response response(ApiError error) {
        Response.ResponseBuilder response = Response.status(error.status())
                .type(MediaType.APPLICATION_JSON_TYPE)
                .entity(error.body());
        error.retryAfter().ifPresent(wait -> response.header(HttpHeaders.RETRY_AFTER, Math.max(1, wait.toSeconds())));
        if (error.status() == Response.Status.UNAUTHORIZED.getStatusCode()) {
            response.header(HttpHeaders.WWW_AUTHENTICATE, "Bearer");
        }
        return response.build();
    }
}
