package io.weft.api.openai;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.NullNode;
import io.smallrye.mutiny.Multi;
import io.weft.api.http.Errors;
import io.weft.api.openai.GenerationFields.UsageReports;
import io.weft.engine.CachedTokens;
import java.io.ByteArrayOutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A response as server-sent events. Frames are {@code data: {json}}, with the space that several clients insist on, and
 * an empty line; each leaves by itself, once the one before has left. The last is {@code data: [DONE]}.
 */
final class EventStream {
    private static final byte[] DATA = ascii("data: ");
    private static final byte[] ERROR = ascii("event: error\ndata: ");
    private static final byte[] END = ascii("\n\n");
    private static final byte[] DONE = ascii("data: [DONE]\n\n");

    private final ObjectMapper json;
    private final ResponseShape shape;
    private final GenerationFields fields;
    private final UsageReports usageReports;
    private final int promptTokens;
    private final String requestId;
    private int completionTokens;
    private CachedTokens cached = CachedTokens.NONE;
    private boolean started;

    /**
     * @param fields what usage is to tell
     * @param promptTokens tokens of all prompts
     * @param requestId for the log
     */
    EventStream(ObjectMapper json, ResponseShape shape, GenerationFields fields, int promptTokens, String requestId) {
        this.json = json;
        this.shape = shape;
        this.fields = fields;
        this.usageReports = fields.usageReports();
        this.promptTokens = promptTokens;
        this.requestId = requestId;
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /** Fails as {@code deltas} does before the first frame; after it the failure is a frame. To be subscribed once. */
    Multi<byte[]> frames(Multi<Delta> deltas) {
        return deltas.onItem()
                .transformToIterable(this::frames)
                .onCompletion()
                .continueWith(this::lastFrames)
                .onFailure(failure -> started)
                .recoverWithMulti(failure -> Multi.createFrom()
                        .items(frame(ERROR, Errors.of(failure, requestId).body()), DONE));
    }

    private List<byte[]> frames(Delta delta) {
        if (delta instanceof Delta.Token) {
            completionTokens++;
        }
        if (delta instanceof Delta.End end) {
            cached = cached.plus(end.cached());
        }
        List<byte[]> frames = new ArrayList<>();
        for (Object chunk : shape.chunks(delta, chunkUsage())) {
            frames.add(frame(DATA, chunk));
            started = true;
        }
        return frames;
    }

    private @Nullable JsonNode chunkUsage() {
        return switch (usageReports) {
            case NONE -> null;
            case AT_END -> NullNode.getInstance();
            case ON_EVERY_CHUNK -> usage();
        };
    }

    private JsonNode usage() {
        return json.valueToTree(Usage.of(fields, promptTokens, completionTokens, cached));
    }

    private List<byte[]> lastFrames() {
        return switch (usageReports) {
            case NONE -> List.of(DONE);
            case AT_END, ON_EVERY_CHUNK -> List.of(frame(DATA, shape.usageChunk(usage())), DONE);
        };
    }

    private byte[] frame(byte[] prefix, Object value) {
        ByteArrayOutputStream frame = new ByteArrayOutputStream();
        frame.writeBytes(prefix);
        frame.writeBytes(bytes(json, value));
        frame.writeBytes(END);
        return frame.toByteArray();
    }

    static byte[] bytes(ObjectMapper json, Object value) {
        try {
            return json.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }
}
