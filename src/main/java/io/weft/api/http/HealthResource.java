package io.weft.api.http;

import io.smallrye.common.annotation.Blocking;
import io.smallrye.health.SmallRyeHealth;
import io.smallrye.health.SmallRyeHealthReporter;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;

/** {@code GET /health}: readiness, at the path that other servers use. */
@Path("/health")
class HealthResource {
    private final SmallRyeHealthReporter health;

    HealthResource(SmallRyeHealthReporter health) {
        this.health = health;
    }

    @GET
    @Operation(summary = "Tell whether requests are accepted")
    @Blocking
    @Produces(MediaType.APPLICATION_JSON)
    public Response health() {
        SmallRyeHealth readiness = health.getReadiness();
        return Response.status(readiness.isDown() ? Response.Status.SERVICE_UNAVAILABLE : Response.Status.OK)
                .entity(readiness.getPayload().toString())
                .build();
    }
}
