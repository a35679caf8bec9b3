package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.NullNode;
import io.smallrye.mutiny.Multi;
import io.weft.api.http.EventStream;
import io.weft.api.openai.GenerationFields.UsageReports;
import jakarta.inject.Singleton;
import java.util.List;
import org.jboss.resteasy.reactive.RestMulti;
import org.jspecify.annotations.Nullable;

/** Sends the results of choices: as one JSON object, or as server-sent events. */
@Singleton
class Responder {
    private final Generator generator;
    private final ObjectMapper json;

    Responder(Generator generator, ObjectMapper json) {
        this.generator = generator;
        this.json = json;
    }

    /**
     * Runs the choices and answers. Nothing is sent before the first token, so an error until then has its status.
     *
     * @param promptTokens tokens of all prompts
     * @param requestId id of the request in the log
     */
    RestMulti<byte[]> answer(
            GenerationFields fields, ResponseShape shape, List<Choice> choices, int promptTokens, String requestId) {
        Multi<Delta> deltas = generator.generate(choices);
        Usage.Tally used = new Usage.Tally(fields, promptTokens);
        if (!fields.streams()) {
            return RestMulti.fromMultiData(whole(shape, choices, deltas, used))
                    .header("Content-Type", "application/json")
                    .build();
        }
        EventStream events = new EventStream(json, requestId);
        return RestMulti.fromMultiData(events.frames(chunks(shape, fields.usageReports(), deltas, used)))
                .header("Content-Type", "text/event-stream")
                .header("Cache-Control", "no-cache")
                .header("X-Accel-Buffering", "no")
                .build();
    }

    private Multi<byte[]> whole(ResponseShape shape, List<Choice> choices, Multi<Delta> deltas, Usage.Tally used) {
        return deltas.onItem()
                .invoke(used::add)
                .collect()
                .in(
                        () -> choices.stream().map(ChoiceResult::new).toList(),
                        (results, delta) -> results.get(delta.choice().index()).add(delta))
                .map(results -> EventStream.bytes(json, shape.whole(results, json.valueToTree(used.usage()))))
                .toMulti();
    }

    private Multi<Object> chunks(ResponseShape shape, UsageReports reports, Multi<Delta> deltas, Usage.Tally used) {
        return deltas.onItem()
                .transformToIterable(delta -> {
                    used.add(delta);
                    return shape.chunks(delta, chunkUsage(reports, used));
                })
                .onCompletion()
                .continueWith(() -> switch (reports) {
                    case NONE -> List.of();
                    case AT_END, ON_EVERY_CHUNK -> List.of(shape.usageChunk(json.valueToTree(used.usage())));
                });
    }

    private @Nullable JsonNode chunkUsage(UsageReports reports, Usage.Tally used) {
        return switch (reports) {
            case NONE -> null;
            case AT_END -> NullNode.getInstance();
            case ON_EVERY_CHUNK -> json.valueToTree(used.usage());
        };
    }
}
