package io.weft.model;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.device.ElementType;
import io.weft.device.TensorView;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A safetensors file, memory-mapped: eight bytes of header length, a JSON header, the tensors. The header is not
 * trusted: every offset is checked against shape, element type, file size and the other tensors before anything is
 * read.
 */
final class Safetensors {
    private static final ValueLayout.OfLong LENGTH = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long HEADER_BYTES_MAX = 100_000_000;
    private static final ObjectMapper JSON = new ObjectMapper().enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);
    /** Bits of an element by name; those in {@link #READABLE} can be used as they are. */
    private static final Map<String, Integer> BITS = Map.ofEntries(
            Map.entry("BOOL", 8),
            Map.entry("F4", 4),
            Map.entry("F6_E2M3", 6),
            Map.entry("F6_E3M2", 6),
            Map.entry("F8_E4M3FNUZ", 8),
            Map.entry("F8_E5M2FNUZ", 8),
            Map.entry("U8", 8),
            Map.entry("I8", 8),
            Map.entry("F8_E4M3", 8),
            Map.entry("F8_E5M2", 8),
            Map.entry("F8_E8M0", 8),
            Map.entry("I16", 16),
            Map.entry("U16", 16),
            Map.entry("F16", 16),
            Map.entry("BF16", 16),
            Map.entry("I32", 32),
            Map.entry("U32", 32),
            Map.entry("F32", 32),
            Map.entry("I64", 64),
            Map.entry("U64", 64),
            Map.entry("F64", 64),
            Map.entry("C64", 64));

    private static final Set<String> READABLE = Set.of("F32", "F16", "BF16");

    /** A tensor as the header describes it. */
    private record Entry(String name, String type, List<Integer> shape, long from, long to) {}

    private final Path file;
    private final MemorySegment data;
    private final Map<String, Entry> entries;

    private Safetensors(Path file, MemorySegment data, Map<String, Entry> entries) {
        this.file = file;
        this.data = data;
        this.entries = entries;
    }

    /**
     * Maps a file and checks its header.
     *
     * @param arena the file stays mapped as long as this
     * @throws ModelLoadException if it is not a whole and consistent safetensors file
     */
    static Safetensors map(Path file, Arena arena) {
        MemorySegment all;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (IOException e) {
            throw new ModelLoadException(file, "cannot be read (" + e.getMessage() + ")");
        }
        if (all.byteSize() < LENGTH.byteSize()) {
            throw new ModelLoadException(file, "is " + all.byteSize() + " bytes, too short for safetensors");
        }
        long headerBytes = all.get(LENGTH, 0);
        long room = all.byteSize() - LENGTH.byteSize();
        if (headerBytes < 2 || headerBytes > HEADER_BYTES_MAX || headerBytes > room) {
            throw new ModelLoadException(
                    file, "header is said to be " + headerBytes + " bytes in a file of " + all.byteSize() + " bytes");
        }
        byte[] header = all.asSlice(LENGTH.byteSize(), headerBytes).toArray(ValueLayout.JAVA_BYTE);
        MemorySegment data = all.asSlice(LENGTH.byteSize() + headerBytes);
        Map<String, Entry> entries = new HashMap<>();
        for (Map.Entry<String, JsonNode> field : parse(file, header).properties()) {
            if (!field.getKey().equals("__metadata__")) {
                entries.put(field.getKey(), entry(file, field.getKey(), field.getValue(), data.byteSize()));
            }
        }
        requireGapless(file, entries, data.byteSize());
        return new Safetensors(file, data, entries);
    }

    private static JsonNode parse(Path file, byte[] header) {
        try {
            JsonNode json = JSON.readTree(new String(header, StandardCharsets.UTF_8));
            if (json != null && json.isObject()) {
                return json;
            }
            throw new ModelLoadException(file, "header is not a JSON object");
        } catch (JsonProcessingException e) {
            throw new ModelLoadException(file, "header is not JSON (" + e.getOriginalMessage() + ")");
        }
    }

    private static Entry entry(Path file, String name, JsonNode json, long dataBytes) {
        String type = json.path("dtype").asText("");
        Integer bits = BITS.get(type);
        if (bits == null) {
            throw new ModelLoadException(file, "tensor " + name + " has unknown dtype \"" + type + "\"");
        }
        List<Integer> shape = new ArrayList<>();
        JsonNode extents = json.path("shape");
        JsonNode offsets = json.path("data_offsets");
        boolean wellFormed = extents.isArray() && offsets.isArray() && offsets.size() == 2;
        for (JsonNode extent : extents) {
            wellFormed = wellFormed && extent.isInt() && extent.intValue() >= 0;
            shape.add(extent.intValue());
        }
        wellFormed = wellFormed
                && offsets.get(0).isIntegralNumber()
                && offsets.get(0).canConvertToLong();
        wellFormed = wellFormed
                && offsets.get(1).isIntegralNumber()
                && offsets.get(1).canConvertToLong();
        if (!wellFormed) {
            throw new ModelLoadException(file, "tensor " + name + " has a malformed shape or data_offsets");
        }
        long from = offsets.get(0).longValue();
        long to = offsets.get(1).longValue();
        if (from < 0 || to < from || to > dataBytes) {
            throw new ModelLoadException(
                    file,
                    "tensor %s is said to lie at [%d, %d), but there are %d bytes of data: truncated?"
                            .formatted(name, from, to, dataBytes));
        }
        Optional<Long> bytes = bytes(shape, bits);
        if (bytes.isEmpty() || bytes.get() != to - from) {
            throw new ModelLoadException(
                    file,
                    "tensor %s of shape %s and dtype %s is said to take %d bytes"
                            .formatted(name, shape, type, to - from));
        }
        return new Entry(name, type, List.copyOf(shape), from, to);
    }

    private static Optional<Long> bytes(List<Integer> shape, int bits) {
        try {
            long elements = 1;
            for (int extent : shape) {
                elements = Math.multiplyExact(elements, (long) extent);
            }
            return Optional.of(Math.multiplyExact(elements, (long) bits) / Byte.SIZE);
        } catch (ArithmeticException e) {
            return Optional.empty();
        }
    }

    private static void requireGapless(Path file, Map<String, Entry> entries, long dataBytes) {
        List<Entry> ordered = entries.values().stream()
                .sorted(Comparator.comparingLong(Entry::from).thenComparingLong(Entry::to))
                .toList();
        long end = 0;
        for (Entry entry : ordered) {
            if (entry.from() != end) {
                throw new ModelLoadException(
                        file,
                        "tensor %s starts at %d, but the tensor before it ends at %d"
                                .formatted(entry.name(), entry.from(), end));
            }
            end = entry.to();
        }
        if (end != dataBytes) {
            throw new ModelLoadException(
                    file, "tensors end at %d, but there are %d bytes of data".formatted(end, dataBytes));
        }
    }

    Set<String> names() {
        return entries.keySet();
    }

    /** Bytes of all tensors. */
    long bytes() {
        return data.byteSize();
    }

    /** A tensor of any type, without copying. */
    StoredTensor stored(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new ModelLoadException(file, "has no tensor " + name);
        }
        return new StoredTensor(
                name, entry.type(), entry.shape(), data.asSlice(entry.from(), entry.to() - entry.from()));
    }

    /**
     * A tensor, without copying.
     *
     * @throws ModelLoadException if its element type cannot be read
     */
    TensorView tensor(String name) {
        StoredTensor stored = stored(name);
        if (!READABLE.contains(stored.type())) {
            throw new ModelLoadException(
                    file, "tensor " + name + " has dtype " + stored.type() + "; F32, F16 and BF16 can be read");
        }
        return new TensorView(name, ElementType.valueOf(stored.type()), stored.shape(), stored.data());
    }
}
