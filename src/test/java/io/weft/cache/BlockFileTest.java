package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.cache.BlockFile.Buffer;
import io.weft.cache.BlockFile.DamagedException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BlockFileTest {
    private static final BlockName MODEL = new BlockName(1, 2);
    private static final DiskScope SCOPE = new DiskScope(5, 6);

    @TempDir
    Path directory;

    private static BlockFile file(long bytes) {
        return new BlockFile(MODEL, new BlockName(3, 4), SCOPE, BlockPart.KEY_VALUE, bytes);
    }

    /** The bytes in memory that is cut at random places. */
    private static List<MemorySegment> pieces(byte[] bytes, Random random) {
        List<MemorySegment> pieces = new ArrayList<>();
        for (int at = 0; at < bytes.length; ) {
            int count = 1 + random.nextInt(bytes.length - at);
            MemorySegment piece = Arena.ofAuto().allocate(count);
            MemorySegment.copy(bytes, at, piece, ValueLayout.JAVA_BYTE, 0, count);
            pieces.add(piece);
            at += count;
        }
        return pieces;
    }

    private static byte[] bytes(List<MemorySegment> pieces) {
        byte[] bytes = new byte
                [pieces.stream().mapToInt(piece -> (int) piece.byteSize()).sum()];
        int at = 0;
        for (MemorySegment piece : pieces) {
            MemorySegment.copy(piece, ValueLayout.JAVA_BYTE, 0, bytes, at, (int) piece.byteSize());
            at += (int) piece.byteSize();
        }
        return bytes;
    }

    private static DiskTransfer transfer(List<MemorySegment> pieces) {
        return new DiskTransfer(pieces, isComplete -> {});
    }

    private static byte[] randomBytes(int count, Random random) {
        byte[] bytes = new byte[count];
        random.nextBytes(bytes);
        return bytes;
    }

    private static Buffer buffer(Random random) {
        return Buffer.ofBytes(BlockFile.ALIGNMENT * (1 + random.nextInt(4)));
    }

    private Path write(BlockFile file, byte[] bytes, Random random) throws IOException {
        Path path = directory.resolve("file");
        try (SeekableByteChannel channel = Files.newByteChannel(
                path, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)) {
            file.write(channel, transfer(pieces(bytes, random)), buffer(random));
        }
        return path;
    }

    private static byte[] read(BlockFile file, Path path, Random random) throws IOException {
        List<MemorySegment> pieces = pieces(new byte[(int) file.bytes()], random);
        try (SeekableByteChannel channel = Files.newByteChannel(path)) {
            file.read(channel, transfer(pieces), buffer(random));
        }
        return bytes(pieces);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void whatWasWrittenIsRead(long seed) throws IOException {
        Random random = new Random(seed);
        for (int trial = 0; trial < 50; trial++) {
            byte[] bytes = randomBytes(1 + random.nextInt(2 << random.nextInt(16)), random);
            Path path = write(file(bytes.length), bytes, random);

            assertThat(Files.size(path)).isEqualTo(file(bytes.length).fileBytes());
            assertThat(read(file(bytes.length), path, random)).isEqualTo(bytes);
        }
    }

    /** Around the edges of what is read at once. */
    @Test
    void lengthsAroundEdges() throws IOException {
        Random random = new Random(4);
        for (int edge = 1; edge <= 3; edge++) {
            for (int more = -6; more <= 6; more++) {
                int count = edge * BlockFile.ALIGNMENT - BlockFile.HEADER_BYTES + more;
                byte[] bytes = randomBytes(count, random);
                Path path = write(file(count), bytes, random);
                assertThat(read(file(count), path, random))
                        .as("%d bytes", count)
                        .isEqualTo(bytes);
            }
        }
    }

    /** In the header, the part, the padding and the checksum. */
    @Test
    void everyFlippedBitIsDamage() throws IOException {
        Random random = new Random(5);
        byte[] bytes = randomBytes(5000, random);
        Path path = write(file(bytes.length), bytes, random);
        byte[] whole = Files.readAllBytes(path);
        IntStream places = IntStream.concat(
                IntStream.concat(
                        IntStream.range(0, BlockFile.HEADER_BYTES + 8),
                        IntStream.range(whole.length - 8, whole.length)),
                random.ints(500, 0, whole.length));
        for (int at : places.toArray()) {
            byte[] flipped = whole.clone();
            flipped[at] ^= (byte) (1 << random.nextInt(8));
            Files.write(path, flipped);
            assertThatThrownBy(() -> read(file(bytes.length), path, random))
                    .as("byte %d", at)
                    .isInstanceOf(DamagedException.class);
        }
    }

    @Test
    void otherLengthsAreDamage() throws IOException {
        Random random = new Random(6);
        byte[] bytes = randomBytes(9000, random);
        Path path = write(file(bytes.length), bytes, random);
        byte[] whole = Files.readAllBytes(path);
        for (int trial = 0; trial < 200; trial++) {
            int length = random.nextInt(2 * whole.length);
            if (length != whole.length) {
                Files.write(path, Arrays.copyOf(whole, length));
                assertThatThrownBy(() -> read(file(bytes.length), path, random))
                        .as("%d bytes", length)
                        .isInstanceOf(DamagedException.class);
            }
        }
    }

    /** A disk that wrote a page of another file, or none, under a length that is right. */
    @Test
    void everyMissingPageIsDamage() throws IOException {
        Random random = new Random(7);
        byte[] bytes = randomBytes(20_000, random);
        Path path = write(file(bytes.length), bytes, random);
        byte[] whole = Files.readAllBytes(path);
        for (int at = 0; at < whole.length; at += 512) {
            byte[] torn = whole.clone();
            Arrays.fill(torn, at, at + 512, (byte) 0);
            Files.write(path, torn);
            assertThatThrownBy(() -> read(file(bytes.length), path, random))
                    .as("bytes from %d on", at)
                    .isInstanceOf(DamagedException.class);
        }
    }

    /** The same bytes under another name, model, scope or part: a file that somebody copied or renamed. */
    @Test
    void theFileOfAnotherBlockIsDamage() throws IOException {
        Random random = new Random(8);
        byte[] bytes = randomBytes(700, random);
        BlockName name = new BlockName(3, 4);
        BlockPart part = BlockPart.KEY_VALUE;
        Path path = write(file(700), bytes, random);
        for (BlockFile other : List.of(
                new BlockFile(new BlockName(1, 3), name, SCOPE, part, 700),
                new BlockFile(new BlockName(0, 2), name, SCOPE, part, 700),
                new BlockFile(MODEL, new BlockName(3, 5), SCOPE, part, 700),
                new BlockFile(MODEL, new BlockName(4, 4), SCOPE, part, 700),
                new BlockFile(MODEL, name, new DiskScope(5, 7), part, 700),
                new BlockFile(MODEL, name, new DiskScope(6, 6), part, 700),
                new BlockFile(MODEL, name, SCOPE, BlockPart.ACTIVATION, 700),
                new BlockFile(MODEL, name, SCOPE, BlockPart.WINDOW, 700),
                new BlockFile(MODEL, name, SCOPE, part, 699))) {
            assertThatThrownBy(() -> read(other, path, random)).as("%s", other).isInstanceOf(DamagedException.class);
        }
        assertThat(read(file(700), path, random)).isEqualTo(bytes);
    }
}
