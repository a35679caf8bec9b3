package io.weft.api.openai;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.Multi;
import io.weft.engine.CachedTokens;
import io.weft.engine.ServedModel;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.UUID;
import org.jboss.resteasy.reactive.RestMulti;

/** Answers with what choices come to: as one JSON object, or as server-sent events. */
@Singleton
class Responder {
    private final Generator generator;
    private final ObjectMapper json;

    Responder(Generator generator, ObjectMapper json) {
        this.generator = generator;
        this.json = json;
    }

    /** What a new response begins with. */
    static ResponseShape.Head head(String idPrefix, ServedModel model) {
        return new ResponseShape.Head(
                idPrefix + UUID.randomUUID().toString().replace("-", ""),
                System.currentTimeMillis() / 1000,
                model.id());
    }

    /**
     * Runs the choices and answers. Nothing is sent before the first token, so that an error until then has its status.
     *
     * @param promptTokens tokens of all prompts
     * @param requestId for the log
     */
    RestMulti<byte[]> answer(
            GenerationFields fields, ResponseShape shape, List<Choice> choices, int promptTokens, String requestId) {
        if (!fields.streams()) {
            return RestMulti.fromMultiData(whole(fields, shape, choices, promptTokens))
                    .header("Content-Type", "application/json")
                    .build();
        }
        EventStream events = new EventStream(json, shape, fields, promptTokens, requestId);
        return RestMulti.fromMultiData(events.frames(generator.generate(choices)))
                .header("Content-Type", "text/event-stream")
                .header("Cache-Control", "no-cache")
                .header("X-Accel-Buffering", "no")
                .build();
    }

    private Multi<byte[]> whole(GenerationFields fields, ResponseShape shape, List<Choice> choices, int promptTokens) {
        return generator
                .generate(choices)
                .collect()
                .in(
                        () -> choices.stream().map(ChoiceResult::new).toList(),
                        (results, delta) -> results.get(delta.choice().index()).add(delta))
                .map(results -> body(fields, shape, results, promptTokens))
                .toMulti();
    }

    private byte[] body(GenerationFields fields, ResponseShape shape, List<ChoiceResult> results, int promptTokens) {
        int completionTokens =
                results.stream().mapToInt(result -> result.tokens().size()).sum();
        CachedTokens cached = results.stream().map(ChoiceResult::cached).reduce(CachedTokens.NONE, CachedTokens::plus);
        Object body = shape.whole(results, json.valueToTree(Usage.of(fields, promptTokens, completionTokens, cached)));
        return EventStream.bytes(json, body);
    }
}
