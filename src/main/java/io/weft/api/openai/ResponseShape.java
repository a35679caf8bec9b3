package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.engine.ServedModel;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Turns the results of choices into JSON objects, for one response. One thread at a time. */
interface ResponseShape {
    /** The chunks of a stream for a delta, perhaps none; {@code usage} is omitted if null. */
    List<Object> chunks(Delta delta, @Nullable JsonNode usage);

    /**
     * The chunk of a token without log-probabilities, as {@link #chunks} makes it unless it is the choice's first. It
     * differs from another such chunk of its choice in its text and token alone.
     */
    Object tokenChunk(Choice choice, String text, int token, @Nullable JsonNode usage);

    /** Whether each token without log-probabilities has the chunk of {@link #tokenChunk}. */
    default boolean hasTokenChunks() {
        return true;
    }

    /** The last chunk of a stream, without choices. */
    Object usageChunk(JsonNode usage);

    /** The whole response. */
    Object whole(List<ChoiceResult> results, JsonNode usage);

    /**
     * The fields with which all chunks of a response begin.
     *
     * @param id id of the response
     * @param created seconds since 1970
     * @param model name of the model
     */
    record Head(String id, long created, String model) {
        /** The head of a new response. */
        static Head anew(String idPrefix, ServedModel model) {
            return new Head(
                    idPrefix + UUID.randomUUID().toString().replace("-", ""),
                    System.currentTimeMillis() / 1000,
                    model.id());
        }
    }
}
