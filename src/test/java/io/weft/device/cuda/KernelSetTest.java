package io.weft.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.ElementType;
import io.weft.device.ExpertShape;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import io.weft.device.cuda.KernelSet.Alignment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class KernelSetTest {
    private static final Path SOURCES = Path.of("src/main/cuda");
    /** The GPUs with most kernels; the others fall back to those that they have loaded anyway. */
    private static final KernelSet.Gpu HOPPER = new KernelSet.Gpu(90, 132, 227 << 10);

    private static final Pattern KERNEL = Pattern.compile("([a-z0-9_]+(?:##[A-Za-z_#]+)?)\\(([^()]*)\\)\\s*\\{");
    private static final String KERNEL_BEGIN = "extern \"C\" __global__ void";
    private static final Pattern PARAMETERS = Pattern.compile("#define ([A-Z]+_PARAMETERS)(?:\\(T\\))? (.*)");

    @Test
    void everyKernelTakesAsManyArgumentsAsItsSourceSays() throws IOException {
        Map<String, Integer> inSource = new HashMap<>();
        for (String file : new String[] {
            "pointwise.cuh",
            "product.cuh",
            "quantised.cuh",
            "attention.cuh",
            "sampling.cuh",
            "experts.cuh",
            "quantised_experts.cuh",
            "blocks.cuh"
        }) {
            String source = Files.readString(SOURCES.resolve(file)).replaceAll("\\\\\n", " ");
            List<MatchResult> macros = PARAMETERS.matcher(source).results().toList();
            for (MatchResult macro : macros) {
                source = source.replaceAll(macro.group(1) + "(?:\\(T\\))?(?=[,)])", macro.group(2));
            }
            source = source.replaceAll("CLUSTER_KERNEL\\(WARPS, .*?\\)|OWN_INPUT_KERNEL", KERNEL_BEGIN);
            for (String part : source.split(KERNEL_BEGIN, -1)) {
                KERNEL.matcher(part)
                        .results()
                        .findFirst()
                        .ifPresent(match -> inSource.put(name(match), count(match.group(2))));
            }
        }
        assertThat(inSource)
                .containsKeys(
                        "product",
                        "product_gated",
                        "attend_few",
                        "attend_whole",
                        "attend_many",
                        "attend_large",
                        "experts_in",
                        "experts_out");
        Map<String, Integer> loaded = new HashMap<>();
        new KernelSet(
                (name, arguments, sharedBytes) -> {
                    String pattern = name.replaceAll(
                                    "(attend_(?:few|whole|many|large)|merge_few|product_gated|product|quantised_experts_(?:in|out)|quantised_gated"
                                            + "|quantised|unpack|pack_codes|experts_(?:in|out))_.*",
                                    "$1")
                            .replaceAll("(?<=[a-z0-9])_(f16|bf16)$", "");
                    assertThat(inSource).as("kernel %s", name).containsEntry(pattern, arguments);
                    loaded.put(name, arguments);
                    return new CudaKernel(name, 0, arguments, sharedBytes);
                },
                ElementType.F16,
                HOPPER);
        assertThat(loaded)
                .hasSizeGreaterThan(20)
                .allSatisfy((name, arguments) -> assertThat(arguments).isLessThanOrEqualTo(ArgumentBlock.SLOTS));
    }

    private static final Pattern PRODUCT = Pattern.compile(
            " (CLUSTER_)?(PRODUCT|GATED)_KERNEL\\(NAME, T, ([a-z0-9_, ]*[0-9])(?:, (?:true|false))?\\)");

    /** Less than the kernels take would be accesses past the memory of a block. */
    @Test
    void productKernelsHaveTheMemoryOfTheirStages() throws IOException {
        Map<String, Integer> inSource = new HashMap<>();
        String source = Files.readString(SOURCES.resolve("product.cuh"));
        PRODUCT.matcher(source).results().forEach(match -> {
            String[] values = match.group(3).split(", ", -1);
            boolean cluster = match.group(1) != null;
            boolean gated = match.group(2).equals("GATED");
            // Of clusters rows (unless gated), warps, depth, stages; of others name, row tiles, depth, stages.
            int at = gated ? 0 : 1;
            int rows = gated ? 16 : cluster ? Integer.parseInt(values[0]) : 16 * Integer.parseInt(values[1]);
            int warps = cluster ? Integer.parseInt(values[at]) : 4;
            int depth = Integer.parseInt(values[at + 1]);
            int stages = Integer.parseInt(values[at + 2]);
            String name = "product_" + (gated ? "gated" : values[0]) + (cluster ? "_by_" + warps : "") + "_f16";
            inSource.put(name, Math.max(HOPPER.aloneBytes(), stages * (rows + 8 * warps) * (depth + 8) * 2));
        });
        // Is written out, with the numbers of product_16.
        inSource.put("product_gated_f16", inSource.get("product_16_f16"));
        Map<String, Integer> loaded = new HashMap<>();
        new ProductKernels(
                (name, arguments, sharedBytes) -> {
                    loaded.put(name, sharedBytes);
                    return new CudaKernel(name, 0, arguments, sharedBytes);
                },
                "f16",
                HOPPER);
        assertThat(loaded).isEqualTo(inSource).hasSizeGreaterThan(10);
    }

    private static final Pattern EXPERTS =
            Pattern.compile(" EXPERT_KERNELS_OF_SIZE\\(NAME, T, ([a-z0-9]+), ([0-9, ]+), [0-9]+, (?:true|false)\\)");

    private static final Pattern QUANTISED_EXPERTS =
            Pattern.compile(" QUANTISED_EXPERT_KERNELS_OF_SIZE\\(CODE, Codes, NAME, T, ([0-9, ]+), [0-9]+\\)");

    /** Less memory than the kernels take would be accesses past that of a block. */
    @Test
    void expertKernelsHaveTheMemoryOfTheirStagesAndTheirWidth() throws IOException {
        Map<String, String> inSource = new HashMap<>();
        EXPERTS.matcher(Files.readString(SOURCES.resolve("experts.cuh")))
                .results()
                .forEach(match -> {
                    int[] values = numbers(match.group(2));
                    int pairs = 16 * values[0] * values[2];
                    int columns = 8 * values[1] * values[3];
                    int sharedBytes = values[5] * (pairs + columns) * (values[4] + 8) * 2;
                    int threads = 32 * values[0] * values[1];
                    String size = match.group(1);
                    inSource.put("in " + size, describe(pairs, columns / 2, threads, sharedBytes));
                    inSource.put("out " + size, describe(pairs, columns, threads, sharedBytes));
                });
        List<MatchResult> quantised = QUANTISED_EXPERTS
                .matcher(Files.readString(SOURCES.resolve("quantised_experts.cuh")))
                .results()
                .toList();
        assertThat(quantised).hasSize(4);
        for (int i = 0; i < 4; i++) {
            int[] values = numbers(quantised.get(i).group(1));
            int bits = i < 2 ? 4 : 8;
            int pairs = 16 * values[2];
            int tileBytes = 8 * values[5] * bits / 8 + values[5] / 32 * 32;
            int inputBytes = values[6] * pairs * (values[5] + 8) * 2;
            int warpBytes = values[6] * values[1] * tileBytes;
            for (String code : i < 2 ? List.of("int4", "int4_own", "fp4") : List.of("fp8", "int8")) {
                String name = values[0] + "_" + code;
                inSource.put(
                        "in " + name,
                        describe(
                                pairs,
                                8 * values[1] * values[3],
                                32 * values[1],
                                inputBytes + 2 * values[3] * warpBytes));
                inSource.put(
                        "out " + name,
                        describe(pairs, 8 * values[1] * values[4], 32 * values[1], inputBytes + values[4] * warpBytes));
            }
        }
        ExpertKernels kernels = new ExpertKernels(
                (name, arguments, sharedBytes) -> new CudaKernel(name, 0, arguments, sharedBytes),
                ElementType.F16,
                HOPPER);
        Map<String, String> loaded = new HashMap<>();
        List<ExpertKernels.Form> forms = new ArrayList<>(List.of(kernels.any(), kernels.of(Optional.empty())));
        for (WeightCode code : WeightCode.values()) {
            for (ElementType scaleType : List.of(ElementType.F16, ElementType.BF16)) {
                WeightEncoding encoding = new WeightEncoding(code, 32, WeightEncoding.Zero.MIDDLE, scaleType);
                forms.add(kernels.of(Optional.of(new QuantisedMemory(encoding, 0, 0, 5))));
            }
        }
        for (ExpertKernels.Form form : forms) {
            form.in().forEach(product -> loaded.put("in " + size(product), describe(product)));
            form.out().forEach(product -> loaded.put("out " + size(product), describe(product)));
        }
        assertThat(loaded).isEqualTo(inSource).hasSize(2 * (4 + 2 * 5));
    }

    /** Compute capability 8.9 has room for the kernels of few pairs, and for some of the others. */
    @Test
    void expertsHaveTheTilesForWhichABlockHasRoom() {
        int sharedBytesMost = 99 << 10;
        ExpertKernels kernels = new ExpertKernels(
                (name, arguments, sharedBytes) -> {
                    assertThat(sharedBytes).isLessThanOrEqualTo(sharedBytesMost);
                    return new CudaKernel(name, 0, arguments, sharedBytes);
                },
                ElementType.F16,
                new KernelSet.Gpu(89, 128, sharedBytesMost));
        WeightEncoding encoding =
                new WeightEncoding(WeightCode.FP4_E2M1, 32, WeightEncoding.Zero.MIDDLE, ElementType.BF16);
        CudaExperts.Matrices elements = new CudaExperts.Matrices(0, Optional.empty(), 0);
        CudaExperts.Matrices codes =
                new CudaExperts.Matrices(0, Optional.of(new QuantisedMemory(encoding, 0, 0, 5)), 0);
        ExpertShape shape = new ExpertShape(8, 64, 64);
        assertThat(kernels.tilePairs(128, new CudaExperts(shape, elements, elements, 0)))
                .isEqualTo(16);
        assertThat(kernels.tilePairs(10_000, new CudaExperts(shape, elements, elements, 0)))
                .isEqualTo(64);
        assertThat(kernels.tilePairs(10_000, new CudaExperts(shape, elements, codes, 0)))
                .isEqualTo(16);
        assertThat(kernels(HOPPER).experts.tilePairs(10_000, new CudaExperts(shape, elements, elements, 0)))
                .isEqualTo(128);
        assertThat(kernels(HOPPER).experts.tilePairs(10_000, new CudaExperts(shape, elements, codes, 0)))
                .isEqualTo(64);
    }

    private static int[] numbers(String list) {
        return Pattern.compile(", ")
                .splitAsStream(list)
                .mapToInt(Integer::parseInt)
                .toArray();
    }

    private static String size(ExpertKernels.Product product) {
        return product.kernel().name().replaceAll("(quantised_)?experts_(in|out)_|_f16", "");
    }

    private static String describe(ExpertKernels.Product product) {
        return describe(
                product.pairs(),
                product.width(),
                product.threads(),
                product.kernel().sharedBytes());
    }

    private static String describe(int pairs, int width, int threads, int sharedBytes) {
        return "%d pairs by %d, %d threads, %d bytes".formatted(pairs, width, threads, sharedBytes);
    }

    @Test
    void aBlockThatTakesASpanWholeHasItsTilesAndRoomForTheProducts() throws IOException {
        MatchResult stages = Pattern.compile("WHOLE_STAGES = (\\d+);")
                .matcher(Files.readString(SOURCES.resolve("attention.cuh")))
                .results()
                .findFirst()
                .orElseThrow();
        int tileBytes = 2 * 64 * (128 + 8) * 2;
        assertThat(whole(HOPPER, 128).orElseThrow().sharedBytes())
                .isEqualTo(Integer.parseInt(stages.group(1)) * tileBytes + 16 * 64 * Float.BYTES);
    }

    @Test
    void spansAreTakenWholeWhereABlockHasRoomForTheirTiles() {
        KernelSet.Gpu small = new KernelSet.Gpu(89, 128, 99 << 10);
        assertThat(whole(small, 64)).isPresent();
        assertThat(whole(small, 128)).isEmpty();
        assertThat(whole(HOPPER, 256)).isEmpty();
    }

    private static Optional<CudaKernel> whole(KernelSet.Gpu gpu, int headSize) {
        return kernels(gpu).attend(headSize, Alignment.VECTORS).whole();
    }

    private static KernelSet kernels(KernelSet.Gpu gpu) {
        return new KernelSet(
                (name, arguments, sharedBytes) -> new CudaKernel(name, 0, arguments, sharedBytes),
                ElementType.BF16,
                gpu);
    }

    private static String name(MatchResult match) {
        return match.group(1).replaceAll("(?:_by)?_##.*", "").replaceAll("_$", "");
    }

    private static int count(String arguments) {
        return arguments.isBlank() ? 0 : arguments.split(",", -1).length;
    }

    @Test
    void headsOfAnySizeHaveAKernel() {
        KernelSet kernels = kernels(HOPPER);
        for (int headSize = 1; headSize <= KernelSet.HEAD_SIZE_MOST; headSize++) {
            KernelSet.Attend attend = kernels.attend(headSize, Alignment.VECTORS);
            assertThat(attend.headSizeMost()).isGreaterThanOrEqualTo(headSize);
            assertThat(attend.few().name().contains("any")).isEqualTo(headSize % KernelSet.VECTOR != 0);
        }
        assertThat(kernels.attend(128, Alignment.ELEMENTS).few().name()).contains("any");
        assertThatThrownBy(() -> kernels.attend(KernelSet.HEAD_SIZE_MOST + 1, Alignment.VECTORS))
                .hasMessage("head size is 257, must be a multiple of 8 if it is above 256");
    }

    @Test
    void largeHeadsHaveKernelsWhereABlockHasRoomForOneTile() {
        KernelSet.Attend large = kernels(HOPPER).attend(512, Alignment.VECTORS);
        int tileBytes = 2 * 64 * (512 + 8) * 2;
        assertThat(large.few().sharedBytes()).isEqualTo(tileBytes);
        assertThat(large.many().sharedBytes()).isEqualTo(tileBytes + 16 * 64 * Float.BYTES);
        assertThat(kernels(HOPPER).attend(264, Alignment.VECTORS).headSizeMost())
                .isEqualTo(512);
        assertThatThrownBy(() -> kernels(HOPPER).attend(520, Alignment.VECTORS))
                .hasMessage("head size is 520, must be at most 512");
        KernelSet small = kernels(new KernelSet.Gpu(89, 128, 99 << 10));
        assertThat(small.headSizeMost()).isEqualTo(256);
        assertThatThrownBy(() -> small.attend(512, Alignment.VECTORS))
                .hasMessage("head size is 512, must be at most 256");
    }
}
