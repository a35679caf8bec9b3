package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.api.http.ApiError;
import io.weft.text.tools.Output;
import java.util.List;
import java.util.Optional;

/** Writes the answer of a chat as another API has it: the events of a stream, and the whole. One thread at a time. */
public interface AnswerForm {
    /** An event of a stream. */
    record Event(String name, JsonNode data) {}

    /**
     * What is known when an answer begins.
     *
     * @param id with the door's prefix
     * @param created seconds since 1970
     * @param inputTokens tokens of the prompt
     * @param cachedTokens those of them that were cached before
     */
    record Start(
            String id, long created, String model, int inputTokens, int cachedTokens, double temperature, double topP) {
        Start withCached(int tokens) {
            return new Start(id, created, model, inputTokens, tokens, temperature, topP);
        }
    }

    /** Why an answer ended. */
    enum Reason {
        STOP,
        /** It was cut. */
        LENGTH
    }

    /**
     * The end of an answer.
     *
     * @param stop the stop string, if one ended it
     * @param reasoningTokens those of the output in which there were thoughts
     */
    record End(Reason reason, Optional<String> stop, int outputTokens, int reasoningTokens) {}

    /** The events at the beginning. */
    List<Event> begin(Start start);

    /** The events of the next part. */
    List<Event> add(Output part);

    /** The events at the end. */
    List<Event> end(End end);

    /** The events that end an answer which has begun and cannot go on. */
    List<Event> fail(ApiError error, String requestId);

    /** The whole answer, once it has ended. */
    JsonNode whole();
}
