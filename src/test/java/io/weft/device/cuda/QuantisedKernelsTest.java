package io.weft.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.ElementType;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import io.weft.device.WeightEncoding.Zero;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class QuantisedKernelsTest {
    private static final KernelSet.Gpu HOPPER = new KernelSet.Gpu(90, 132, 227 << 10);
    private static final KernelSet.Gpu SMALL = new KernelSet.Gpu(86, 28, 99 << 10);
    private static final Pattern KERNELS =
            Pattern.compile("QUANTISED_KERNELS\\((\\w+), (\\w+), NAME, T, (\\d+), (\\d+), (\\d+), (\\d+)\\)");

    private static QuantisedKernels kernels(KernelSet.Gpu gpu) {
        return new QuantisedKernels(
                (name, arguments, sharedBytes) -> new CudaKernel(name, 0, arguments, sharedBytes),
                ElementType.F16,
                gpu);
    }

    private static List<QuantisedKernels.Product> products(QuantisedKernels.Codes kernels) {
        return List.of(kernels.few(), kernels.many(), kernels.gated());
    }

    /** Less than the kernels take would be accesses past the memory of a block; with less than half, two would fit. */
    @Test
    void blocksHaveTheMemoryOfTheirStages() throws IOException {
        String source = Files.readString(Path.of("src/main/cuda/quantised.cuh"));
        Map<String, List<Integer>> inSource = new HashMap<>();
        int[] many = Pattern.compile("quantised<T, Codes, 4, (\\d+), (\\d+)>")
                .matcher(source)
                .results()
                .flatMap(match -> Stream.of(match.group(1), match.group(2)))
                .mapToInt(Integer::parseInt)
                .toArray();
        KERNELS.matcher(source).results().forEach(match -> {
            int bits = match.group(1).endsWith("8") ? 8 : 4;
            int[] numbers = {0, 0, 0, 0};
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = Integer.parseInt(match.group(3 + i));
            }
            inSource.put("quantised_" + match.group(1) + "_f16", bytes(bits, 16, 1, numbers[0], numbers[1]));
            inSource.put("quantised_64_" + match.group(1) + "_f16", bytes(bits, 64, 1, many[0], many[1]));
            inSource.put("quantised_gated_" + match.group(1) + "_f16", bytes(bits, 16, 2, numbers[2], numbers[3]));
        });
        assertThat(inSource).hasSize(15);
        Map<String, List<Integer>> loaded = new HashMap<>();
        QuantisedKernels kernels = kernels(HOPPER);
        for (WeightCode code : WeightCode.values()) {
            for (ElementType scales : new ElementType[] {ElementType.F16, ElementType.BF16}) {
                QuantisedKernels.Codes found = kernels.of(new WeightEncoding(code, 32, Zero.MIDDLE, scales));
                for (QuantisedKernels.Product product : products(found)) {
                    loaded.put(
                            product.kernel(1).name(),
                            Stream.of(product.byWarps())
                                    .map(CudaKernel::sharedBytes)
                                    .toList());
                }
            }
        }
        assertThat(loaded).isEqualTo(inSource);
    }

    /** Of blocks with 1, 2, … warps: input rows with padding; for a warp, codes and a word a row and 32 columns. */
    private static List<Integer> bytes(int bits, int rows, int tiles, int depth, int stages) {
        int inputBytes = stages * rows * (depth + 8) * 2;
        int warpBytes = stages * tiles * (8 * depth * bits / 8 + 8 * depth / 32 * 4);
        return IntStream.rangeClosed(1, Math.min(16, (HOPPER.sharedBytesMost() - inputBytes) / warpBytes))
                .map(warps -> Math.max(HOPPER.sharedBytesMost() / 2 + 1, inputBytes + warps * warpBytes))
                .boxed()
                .toList();
    }

    /** Of a tile's two warps, and the sums that they hand over; then the input's rows. */
    @Test
    void blocksOfWarpsThatTakeTurnsHaveTheMemoryOfTheirStages() throws IOException {
        String source = Files.readString(Path.of("src/main/cuda/quantised.cuh"));
        assertThat(source).contains("quantisedTurns<T, Codes, 256, 6>");
        for (WeightCode code : WeightCode.values()) {
            QuantisedKernels.Turns turns = kernels(HOPPER)
                    .of(new WeightEncoding(code, 32, Zero.MIDDLE, ElementType.F16))
                    .turns();
            int bits = code == WeightCode.INT8 || code == WeightCode.FP8_E4M3 ? 8 : 4;
            int tileBytes = 2 * 6 * (8 * 256 * bits / 8 + 8 * 256 / 32 * 4) + 512;
            for (int rows = 1; rows <= 4; rows++) {
                for (int tiles : new int[] {1, 132, 512, 768, 924}) {
                    for (int depth : new int[] {8, 264, 4096, 14_336}) {
                        int tilesOfBlock = Math.ceilDiv(tiles, 132);
                        int pitch = Math.ceilDiv(depth, 256) * 256 + 8;
                        int needed = tilesOfBlock * tileBytes + rows * pitch * 2;
                        Optional<QuantisedKernels.Launch> launch = turns.launch(tiles, rows, depth, 132);
                        assertThat(launch.isPresent()).isEqualTo(needed <= HOPPER.sharedBytesMost());
                        launch.ifPresent(found -> {
                            assertThat(found.kernel().sharedBytes())
                                    .isEqualTo(Math.max(needed, HOPPER.sharedBytesMost() / 2 + 1));
                            assertThat(found.threads()).isEqualTo(64 * tilesOfBlock);
                            assertThat(found.blocks() * tilesOfBlock).isGreaterThanOrEqualTo(tiles);
                        });
                    }
                }
            }
            assertThat(turns.launch(512, 5, 4096, 132)).isEmpty();
            assertThat(turns.launch(925, 1, 4096, 132)).isEmpty();
        }
    }

    @Test
    void everyTileHasAWarpAndNoMultiprocessorMuchMoreThanOthers() {
        for (KernelSet.Gpu gpu : new KernelSet.Gpu[] {HOPPER, SMALL}) {
            for (WeightCode code : WeightCode.values()) {
                QuantisedKernels.Codes found =
                        kernels(gpu).of(new WeightEncoding(code, 32, Zero.MIDDLE, ElementType.F16));
                for (QuantisedKernels.Product product : products(found)) {
                    assertThat(product.kernel(1).sharedBytes()).isLessThanOrEqualTo(gpu.sharedBytesMost());
                    for (int tiles : new int[] {1, 8, 131, 132, 133, 512, 768, 1792, 3584, 16_032}) {
                        int warps = product.warps(tiles, gpu.multiprocessors());
                        assertThat(warps).isBetween(1, product.byWarps().length);
                        int rounds = Math.ceilDiv(Math.ceilDiv(tiles, warps), gpu.multiprocessors());
                        assertThat((rounds * warps - rounds) * gpu.multiprocessors())
                                .isLessThan(tiles);
                    }
                }
            }
        }
    }

    @Test
    void encodingsThatNoKernelReadsBecomeElements() {
        WeightEncoding odd = new WeightEncoding(WeightCode.FP8_E4M3, 96, Zero.MIDDLE, ElementType.F32);
        assertThat(QuantisedMemory.holds(odd, 192)).isFalse();
        assertThat(QuantisedMemory.holds(odd, 96)).isTrue();
        WeightEncoding small = new WeightEncoding(WeightCode.INT4, 16, Zero.MIDDLE, ElementType.F16);
        assertThat(QuantisedMemory.holds(small, 64)).isFalse();
        WeightEncoding wide = new WeightEncoding(WeightCode.INT4, 64, Zero.GROUP, ElementType.F32);
        assertThat(QuantisedMemory.holds(wide, 64)).isFalse();
    }

    @Test
    void memoryIsThatOfWholeTilesAndUnits() {
        WeightEncoding int4 = new WeightEncoding(WeightCode.INT4, 128, Zero.MIDDLE, ElementType.F16);
        assertThat(QuantisedMemory.codeBytes(int4, 4096, 4096)).isEqualTo(4096L * 4096 / 2);
        assertThat(QuantisedMemory.scaleBytes(int4, 4096, 4096)).isEqualTo(4096L * 32 * 4);
        assertThat(QuantisedMemory.codeBytes(int4, 9, 129)).isEqualTo(2 * 2 * 512);
        WeightEncoding fp8 = new WeightEncoding(WeightCode.FP8_E4M3, 128, Zero.MIDDLE, ElementType.F32);
        assertThat(QuantisedMemory.codeBytes(fp8, 4096, 4096)).isEqualTo(4096L * 4096);
        assertThat(QuantisedMemory.at(4096, fp8, 8, 64).groupShift()).isEqualTo(31);
        assertThat(QuantisedMemory.at(4096, fp8, 8, 256).groupShift()).isEqualTo(7);
    }
}
