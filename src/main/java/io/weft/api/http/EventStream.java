package io.weft.api.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * A response of server-sent events. Frames are {@code data: {json}}, with the space that several clients insist on, and
 * an empty line; some APIs have a line {@code event: name} before. The last is {@code data: [DONE]}, also after an
 * error, where the API has such an end.
 */
public final class EventStream {
    /** The headers of such a response. */
    public static final Map<String, String> HEADERS =
            Map.of("Content-Type", "text/event-stream", "Cache-Control", "no-cache", "X-Accel-Buffering", "no");

    private static final byte[] DATA = ascii("data: ");
    private static final byte[] ERROR = ascii("event: error\n");
    private static final byte[] END = ascii("\n\n");
    private static final byte[] DONE = ascii("data: [DONE]\n\n");

    private final ObjectMapper json;
    private final String requestId;
    private final ByteSink out;

    /** What takes the bytes, and copies them. */
    public interface ByteSink {
        void write(byte[] bytes);

        void end();
    }

    /** @param requestId id of the request in the log */
    public EventStream(ObjectMapper json, String requestId, ByteSink out) {
        this.json = json;
        this.requestId = requestId;
        this.out = out;
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /** A frame of an object. */
    public void data(Object object) {
        write(frame(bytes(json, object)));
    }

    /** A frame of an object, with a name. */
    public void event(String name, Object object) {
        byte[] frame = frame(bytes(json, object));
        out.write(ascii("event: " + name + "\n"));
        write(frame);
    }

    /** The frame of some JSON. */
    public static byte[] frame(byte[] json) {
        ByteBuffer frame = ByteBuffer.allocate(DATA.length + json.length + END.length);
        return frame.put(DATA).put(json).put(END).array();
    }

    /** A {@linkplain #frame frame}, or a piece of one that others complete. */
    public void write(byte[] bytes) {
        out.write(bytes);
    }

    /** Ends the stream with the frame that says so. */
    public void done() {
        out.write(DONE);
        end();
    }

    /** Ends the stream without one. */
    public void end() {
        out.end();
    }

    /** Ends the stream with an error. */
    public void fail(Throwable failure) {
        byte[] frame = frame(bytes(json, Errors.of(failure, requestId).body()));
        out.write(ERROR);
        write(frame);
        done();
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
