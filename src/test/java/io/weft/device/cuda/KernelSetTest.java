package io.weft.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.ElementType;
import io.weft.device.cuda.KernelSet.Alignment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class KernelSetTest {
    private static final Path SOURCES = Path.of("src/main/cuda");
    /** Of a block on the GPUs with most; the others fall back to kernels that they have loaded anyway. */
    private static final int SHARED_BYTES = 227 << 10;

    private static final Pattern KERNEL =
            Pattern.compile("([a-z0-9_]+(?:##[A-Z]+(?:##_##[A-Z]+)?)?)\\(([^()]*(?:\\(T\\))?[^()]*)\\)\\s*\\{");

    @Test
    void everyKernelTakesAsManyArgumentsAsItsSourceSays() throws IOException {
        Map<String, Integer> inSource = new HashMap<>();
        for (String file : new String[] {"pointwise.cuh", "product.cuh", "attention.cuh", "sampling.cuh"}) {
            String source = Files.readString(SOURCES.resolve(file)).replaceAll("\\\\\n", " ");
            int call = count(macro(source, "CALL_PARAMETERS(T)"));
            int partials = count(macro(source, "PARTIALS_PARAMETERS"));
            for (String part : source.split("extern \"C\" __global__ void", -1)) {
                KERNEL.matcher(part).results().findFirst().ifPresent(match -> {
                    String arguments = match.group(2);
                    int number = arguments.contains("CALL_PARAMETERS(T)")
                            ? call + (arguments.contains("PARTIALS_PARAMETERS") ? partials : 0)
                            : count(arguments);
                    inSource.put(name(match), number);
                });
            }
        }
        Map<String, Integer> loaded = new HashMap<>();
        new KernelSet(
                (name, arguments, sharedBytes) -> {
                    String pattern = name.replaceAll("(attend_(?:few|many)|product_gated|product)_.*", "$1")
                            .replaceAll("(?<=[a-z0-9])_(f16|bf16)$", "");
                    assertThat(inSource).as("kernel %s", name).containsEntry(pattern, arguments);
                    loaded.put(name, arguments);
                    return new CudaKernel(name, 0, arguments, sharedBytes);
                },
                ElementType.F16,
                SHARED_BYTES);
        assertThat(loaded)
                .hasSizeGreaterThan(20)
                .allSatisfy((name, arguments) -> assertThat(arguments).isLessThanOrEqualTo(ArgumentBlock.SLOTS));
    }

    private static String name(MatchResult match) {
        return match.group(1).replaceAll("_##.*", "").replaceAll("_$", "");
    }

    private static String macro(String source, String name) {
        int at = source.indexOf("#define " + name);
        return at < 0 ? "" : source.substring(at + name.length() + 8, source.indexOf('\n', at));
    }

    private static int count(String arguments) {
        return arguments.isBlank() ? 0 : arguments.split(",", -1).length;
    }

    @Test
    void headsOfAnySizeHaveAKernel() {
        KernelSet kernels = new KernelSet(
                (name, arguments, sharedBytes) -> new CudaKernel(name, 0, arguments, sharedBytes),
                ElementType.BF16,
                SHARED_BYTES);
        for (int headSize = 1; headSize <= KernelSet.HEAD_SIZE_MOST; headSize++) {
            KernelSet.Attend attend = kernels.attend(headSize, Alignment.VECTORS);
            assertThat(attend.headSizeMost()).isGreaterThanOrEqualTo(headSize);
            assertThat(attend.few().name().contains("any")).isEqualTo(headSize % KernelSet.VECTOR != 0);
        }
        assertThat(kernels.attend(128, Alignment.ELEMENTS).few().name()).contains("any");
        assertThatThrownBy(() -> kernels.attend(KernelSet.HEAD_SIZE_MOST + 1, Alignment.VECTORS))
                .hasMessageContaining("257")
                .hasMessageContaining("256");
    }
}
