package io.weft.api.weft;

import io.smallrye.common.annotation.NonBlocking;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.eclipse.microprofile.openapi.annotations.Operation;

/** {@code GET /version}: the version, as vLLM tells its own. */
@Path("/version")
@Produces(MediaType.APPLICATION_JSON)
class VersionResource {
    private final String version;

    VersionResource(@ConfigProperty(name = "quarkus.application.version") String version) {
        this.version = version;
    }

    /** The version. */
    record Version(String version) {}

    @GET
    @NonBlocking
    @Operation(summary = "The version of the service")
    public Version version() {
        return new Version(version);
    }
}
