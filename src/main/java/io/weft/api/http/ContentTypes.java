package io.weft.api.http;

import jakarta.ws.rs.NotSupportedException;
import jakarta.ws.rs.container.ContainerRequestContext;
import jakarta.ws.rs.core.HttpHeaders;
import org.jboss.resteasy.reactive.server.ServerRequestFilter;

/** Refuses a blank Content-Type, on which the platform fails when it looks for a method. */
class ContentTypes {
    @ServerRequestFilter(preMatching = true)
    public void requireContentType(ContainerRequestContext request) {
        String type = request.getHeaderString(HttpHeaders.CONTENT_TYPE);
        if (type != null && type.isBlank()) {
            throw new NotSupportedException();
        }
    }
}
