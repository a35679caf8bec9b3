package io.weft.api;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.engine.ServedModel;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.List;

/** {@code GET /v1/models}: the model that is served. */
@Path("/v1/models")
@Produces(MediaType.APPLICATION_JSON)
@Guarded
class ModelsResource {
    private final Generator generator;

    ModelsResource(Generator generator) {
        this.generator = generator;
    }

    /** Models of the service: one. */
    record Models(String object, List<Model> data) {}

    /** A model. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Model(String id, String object, long created, String ownedBy, int maxModelLen) {
        private static Model of(ServedModel model) {
            return new Model(model.id(), "model", model.created().getEpochSecond(), "weft", model.contextTokens());
        }
    }

    @GET
    public Models models() {
        return new Models("list", List.of(Model.of(generator.model(null))));
    }

    /** A name may have slashes. */
    @GET
    @Path("/{id:.+}")
    public Model model(String id) {
        return Model.of(generator.model(id));
    }
}
