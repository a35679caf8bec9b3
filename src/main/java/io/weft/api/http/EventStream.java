package io.weft.api.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.Multi;
import java.io.ByteArrayOutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/**
 * Objects as server-sent events. Frames are {@code data: {json}}, with the space that several clients insist on, and an
 * empty line; each is sent on its own, after the one before. The last is {@code data: [DONE]}.
 */
public final class EventStream {
    private static final byte[] DATA = ascii("data: ");
    private static final byte[] ERROR = ascii("event: error\ndata: ");
    private static final byte[] END = ascii("\n\n");
    private static final byte[] DONE = ascii("data: [DONE]\n\n");

    private final ObjectMapper json;
    private final String requestId;
    private boolean started;

    /** @param requestId id of the request in the log */
    public EventStream(ObjectMapper json, String requestId) {
        this.json = json;
        this.requestId = requestId;
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /**
     * Before the first frame it fails as {@code objects} do; after it a failure becomes a frame. Subscribe only once.
     */
    public Multi<byte[]> frames(Multi<Object> objects) {
        return objects.onItem()
                .transform(this::dataFrame)
                .onCompletion()
                .continueWith(DONE)
                .onFailure(failure -> started)
                .recoverWithMulti(failure -> Multi.createFrom()
                        .items(frame(ERROR, Errors.of(failure, requestId).body()), DONE));
    }

    private byte[] dataFrame(Object object) {
        byte[] frame = frame(DATA, object);
        started = true;
        return frame;
    }

    private byte[] frame(byte[] prefix, Object value) {
        ByteArrayOutputStream frame = new ByteArrayOutputStream();
        frame.writeBytes(prefix);
        frame.writeBytes(bytes(json, value));
        frame.writeBytes(END);
        return frame.toByteArray();
    }

    /** An object as JSON in UTF-8. */
    public static byte[] bytes(ObjectMapper json, Object value) {
        try {
            return json.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }
}
