package io.weft.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.BlockCode;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.Kernels;
import io.weft.device.PackedLayout;
import io.weft.device.Stream;
import java.util.List;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Codes of blocks in every element type; {@code check.BlockChecks} compares other devices with this one. */
class BlockCodesTest {
    private static final long SEED = 18;
    private static final int CASES = 200;
    private static final int BLOCKS = 3;
    private static final int UNTOUCHED = 0x5a;

    private final CpuDevice device = new CpuDevice(new CpuOptions(8 << 20, 1 << 20, OptionalDouble.empty(), 2));
    private final Kernels kernels = device.kernels();
    private final CpuStream stream = (CpuStream) device.stream("blocks");
    private final DeviceBuffer plain = device.allocate("plain", 2 << 20);
    private final DeviceBuffer coded = device.allocate("coded", 2 << 20);
    private final DeviceBuffer decoded = device.allocate("decoded", 2 << 20);
    private final DeviceBuffer offsets = device.allocate("offsets", 1 << 10);
    private final DeviceBuffer misfits = device.allocate("misfits", 1 << 10);

    @AfterEach
    void close() {
        device.close();
    }

    private void finish() {
        io.weft.device.Event done = device.event(io.weft.device.Event.Timing.UNTIMED);
        ((Stream) stream).record(done);
        done.join();
    }

    /** Whether each block fits; decodes those that do, and no others. */
    private boolean[] throughTheCode(BlockCode code, BlockValues values, int[][] blocks) {
        for (DeviceBuffer buffer : List.of(plain, coded, decoded, misfits)) {
            Memory.segment(buffer.address(), buffer.bytes()).fill((byte) UNTOUCHED);
        }
        BlockPlaces from = places(plain, 0, values.bytes());
        BlockPlaces to = places(coded, 1, code.bytes(values));
        for (int block = 0; block < blocks.length; block++) {
            for (int i = 0; i < values.count(); i++) {
                Elements.setBits(
                        values.type(), plain.address() + offset(0, values.bytes(), block), i, blocks[block][i]);
            }
        }
        kernels.encodeBlocks(stream, code, values, from, to, misfits, blocks.length);
        finish();
        kernels.decodeBlocks(stream, code, values, to, places(decoded, 2, values.bytes()), blocks.length);
        finish();
        boolean[] fits = new boolean[blocks.length];
        for (int block = 0; block < blocks.length; block++) {
            fits[block] = Memory.getInt(misfits.address() + block * 4L) != 1;
        }
        return fits;
    }

    private long offset(int which, long bytes, int block) {
        return (BLOCKS - 1 - block) * (bytes + 4L * which);
    }

    private BlockPlaces places(DeviceBuffer memory, int which, long bytes) {
        DeviceBuffer here = offsets.slice(which * 64L, 64);
        for (int block = 0; block < BLOCKS; block++) {
            Memory.segment(here.address(), 64)
                    .set(java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED, block * 8L, offset(which, bytes, block));
        }
        return new BlockPlaces(memory, here);
    }

    private int[] decoded(BlockValues values, int block) {
        long at = decoded.address() + offset(2, values.bytes(), block);
        return IntStream.range(0, values.count())
                .map(i -> Elements.bits(values.type(), at, i))
                .toArray();
    }

    private static BlockValues shape(SplittableRandom random, ElementType type) {
        int headSize = random.nextInt(1, 40);
        int width = 2 * headSize * random.nextInt(1, 5);
        return new BlockValues(type, random.nextInt(1, 70), width, headSize);
    }

    private static int mask(ElementType type) {
        return type == ElementType.F32 ? -1 : 0xffff;
    }

    /** Bits with about {@code spread} different exponents. */
    private static int[] bits(SplittableRandom random, BlockValues values, int spread) {
        PackedLayout layout = new PackedLayout(values);
        int bits = values.type().bytes() * 8;
        int exponents = 1 << (bits - layout.lowBits());
        int base = random.nextInt(exponents);
        return random.ints(values.count())
                .map(low -> {
                    int exponent = (base + random.nextInt(spread)) % exponents;
                    int rotated = (exponent << layout.lowBits()) | (low & ((1 << layout.lowBits()) - 1));
                    return ((rotated >>> 1) | (rotated << (bits - 1))) & mask(values.type());
                })
                .toArray();
    }

    @Test
    void packedBlocksThatFitComeBackWithTheSameBits() {
        SplittableRandom random = new SplittableRandom(SEED);
        int misfitting = 0;
        for (int i = 0; i < CASES; i++) {
            BlockValues values = shape(random, ElementType.values()[i % 3]);
            int spread = random.nextInt(1, 10);
            int[][] blocks = {bits(random, values, spread), bits(random, values, 3), bits(random, values, spread)};
            boolean[] fits = throughTheCode(BlockCode.PACKED, values, blocks);
            assertThat(fits[1]).isTrue();
            for (int block = 0; block < BLOCKS; block++) {
                if (fits[block]) {
                    assertThat(decoded(values, block)).as("%s", values).isEqualTo(blocks[block]);
                } else {
                    misfitting++;
                }
            }
        }
        assertThat(misfitting).isBetween(CASES / 20, 2 * CASES);
    }

    /** Heads of a trained model differ in size; neighbouring channels and all tokens of a head do not. */
    @Test
    void packedBlocksFitWhateverTheSizesOfTheirStrips() {
        SplittableRandom random = new SplittableRandom(SEED);
        for (ElementType type : ElementType.values()) {
            int strips = 9;
            // The last strip is narrower, and units begin within strips.
            int width = strips * PackedLayout.STRIP_COLUMNS + 48;
            BlockValues values = new BlockValues(type, 24, width, width / 2);
            int[] block = new int[values.count()];
            for (int i = 0; i < block.length; i++) {
                double size = Math.scalb(1.0, i % width / PackedLayout.STRIP_COLUMNS - strips);
                block[i] = Elements.narrow(type, (float) (size * random.nextGaussian()));
            }
            assertThat(throughTheCode(BlockCode.PACKED, values, new int[][] {block}))
                    .containsExactly(true);
            assertThat(decoded(values, 0)).isEqualTo(block);
        }
    }

    @Test
    void everyValueOfABlockHasItsOwnPlaceInTheOrderOfStrips() {
        SplittableRandom random = new SplittableRandom(SEED);
        for (int i = 0; i < CASES; i++) {
            BlockValues values = shape(random, ElementType.BF16);
            PackedLayout layout = new PackedLayout(values);
            int[] places = IntStream.range(0, values.count()).map(layout::place).toArray();
            assertThat(IntStream.of(places).sorted().toArray())
                    .isEqualTo(IntStream.range(0, values.count()).toArray());
            for (int index = 0; index < places.length; index++) {
                int octet = index / PackedLayout.OCTET * PackedLayout.OCTET;
                assertThat(places[index]).isEqualTo(places[octet] + index - octet);
            }
        }
    }
}
