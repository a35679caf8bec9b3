package io.weft.api.weft;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.Guarded;
import io.weft.api.http.RequestEdge;
import io.weft.engine.Engine;
import io.weft.engine.HeldTokens;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.MediaType;
import java.util.Optional;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.jspecify.annotations.Nullable;

/**
 * {@code /weft/v1/cache}: what is kept for prompts to come. It tells sums and never a salt, and under
 * {@code weft.cache-isolation=api-key} only of the blocks of the key that asks.
 */
@Path("/weft/v1/cache")
@Produces(MediaType.APPLICATION_JSON)
@Guarded
class CacheResource {
    private final Engine engine;

    CacheResource(Engine engine) {
        this.engine = engine;
    }

    /** Tokens that are held, by tier; {@code idle} are those in memory that no running request uses. */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Held(long deviceTokens, long hostTokens, long idleTokens, long diskTokens) {
        static Held of(HeldTokens tokens) {
            return new Held(tokens.onDevice(), tokens.onHost(), tokens.idle(), tokens.onDisk());
        }
    }

    /** Tokens that were forgotten, in memory and on the disk, where some of them are too. */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Forgotten(long forgottenTokens, long forgottenDiskTokens) {
        static Forgotten of(HeldTokens tokens) {
            return new Forgotten(tokens.onDevice() + tokens.onHost(), tokens.onDisk());
        }
    }

    @GET
    @Operation(summary = "What is kept for prompts to come, of all salts or of one")
    public Uni<Held> held(@QueryParam("salt") @Nullable String salt, RoutingContext routing) {
        return engine.held(RequestEdge.cacheOwner(routing), Optional.ofNullable(salt))
                .map(Held::of);
    }

    @DELETE
    @Operation(summary = "Forget it; running requests go on")
    public Uni<Forgotten> forget(@QueryParam("salt") @Nullable String salt, RoutingContext routing) {
        return engine.forget(RequestEdge.cacheOwner(routing), Optional.ofNullable(salt))
                .map(Forgotten::of);
    }
}
