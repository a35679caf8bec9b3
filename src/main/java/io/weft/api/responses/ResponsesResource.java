package io.weft.api.responses;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.smallrye.common.annotation.Blocking;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;
import io.weft.api.http.Guarded;
import io.weft.api.openai.Chats;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;

/** {@code POST /v1/responses} and the paths of responses, none of which is stored. */
@Path("/v1/responses")
@Guarded
class ResponsesResource {
    private final Chats chats;

    ResponsesResource(Chats chats) {
        this.chats = chats;
    }

    /** Tokens of a request's input. */
    @JsonNaming(SnakeCaseStrategy.class)
    record InputTokens(String object, int inputTokens) {}

    @POST
    @Blocking
    @Operation(summary = "Answer in a chat, as in OpenAI's Responses API")
    @APIResponse(
            responseCode = "200",
            description = "The response, or its events if stream is true",
            content = {
                @Content(mediaType = MediaType.APPLICATION_JSON, schema = @Schema(implementation = Object.class)),
                @Content(mediaType = MediaType.SERVER_SENT_EVENTS, schema = @Schema(implementation = Object.class))
            })
    @Consumes(MediaType.APPLICATION_JSON)
    public Uni<Void> answer(@NotNull @Valid ResponsesRequest request, RoutingContext routing) {
        ResponsesDoor door = new ResponsesDoor(request);
        return chats.answer(door.translated(), door, routing);
    }

    @POST
    @Blocking
    @Path("/input_tokens")
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.APPLICATION_JSON)
    @Operation(summary = "Count the tokens of a response's input")
    public InputTokens count(@NotNull @Valid ResponsesRequest request, RoutingContext routing) {
        ResponsesDoor door = new ResponsesDoor(request);
        return new InputTokens("response.input_tokens", chats.promptTokens(door.translated(), door, routing));
    }

    @GET
    @Path("/{id}")
    @Produces(MediaType.APPLICATION_JSON)
    @Operation(hidden = true)
    public void get(@PathParam("id") String id) {
        throw notStored(id);
    }

    @DELETE
    @Path("/{id}")
    @Operation(hidden = true)
    public void delete(@PathParam("id") String id) {
        throw notStored(id);
    }

    @POST
    @Path("/{id}/cancel")
    @Operation(hidden = true)
    public void cancel(@PathParam("id") String id) {
        throw notStored(id);
    }

    @GET
    @Path("/{id}/input_items")
    @Produces(MediaType.APPLICATION_JSON)
    @Operation(hidden = true)
    public void inputItems(@PathParam("id") String id) {
        throw notStored(id);
    }

    private static ApiException notStored(String id) {
        return ApiError.invalid(
                        404,
                        "There is no response \"%s\": this service stores none.".formatted(ApiError.shortened(id)),
                        null,
                        "not_found")
                .exception();
    }
}
