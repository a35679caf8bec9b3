package io.weft.api.openai;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.NullNode;
import io.weft.api.http.EventStream;
import io.weft.api.openai.GenerationFields.UsageReports;
import io.weft.engine.PrefixHit;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes the results of one response's choices as events. Nearly all events are tokens without log-probabilities; those
 * of a choice differ in text and token alone, so the rest is encoded once, by Jackson as everything else. One thread at
 * a time.
 */
final class ChunkEncoder {
    private final ObjectMapper json;
    private final ResponseShape shape;
    private final UsageReports reports;
    private final Usage.Tally used;
    private final EventStream events;
    /** By the choice's index, once it has a token. */
    private final Map<Integer, TokenTemplate> templates = new HashMap<>();

    ChunkEncoder(ObjectMapper json, ResponseShape shape, UsageReports reports, Usage.Tally used, EventStream events) {
        this.json = json;
        this.shape = shape;
        this.reports = reports;
        this.used = used;
        this.events = events;
    }

    /** Takes account of a choice that has left the queue. */
    void admitted(Choice choice, PrefixHit hit) {
        used.admitted(choice, hit);
    }

    /** Writes the events of a delta, perhaps none. */
    void write(Delta delta) {
        used.add(delta);
        if (delta instanceof Delta.Token token
                && token.score().isEmpty()
                && reports != UsageReports.ON_EVERY_CHUNK
                && shape.hasTokenChunks()) {
            write(token);
        } else {
            shape.chunks(delta, usage()).forEach(events::data);
        }
    }

    private void write(Delta.Token token) {
        int choice = token.choice().index();
        TokenTemplate template = templates.get(choice);
        if (template == null) {
            // It may be the choice's first chunk, which has more than others.
            shape.chunks(token, usage()).forEach(events::data);
            templates.put(choice, template(token.choice()));
        } else {
            template.write(quoted(token.text()), token.token(), events);
        }
    }

    /** A text as JSON without its quotes: the bytes of Jackson, mostly without making it a generator. */
    private byte[] quoted(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isSurrogate(text.charAt(i))) {
                // Jackson escapes these.
                byte[] bytes = EventStream.bytes(json, text);
                return Arrays.copyOfRange(bytes, 1, bytes.length - 1);
            }
        }
        return JsonStringEncoder.getInstance().quoteAsUTF8(text);
    }

    /** Writes the events after all choices. */
    void end() {
        if (reports != UsageReports.NONE) {
            events.data(shape.usageChunk(json.valueToTree(used.usage())));
        }
        events.done();
    }

    private @Nullable JsonNode usage() {
        return switch (reports) {
            case NONE -> null;
            case AT_END -> NullNode.getInstance();
            case ON_EVERY_CHUNK -> json.valueToTree(used.usage());
        };
    }

    private TokenTemplate template(Choice choice) {
        return new TokenTemplate(
                EventStream.bytes(json, shape.tokenChunk(choice, TokenTemplate.TEXT, TokenTemplate.TOKEN, usage())));
    }

    /** The frame of any token's chunk of a choice. */
    private static final class TokenTemplate {
        /** Stands for the text. */
        private static final String TEXT = "the text";
        /** Stands for the token; no token has this id. */
        private static final int TOKEN = Integer.MIN_VALUE;

        /** Bytes up to the text. */
        private final byte[] beforeText;
        /** Bytes after the text, up to the token's id if the chunk has it. */
        private final byte[] afterText;
        /** Bytes from there; empty if the chunk has no id. */
        private final byte[] afterToken;

        /** @param chunk a chunk of {@link #TEXT} and {@link #TOKEN} */
        TokenTemplate(byte[] chunk) {
            // One byte is one character. Model and id of a response are before the text.
            String all = new String(EventStream.frame(chunk), StandardCharsets.ISO_8859_1);
            int text = all.lastIndexOf('"' + TEXT + '"') + 1;
            int textEnd = text + TEXT.length();
            int token = all.indexOf("" + TOKEN, textEnd);
            this.beforeText = bytes(all.substring(0, text));
            this.afterText = bytes(all.substring(textEnd, token < 0 ? all.length() : token));
            this.afterToken = bytes(token < 0 ? "" : all.substring(token + ("" + TOKEN).length()));
        }

        private static byte[] bytes(String text) {
            return text.getBytes(StandardCharsets.ISO_8859_1);
        }

        /** @param text as JSON, without its quotes */
        void write(byte[] text, int token, EventStream events) {
            events.write(beforeText);
            events.write(text);
            events.write(afterText);
            if (afterToken.length > 0) {
                events.write(bytes(Integer.toString(token)));
                events.write(afterToken);
            }
        }
    }
}
