package io.weft.api.openai;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.Guarded;
import io.weft.api.http.ModelDirectory;
import io.weft.engine.ServedModel;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.List;
import org.eclipse.microprofile.openapi.annotations.Operation;

/** {@code GET /v1/models}: the served model, once for each of its names. */
@Path("/v1/models")
@Produces(MediaType.APPLICATION_JSON)
@Guarded
class ModelsResource {
    private final ModelDirectory models;

    ModelsResource(ModelDirectory models) {
        this.models = models;
    }

    /** The names of the model. */
    record Models(String object, List<Model> data) {}

    /** A model. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Model(String id, String object, long created, String ownedBy, int maxModelLen) {
        private static Model of(String name, ServedModel model) {
            return new Model(name, "model", model.created().getEpochSecond(), "weft", model.contextTokens());
        }
    }

    @GET
    @Operation(summary = "List the models: one")
    public Models models() {
        ServedModel model = models.model(null);
        return new Models(
                "list",
                models.names().stream().map(name -> Model.of(name, model)).toList());
    }

    /** A name may contain slashes. */
    @GET
    @Operation(summary = "Describe a model")
    @Path("/{id:.+}")
    public Model model(String id) {
        return Model.of(id, models.model(id));
    }
}
