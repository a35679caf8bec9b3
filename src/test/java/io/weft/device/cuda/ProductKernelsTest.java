package io.weft.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.cuda.ProductKernels.Product;
import java.util.Optional;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class ProductKernelsTest {
    private static final int HOPPER = 90;
    private static final int AMPERE = 80;

    private static ProductKernels kernels(int capability, int multiprocessors) {
        return new ProductKernels(
                (name, arguments, sharedBytes) -> new CudaKernel(name, 0, arguments, sharedBytes),
                "f16",
                new KernelSet.Gpu(capability, multiprocessors, 227 << 10));
    }

    @Property
    void noBlockHasMoreColumnsThanItsWarpsAndClustersAreWhole(
            @ForAll @IntRange(min = 1, max = 300_000) int columns,
            @ForAll @IntRange(min = 1, max = 32) int rows,
            @ForAll @IntRange(min = 2, max = 200) int multiprocessors) {
        Optional<Product> chosen = kernels(HOPPER, multiprocessors).forRows(rows, columns, 4096);
        chosen.ifPresent(kernel -> {
            int blocks = kernel.blocks(columns, multiprocessors);
            long tiles = Math.ceilDiv(columns, ProductKernels.TILE_COLUMNS);
            assertThat(blocks % kernel.cluster()).isZero();
            for (long block = 0; block < blocks; block++) {
                long first = tiles * block / blocks;
                long last = tiles * (block + 1) / blocks;
                assertThat(last - first).isLessThanOrEqualTo(kernel.warps());
            }
            assertThat(rows).isLessThanOrEqualTo(kernel.cluster() > 1 ? kernel.rows() : Integer.MAX_VALUE);
            if (kernel.isNarrow(columns, multiprocessors)) {
                assertThat(blocks).isLessThanOrEqualTo(multiprocessors);
            }
        });
    }

    /** A multiprocessor with two blocks would take twice as long as one with one. */
    @Property
    void oneBlockForEachMultiprocessorLeavesNoRoomForAnother(
            @ForAll @IntRange(min = 1, max = 50_000) int columns, @ForAll @IntRange(min = 1, max = 2) int rows) {
        Product product = kernels(HOPPER, 132).forRows(rows, columns, 4096).orElseThrow();
        int sharedBytes = product.kernel(columns, rows, 132).sharedBytes();
        assertThat(2 * sharedBytes > 227 << 10).isEqualTo(product.blocks(columns, 132) <= 132);
    }

    @Property
    void inputsAreSharedOnHopperAlone(
            @ForAll @IntRange(min = 1, max = 64) int rows,
            @ForAll @IntRange(min = 1, max = 50_000) int columns,
            @ForAll @IntRange(min = 1, max = 20_000) int depth) {
        kernels(AMPERE, 108)
                .forRows(rows, columns, depth)
                .ifPresent(kernel -> assertThat(kernel.cluster()).isOne());
        kernels(HOPPER, 132)
                .forRows(rows, columns, depth)
                .ifPresent(kernel -> assertThat(kernel.cluster() > 1).isEqualTo(rows > 2 && depth % 32 == 0));
    }

    /** The sizes of the presets, by the columns that one warp takes on a GPU of 132 multiprocessors. */
    @Test
    void columnsAreSpreadEvenly() {
        ProductKernels kernels = kernels(HOPPER, 132);
        assertThat(warps(kernels, 4096)).isEqualTo(4);
        assertThat(warps(kernels, 5120)).isEqualTo(5);
        assertThat(warps(kernels, 6144)).isEqualTo(6);
        assertThat(warps(kernels, 7168)).isEqualTo(8);
        assertThat(warps(kernels, 16_384)).isEqualTo(8);
        assertThat(warps(kernels, 20_480)).isEqualTo(5);
        assertThat(warps(kernels, 22_016)).isEqualTo(6);
    }

    private static int warps(ProductKernels kernels, int columns) {
        return kernels.forRows(16, columns, 4096).orElseThrow().warps();
    }

    @Test
    void whatFewRowsGainsNothingFromIsLeftToTheLibrary() {
        ProductKernels kernels = kernels(HOPPER, 132);
        assertThat(kernels.forRows(32, 4096, 4096)).isPresent();
        assertThat(kernels.forRows(32, 12_288, 4096))
                .hasValueSatisfying(kernel -> assertThat(kernel.warps()).isEqualTo(6));
        assertThat(kernels.forRows(32, 16_384, 4096))
                .hasValueSatisfying(kernel -> assertThat(kernel.warps()).isEqualTo(8));
        assertThat(kernels.forRows(32, 20_480, 5120)).isEmpty();
        assertThat(kernels.forRows(32, 50_272, 4096)).isEmpty();
        assertThat(kernels.forRows(33, 4096, 4096)).isEmpty();
        assertThat(kernels.forGated(17, 4096, 4096)).isEmpty();
        assertThat(kernels(AMPERE, 108).forRows(17, 4096, 4096)).isEmpty();
    }
}
