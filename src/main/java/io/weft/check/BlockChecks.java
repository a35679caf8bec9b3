package io.weft.check;

import io.weft.check.BlockPatterns.Pattern;
import io.weft.device.BlockCode;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.PackedLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Checks the codes of cache blocks. Every device makes the same codes of a block and the same values of its codes.
 * Exact codes restore every bit, or say that they do not fit; what the others lose is within the bound of their
 * arithmetic.
 */
final class BlockChecks {
    private static final int BLOCKS = 3;
    /** By how much a block may be larger than its values: a header, and the ends of two parts. */
    private static final int HEADER_BYTES = 3 * BlockCode.ALIGNMENT_BYTES;

    private static final int UNTOUCHED = 7;

    private final CheckBench bench;
    private final Workbench tested;
    private final Workbench reference;
    private final ElementType type;

    BlockChecks(CheckBench bench, Workbench reference) {
        this.bench = bench;
        this.tested = bench.tested();
        this.reference = reference;
        this.type = bench.type();
    }

    private BlockValues shape(int tokens, int heads, int headSize) {
        return new BlockValues(type, tokens, 2 * heads * headSize, headSize);
    }

    private List<BlockValues> shapes() {
        List<BlockValues> shapes = new ArrayList<>(List.of(shape(5, 3, 7), shape(64, 2, 32)));
        switch (bench.extent()) {
            case SMALL -> {}
            case AWKWARD -> shapes.addAll(awkward());
            case BRIEF -> shapes.addAll(List.of(shape(1, 1, 1), shape(13, 3, 10), shape(16, 8, 128)));
            case ALL -> {
                shapes.addAll(awkward());
                shapes.addAll(List.of(
                        shape(64, 3, 72),
                        shape(16, 8, 128),
                        shape(64, 8, 128),
                        shape(64, 4, 256),
                        shape(64, 1, 512),
                        shape(16, 32, 128),
                        shape(16, 71, 64)));
            }
        }
        return shapes;
    }

    private List<BlockValues> awkward() {
        return List.of(
                shape(1, 1, 1), shape(3, 1, 10), shape(13, 3, 10), shape(7, 1, 33), shape(16, 3, 20), shape(33, 1, 64));
    }

    void run() {
        for (BlockValues values : shapes()) {
            for (BlockCode code : BlockCode.values()) {
                String name = "%s blocks (%d, %d), heads of %d"
                        .formatted(code, values.tokens(), values.width(), values.headSize());
                bench.holds(
                        name + ", no larger than values and a header",
                        code.bytes(values) <= values.bytes() + HEADER_BYTES
                                && code.bytes(values) % BlockCode.ALIGNMENT_BYTES == 0);
                for (Pattern pattern : Pattern.values()) {
                    boolean full = pattern == Pattern.FULL || pattern == Pattern.OVERFULL;
                    if (full && (!code.isExact() || values.count() < BlockPatterns.FULL_COUNT_LEAST)) {
                        continue;
                    }
                    bench.attempt(name + ", " + pattern, () -> blocks(name + ", " + pattern, code, values, pattern));
                }
            }
        }
    }

    /** Blocks in codes, in what they decode to, and whether they fit. */
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    private record Coded(List<byte[]> codes, List<int[]> decoded, int[] misfits) {}

    private void blocks(String name, BlockCode code, BlockValues values, Pattern pattern) {
        BlockPatterns patterns = new BlockPatterns(values, bench.random());
        List<int[]> blocks = IntStream.range(0, BLOCKS)
                .mapToObj(block -> patterns.values(pattern))
                .toList();
        Coded expected = code(reference, code, values, blocks, 0);
        Coded together = code(tested, code, values, blocks, 0);
        same(name, expected, together);
        if (bench.extent() != Extent.SMALL) {
            // Elements need no more than their own alignment.
            same(name + ", unaligned", expected, code(tested, code, values, blocks, type.bytes()));
            Coded alone = code(tested, code, values, blocks.subList(1, 2), 0);
            bench.count(
                    name + ", same alone",
                    Arrays.equals(alone.codes().getFirst(), together.codes().get(1)) ? 0 : 1);
        }
        for (int block = 0; block < BLOCKS; block++) {
            if (code.isExact()) {
                exact(name, values, pattern, blocks.get(block), together, block);
            } else {
                lossy(name, code, values, blocks.get(block), together.decoded().get(block));
            }
        }
    }

    private void same(String name, Coded expected, Coded actual) {
        int codes = 0;
        int decoded = 0;
        for (int block = 0; block < BLOCKS; block++) {
            codes += Arrays.equals(expected.codes().get(block), actual.codes().get(block)) ? 0 : 1;
            boolean fits = expected.misfits()[block] == UNTOUCHED;
            decoded += !fits
                            || Arrays.equals(
                                    expected.decoded().get(block),
                                    actual.decoded().get(block))
                    ? 0
                    : 1;
        }
        bench.count(name + ", codes", codes);
        bench.count(name + ", decoded", decoded);
        bench.sameNumbers(name + ", misfits", expected.misfits(), actual.misfits());
    }

    private void exact(String name, BlockValues values, Pattern pattern, int[] original, Coded coded, int block) {
        int most = new PackedLayout(values).escapesMost();
        int escapes = BlockPatterns.escapes(values, original);
        boolean fits = escapes <= most;
        bench.count(name + ", fits", coded.misfits()[block] == (fits ? UNTOUCHED : 1) ? 0 : 1);
        if (fits) {
            bench.sameNumbers(name + ", bits", original, coded.decoded().get(block));
        }
        switch (pattern) {
            case FULL -> bench.count(name + ", all escapes are used", most - escapes);
            case OVERFULL -> bench.holds(name + ", one escape too many", !fits);
            case CONSTANT, ALTERNATING, DENORMAL, SEVEN -> bench.holds(name + ", there is room", fits);
            case USUAL, ANY, LARGE -> {}
        }
    }

    private void lossy(String name, BlockCode code, BlockValues values, int[] original, int[] decoded) {
        double[] in = widened(original);
        double[] out = widened(decoded);
        BlockErrors errors = new BlockErrors(code, values, in);
        double worst = 0;
        for (int i = 0; i < in.length; i++) {
            double bound = errors.bound(i);
            // A group that has no bound decodes to NaN.
            double error = Double.isNaN(bound) == Double.isNaN(out[i]) ? 0 : Double.POSITIVE_INFINITY;
            worst = Math.max(worst, Double.isNaN(bound) ? error : Math.max(error, Math.abs(out[i] - in[i]) / bound));
        }
        bench.within(name + ", part of the bound", worst);
    }

    private double[] widened(int[] bits) {
        return IntStream.of(bits).mapToDouble(b -> Workbench.widen(type, b)).toArray();
    }

    /** Codes blocks and decodes them, each {@code shift} bytes after a multiple of 16, in another order than memory. */
    private Coded code(Workbench on, BlockCode code, BlockValues values, List<int[]> blocks, int shift) {
        on.clear();
        int count = blocks.size();
        long plainPitch = pitch(values.bytes());
        long codedPitch = pitch(code.bytes(values));
        byte[] plainBytes = new byte[Math.toIntExact(count * plainPitch)];
        MemorySegment plainMemory = MemorySegment.ofArray(plainBytes);
        for (int block = 0; block < count; block++) {
            long at = (count - 1 - block) * plainPitch + shift;
            for (int i = 0; i < values.count(); i++) {
                long to = at + (long) i * type.bytes();
                int bits = blocks.get(block)[i];
                if (type == ElementType.F32) {
                    plainMemory.set(ValueLayout.JAVA_INT_UNALIGNED, to, bits);
                } else {
                    plainMemory.set(ValueLayout.JAVA_SHORT_UNALIGNED, to, (short) bits);
                }
            }
        }
        BlockPlaces plain = new BlockPlaces(on.bytes(plainMemory), offsets(on, count, plainPitch, shift));
        BlockPlaces coded = new BlockPlaces(on.poisoned(count * codedPitch), offsets(on, count, codedPitch, shift));
        BlockPlaces decoded = new BlockPlaces(on.poisoned(plainBytes.length), plain.offsets());
        int[] untouched = new int[count];
        Arrays.fill(untouched, UNTOUCHED);
        DeviceBuffer misfits = on.ints(untouched);
        on.kernels().encodeBlocks(on.stream(), code, values, plain, coded, misfits, count);
        on.kernels().decodeBlocks(on.stream(), code, values, coded, decoded, count);
        byte[] codes = on.readBytes(coded.base());
        MemorySegment results = MemorySegment.ofArray(on.readBytes(decoded.base()));
        List<byte[]> codesOf = new ArrayList<>();
        List<int[]> decodedOf = new ArrayList<>();
        for (int block = 0; block < count; block++) {
            int codedAt = Math.toIntExact((count - 1 - block) * codedPitch + shift);
            codesOf.add(Arrays.copyOfRange(codes, codedAt, codedAt + Math.toIntExact(code.bytes(values))));
            long at = (count - 1 - block) * plainPitch + shift;
            decodedOf.add(IntStream.range(0, values.count())
                    .map(i -> {
                        long from = at + (long) i * type.bytes();
                        return type == ElementType.F32
                                ? results.get(ValueLayout.JAVA_INT_UNALIGNED, from)
                                : Short.toUnsignedInt(results.get(ValueLayout.JAVA_SHORT_UNALIGNED, from));
                    })
                    .toArray());
        }
        bench.count(
                code + " blocks, bytes written beside them",
                on == tested ? beside(codes, codedPitch, code.bytes(values), shift) : 0);
        return new Coded(codesOf, decodedOf, on.readInts(misfits));
    }

    private static long pitch(long bytes) {
        return Math.ceilDiv(bytes, (long) BlockCode.ALIGNMENT_BYTES) * BlockCode.ALIGNMENT_BYTES
                + BlockCode.ALIGNMENT_BYTES;
    }

    private static DeviceBuffer offsets(Workbench on, int count, long pitch, int shift) {
        return on.longs(IntStream.range(0, count)
                .mapToLong(block -> (count - 1 - block) * pitch + shift)
                .toArray());
    }

    /** Bytes between blocks that are no longer as they were. */
    private static int beside(byte[] memory, long pitch, long bytes, int shift) {
        int written = 0;
        for (int i = 0; i < memory.length; i++) {
            long at = i % pitch - shift;
            if ((at < 0 || at >= bytes) && memory[i] != (byte) 0xff) {
                written++;
            }
        }
        return written;
    }
}
