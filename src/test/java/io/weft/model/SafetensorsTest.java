package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.ElementType;
import io.weft.device.TensorView;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {
    @TempDir
    private Path folder;

    /** A file with this header and so many bytes of data. */
    private Path file(String header, int dataBytes) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(json.length).put(json);
        for (int i = 0; i < dataBytes; i++) {
            bytes.put((byte) i);
        }
        return Files.write(folder.resolve("model.safetensors"), bytes.array());
    }

    @Test
    void tensorsAreViewsOfTheFile() throws IOException {
        Path file = file("""
                {"__metadata__":{"format":"pt"},
                 "b":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]},
                 "a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 16);
        try (Arena arena = Arena.ofConfined()) {
            Safetensors tensors = Safetensors.map(file, arena);
            assertThat(tensors.names()).containsExactlyInAnyOrder("a", "b");
            TensorView b = tensors.tensor("b");
            assertThat(b.type()).isEqualTo(ElementType.F16);
            assertThat(b.shape()).isEqualTo(List.of(2, 3));
            assertThat(b.data().toArray(ValueLayout.JAVA_BYTE))
                    .containsExactly(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            assertThat(b.rows(1, 1).data().toArray(ValueLayout.JAVA_BYTE)).containsExactly(10, 11, 12, 13, 14, 15);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}            | 4  | truncated
            {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}            | 8  | is said to take 4 bytes
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}            | 8  | starts at 4
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}            | 8  | there are 8 bytes of data
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}           | 4  | [-4, 0)
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}              | 4  | malformed
            {"a":{"dtype":"F32","shape":[1],"data_offsets":["0","4"]}        | 4  | malformed
            {"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}           | 4  | malformed
            {"a":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,4]}  | 4  | malformed
            {"a":{"dtype":"F32","shape":[2147483647,2147483647,9],"data_offsets":[0,4]} | 4 | is said to take
            {"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}            | 4  | unknown dtype "F31"
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]} | 4 | JSON
            {"a":7                                                           | 4  | unknown dtype
            [1                                                               | 4  | JSON
            """)
    void aHeaderThatLiesIsRefused(String header, int dataBytes, String cause) throws IOException {
        Path file = file(header + (header.startsWith("[") ? "]" : "}"), dataBytes);
        try (Arena arena = Arena.ofConfined()) {
            assertThatThrownBy(() -> Safetensors.map(file, arena))
                    .isInstanceOf(ModelLoadException.class)
                    .hasMessageContaining(file.toString())
                    .hasMessageContaining(cause);
        }
    }

    @Test
    void aTypeThatCannotBeReadIsNamedWhenItIsWanted() throws IOException {
        Path file = file("{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8);
        try (Arena arena = Arena.ofConfined()) {
            Safetensors tensors = Safetensors.map(file, arena);
            assertThatThrownBy(() -> tensors.tensor("a"))
                    .isInstanceOf(ModelLoadException.class)
                    .hasMessageContaining("tensor a has dtype I64");
        }
    }

    /** Whatever is done to a file, it is either refused in one line or read within its bounds. */
    @Test
    void damagedFilesNeverDoAnythingElse() throws IOException {
        Path golden = Path.of("src/test/resources/goldens/opt/model.safetensors");
        byte[] whole = Files.readAllBytes(golden);
        Path file = folder.resolve("model.safetensors");
        Random random = new Random(3);
        for (int round = 0; round < 300; round++) {
            byte[] damaged = switch (round % 3) {
                case 0 -> Arrays.copyOf(whole, random.nextInt(whole.length));
                case 1 -> flipped(whole, random.nextInt(8), random);
                default -> flipped(whole, 8 + random.nextInt(3000), random);
            };
            Files.write(file, damaged);
            try (Arena arena = Arena.ofConfined()) {
                Safetensors tensors = Safetensors.map(file, arena);
                for (String name : tensors.names()) {
                    tensors.tensor(name).data().toArray(ValueLayout.JAVA_BYTE);
                }
            } catch (ModelLoadException e) {
                assertThat(e.getMessage()).startsWith(file.toString()).doesNotContain("\n");
            }
        }
    }

    private static byte[] flipped(byte[] whole, int at, Random random) {
        byte[] copy = whole.clone();
        copy[at] = (byte) (copy[at] ^ (1 << random.nextInt(8)));
        return copy;
    }
}
