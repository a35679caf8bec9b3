package io.weft.api.http;

import io.vertx.ext.web.RoutingContext;
import jakarta.annotation.Priority;
import jakarta.ws.rs.NotFoundException;
import jakarta.ws.rs.Priorities;
import jakarta.ws.rs.container.ContainerRequestContext;
import jakarta.ws.rs.container.ContainerRequestFilter;
import jakarta.ws.rs.ext.Provider;
import org.jboss.resteasy.reactive.server.core.ResteasyReactiveRequestContext;
import org.jboss.resteasy.reactive.server.spi.ResteasyReactiveContainerRequestContext;

/** Lets in what {@link Intake} has checked, with the body that it has collected. */
@Provider
@Guarded
@Priority(Priorities.AUTHENTICATION)
class Guard implements ContainerRequestFilter {
    @Override
    public void filter(ContainerRequestContext request) {
        RoutingContext routing = ((ResteasyReactiveRequestContext)
                        ((ResteasyReactiveContainerRequestContext) request).getServerRequestContext())
                .unwrap(RoutingContext.class);
        if (!(routing.get(Intake.BODY) instanceof Body body)) {
            // A path that leads to a resource, but does not look like it.
            throw new NotFoundException();
        }
        request.setEntityStream(body.stream());
    }
}
