package io.weft.api.openai;

import io.smallrye.common.annotation.Blocking;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.Guarded;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.MediaType;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;

/** {@code POST /v1/chat/completions}. */
@Path("/v1/chat/completions")
@Guarded
class ChatResource {
    private final Chats chats;

    ChatResource(Chats chats) {
        this.chats = chats;
    }

    @POST
    @Blocking
    @Operation(summary = "Answer in a chat")
    @APIResponse(
            responseCode = "200",
            description = "The answer, or its chunks as server-sent events if stream is true",
            content = {
                @Content(mediaType = MediaType.APPLICATION_JSON, schema = @Schema(implementation = ChatResponse.class)),
                @Content(
                        mediaType = MediaType.SERVER_SENT_EVENTS,
                        schema = @Schema(implementation = ChatResponse.class))
            })
    @Consumes(MediaType.APPLICATION_JSON)
    public Uni<Void> chat(@NotNull @Valid ChatRequest request, RoutingContext routing) {
        return chats.answer(request, routing);
    }
}
