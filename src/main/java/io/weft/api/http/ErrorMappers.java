package io.weft.api.http;

import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import io.quarkus.hibernate.validator.runtime.jaxrs.ResteasyReactiveViolationException;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.jboss.resteasy.reactive.server.ServerExceptionMapper;

/** Gives every error the same body. Errors that the platform would otherwise answer itself are listed one by one. */
class ErrorMappers {
    @ServerExceptionMapper
    Response anything(Throwable failure, RoutingContext routing) {
        return response(failure, routing);
    }

    @ServerExceptionMapper
    Response status(WebApplicationException failure, RoutingContext routing) {
        return response(failure, routing);
    }

    @ServerExceptionMapper
    Response wrongType(MismatchedInputException failure, RoutingContext routing) {
        return response(failure, routing);
    }

    @ServerExceptionMapper
    Response wrongValue(ResteasyReactiveViolationException failure, RoutingContext routing) {
        return response(failure, routing);
    }

    private static Response response(Throwable failure, RoutingContext routing) {
        ApiError error = Errors.of(failure, RequestEdge.requestId(routing));
        Response.ResponseBuilder response = Response.status(error.status())
                .type(MediaType.APPLICATION_JSON_TYPE)
                .entity(ErrorForm.of(routing.request()).body(error, RequestEdge.requestId(routing)));
        ErrorResponses.headers(error).forEach(response::header);
        return response.build();
    }
}
