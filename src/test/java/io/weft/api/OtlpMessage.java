package io.weft.api;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;

/**
 * Reads what a test needs of OTLP's {@code ExportTraceServiceRequest}, by the field numbers of its protocol buffers.
 */
final class OtlpMessage {
    private OtlpMessage() {}

    /** A span. */
    record Span(
            String traceId,
            String id,
            String parentId,
            String name,
            long startNanos,
            long endNanos,
            Map<String, Object> attributes) {}

    static List<Span> spans(byte[] message) {
        List<Span> spans = new ArrayList<>();
        // ExportTraceServiceRequest.resource_spans = 1, .scope_spans = 2, .spans = 2
        children(
                message,
                1,
                resource -> children(resource, 2, scope -> children(scope, 2, span -> spans.add(span(span)))));
        return spans;
    }

    private static Span span(byte[] message) {
        Map<Integer, Object> single = new TreeMap<>();
        Map<String, Object> attributes = new TreeMap<>();
        fields(message, (number, value) -> {
            if (number == 9) {
                Map<Integer, Object> pair = new TreeMap<>();
                fields((byte[]) value, pair::put);
                attributes.put(text(pair.get(1)), any((byte[]) pair.get(2)));
            } else {
                single.put(number, value);
            }
        });
        HexFormat hex = HexFormat.of();
        return new Span(
                hex.formatHex((byte[]) single.get(1)),
                hex.formatHex((byte[]) single.get(2)),
                hex.formatHex((byte[]) single.getOrDefault(4, new byte[0])),
                text(single.get(5)),
                (long) single.get(7),
                (long) single.get(8),
                attributes);
    }

    /** AnyValue: string 1, int 3, double 4, array 5. */
    private static Object any(byte[] message) {
        List<Object> found = new ArrayList<>();
        fields(
                message,
                (number, value) -> found.add(
                        switch (number) {
                            case 1 -> text(value);
                            case 4 -> Double.longBitsToDouble((long) value);
                            case 5 -> {
                                List<Object> list = new ArrayList<>();
                                children((byte[]) value, 1, one -> list.add(any(one)));
                                yield list;
                            }
                            default -> value;
                        }));
        return found.getFirst();
    }

    private static String text(Object bytes) {
        return new String((byte[]) bytes, StandardCharsets.UTF_8);
    }

    private static void children(byte[] message, int wanted, java.util.function.Consumer<byte[]> child) {
        fields(message, (number, value) -> {
            if (number == wanted) {
                child.accept((byte[]) value);
            }
        });
    }

    private static void fields(byte[] message, BiConsumer<Integer, Object> field) {
        ByteBuffer bytes = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
        while (bytes.hasRemaining()) {
            long tag = varint(bytes);
            Object value = switch ((int) tag & 7) {
                case 0 -> varint(bytes);
                case 1 -> bytes.getLong();
                case 5 -> (long) bytes.getInt();
                default -> {
                    byte[] part = new byte[(int) varint(bytes)];
                    bytes.get(part);
                    yield part;
                }
            };
            field.accept((int) (tag >>> 3), value);
        }
    }

    private static long varint(ByteBuffer bytes) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = bytes.get();
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value;
            }
        }
    }
}
