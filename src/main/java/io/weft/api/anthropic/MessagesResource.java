package io.weft.api.anthropic;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.smallrye.common.annotation.Blocking;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.ApiError;
import io.weft.api.http.Guarded;
import io.weft.api.openai.Chats;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;

/** {@code POST /v1/messages} and {@code POST /v1/messages/count_tokens}. */
@Path("/v1/messages")
@Consumes(MediaType.APPLICATION_JSON)
@Guarded
class MessagesResource {
    private final Chats chats;

    MessagesResource(Chats chats) {
        this.chats = chats;
    }

    /** Tokens of a request. */
    @JsonNaming(SnakeCaseStrategy.class)
    record TokenCount(int inputTokens) {}

    @POST
    @Blocking
    @Operation(summary = "Answer in a chat, as in Anthropic's Messages API")
    @APIResponse(
            responseCode = "200",
            description = "The message, or its events if stream is true",
            content = {
                @Content(mediaType = MediaType.APPLICATION_JSON, schema = @Schema(implementation = Object.class)),
                @Content(mediaType = MediaType.SERVER_SENT_EVENTS, schema = @Schema(implementation = Object.class))
            })
    public Uni<Void> answer(@NotNull @Valid MessagesRequest request, RoutingContext routing) {
        if (request.maxTokens() == null) {
            throw ApiError.badField("max_tokens", "max_tokens is missing or null, must be given.")
                    .exception();
        }
        return chats.answer(MessagesDoor.translated(request), new MessagesDoor(), routing);
    }

    @POST
    @Blocking
    @Path("/count_tokens")
    @Produces(MediaType.APPLICATION_JSON)
    @Operation(summary = "Count the tokens of a message's prompt")
    public TokenCount count(@NotNull @Valid MessagesRequest request, RoutingContext routing) {
        return new TokenCount(chats.promptTokens(MessagesDoor.translated(request), new MessagesDoor(), routing));
    }
}
