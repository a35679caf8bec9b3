package io.weft.device.cuda;

import java.util.List;
import java.util.Optional;

/**
 * The kernels for matrix products of few rows, and the choice among them by size. All add in the library's order, so a
 * row has the same bits with each of them.
 */
final class ProductKernels {
    /** Columns of a warp; a block has a multiple of them. */
    static final int TILE_COLUMNS = 8;

    private static final int WARP = 32;
    private static final int ARGUMENTS = 12;
    private static final int GATED_ARGUMENTS = 8;
    private static final int FEW_ROWS = 16;
    private static final int CLUSTER_BLOCKS = 2;
    /** The length of inputs that blocks share is a multiple of this. */
    private static final int CLUSTER_DEPTH_STEP = 32;
    /** Hopper: only its machine code has clusters, and copies to all of their blocks. */
    private static final int CLUSTER_CAPABILITY = 90;
    /** From this number of rows on, reading the input slows down the weights unless blocks share it. */
    private static final int CLUSTER_ROWS_LEAST = 3;
    /**
     * The most rows for which blocks that share nothing are no slower than the library, for outputs of many columns.
     */
    private static final int ROWS_MOST_WIDE = 8;
    /** The columns of the narrowest tiles with which the library reaches the rate of device memory. */
    private static final int WIDE_TILE_COLUMNS = 64;
    /** A grid fills the device if at most one in this many multiprocessors has no block. */
    private static final int FULL_PARTS = 8;

    private final int multiprocessors;
    private final Product few;
    private final Product any;
    private final Product gated;
    private final List<Product> shared16;
    private final List<Product> shared32;
    private final List<Product> sharedGated;

    /**
     * A kernel.
     *
     * @param kernel the loaded kernel
     * @param alone the same with so much memory that a multiprocessor has room for one block
     * @param rows rows of a block's part of the output
     * @param warps warps that multiply; each takes {@value #TILE_COLUMNS} columns
     * @param cluster blocks that share their input; if there are several, a dedicated warp fetches it
     * @param blocksAtOnce blocks for which a multiprocessor has room
     */
    record Product(CudaKernel kernel, CudaKernel alone, int rows, int warps, int cluster, int blocksAtOnce) {
        int threads() {
            return WARP * (cluster > 1 ? warps + 1 : warps);
        }

        /**
         * The number of blocks for so many columns. Blocks take fewer columns rather than leave a multiprocessor with
         * fewer blocks than others.
         */
        int blocks(int columns, int multiprocessors) {
            int tiles = Math.ceilDiv(columns, TILE_COLUMNS);
            int least = wholeClusters(Math.ceilDiv(tiles, warps) + cluster - 1);
            int atOnce = wholeClusters(multiprocessors) * (isNarrow(columns, multiprocessors) ? 1 : blocksAtOnce);
            return Math.max(least, wholeClusters(Math.min(tiles, atOnce)));
        }

        /** The kernel with the memory that suits the number of its blocks. */
        CudaKernel kernel(int columns, int rowsOfOutput, int multiprocessors) {
            boolean isAlone = cluster == 1 && rowsOfOutput <= rows && isNarrow(columns, multiprocessors);
            return isAlone ? alone : kernel;
        }

        private int wholeClusters(int blocks) {
            return blocks / cluster * cluster;
        }

        /** Whether one block per multiprocessor is enough. */
        boolean isNarrow(int columns, int multiprocessors) {
            return Math.ceilDiv(columns, warps * TILE_COLUMNS) <= wholeClusters(multiprocessors);
        }

        /** Whether all blocks run at once, and few multiprocessors have less to do than others. */
        boolean fills(int columns, int multiprocessors) {
            int most = wholeClusters(multiprocessors) * blocksAtOnce * warps * TILE_COLUMNS;
            return columns <= most && (long) columns * FULL_PARTS >= (long) most * (FULL_PARTS - 1);
        }

        /** The tiles of the busiest multiprocessor, over all rounds of blocks. */
        private int tilesOfBusiest(int columns, int multiprocessors) {
            int blocks = blocks(columns, multiprocessors);
            int rounds = Math.ceilDiv(blocks, multiprocessors * blocksAtOnce);
            return rounds * blocksAtOnce * Math.ceilDiv(Math.ceilDiv(columns, TILE_COLUMNS), blocks);
        }
    }

    ProductKernels(KernelSet.Loader loader, String type, KernelSet.Gpu gpu) {
        this.multiprocessors = gpu.multiprocessors();
        few = load(loader, gpu, "16_" + type, ARGUMENTS, FEW_ROWS, 4, 1, 256, 4, 2);
        any = load(loader, gpu, "any_" + type, ARGUMENTS, 2 * FEW_ROWS, 4, 1, 64, 3, 2);
        gated = load(loader, gpu, "gated_" + type, GATED_ARGUMENTS, FEW_ROWS, 4, 1, 256, 4, 2);
        boolean clusters = gpu.capability() == CLUSTER_CAPABILITY;
        shared16 = clusters ? loadShared(loader, gpu, "16", type, ARGUMENTS) : List.of();
        sharedGated = clusters ? loadShared(loader, gpu, "gated", type, GATED_ARGUMENTS) : List.of();
        shared32 = clusters
                ? List.of(
                        load(loader, gpu, "32_by_4_" + type, ARGUMENTS, 2 * FEW_ROWS, 4, CLUSTER_BLOCKS, 256, 6, 1),
                        load(loader, gpu, "32_by_5_" + type, ARGUMENTS, 2 * FEW_ROWS, 5, CLUSTER_BLOCKS, 256, 5, 1),
                        load(loader, gpu, "32_by_6_" + type, ARGUMENTS, 2 * FEW_ROWS, 6, CLUSTER_BLOCKS, 128, 5, 2),
                        load(loader, gpu, "32_by_8_" + type, ARGUMENTS, 2 * FEW_ROWS, 8, CLUSTER_BLOCKS, 128, 4, 2))
                : List.of();
    }

    /** Loads the kernels, in ascending order of warps. */
    private static List<Product> loadShared(
            KernelSet.Loader loader, KernelSet.Gpu gpu, String size, String type, int arguments) {
        return List.of(
                load(loader, gpu, size + "_by_4_" + type, arguments, FEW_ROWS, 4, CLUSTER_BLOCKS, 256, 4, 2),
                load(loader, gpu, size + "_by_5_" + type, arguments, FEW_ROWS, 5, CLUSTER_BLOCKS, 256, 3, 2),
                load(loader, gpu, size + "_by_6_" + type, arguments, FEW_ROWS, 6, CLUSTER_BLOCKS, 256, 3, 2),
                load(loader, gpu, size + "_by_8_" + type, arguments, FEW_ROWS, 8, CLUSTER_BLOCKS, 128, 5, 2));
    }

    /**
     * @param depth elements of a row that a stage holds
     * @param stages number of stages in shared memory
     */
    private static Product load(
            KernelSet.Loader loader,
            KernelSet.Gpu gpu,
            String name,
            int arguments,
            int rows,
            int warps,
            int cluster,
            int depth,
            int stages,
            int blocksAtOnce) {
        int sharedBytes =
                stages * (rows + warps * TILE_COLUMNS) * (depth + KernelSet.PADDING) * KernelSet.ELEMENT_BYTES;
        CudaKernel alone = loader.load("product_" + name, arguments, Math.max(sharedBytes, gpu.aloneBytes()));
        CudaKernel kernel = new CudaKernel(alone.name(), alone.address(), arguments, sharedBytes);
        return new Product(kernel, alone, rows, warps, cluster, blocksAtOnce);
    }

    /** The kernel for products of any sizes and addresses. */
    Product any() {
        return any;
    }

    /**
     * The kernel for a product, or none if the library's are faster.
     *
     * @param depth elements of a row of the input
     */
    Optional<Product> forRows(int rows, int columns, int depth) {
        if (sharesInput(rows, depth)) {
            return rows <= FEW_ROWS
                    ? Optional.of(best(shared16, columns))
                    : filling(columns).filter(kernel -> rows <= kernel.rows());
        }
        return isForOwnInput(rows, columns) ? Optional.of(few) : Optional.empty();
    }

    /** The kernel for a product that a gate follows, or none if the library's are faster. */
    Optional<Product> forGated(int rows, int columns, int depth) {
        if (sharesInput(rows, depth)) {
            return rows <= FEW_ROWS ? Optional.of(best(sharedGated, columns)) : Optional.empty();
        }
        return isForOwnInput(rows, columns) ? Optional.of(gated) : Optional.empty();
    }

    private boolean sharesInput(int rows, int depth) {
        return rows >= CLUSTER_ROWS_LEAST && depth % CLUSTER_DEPTH_STEP == 0 && !shared16.isEmpty();
    }

    /**
     * Whether the library's kernels are no faster. With outputs so wide that their tiles occupy the device the library
     * is faster, but costs the issuing thread twice as much.
     */
    private boolean isForOwnInput(int rows, int columns) {
        boolean wide = columns / WIDE_TILE_COLUMNS * FULL_PARTS >= multiprocessors * (FULL_PARTS - 1);
        return rows <= (wide ? ROWS_MOST_WIDE : FEW_ROWS);
    }

    /** If blocks would run in rounds, or leave multiprocessors idle, the library is faster. */
    private Optional<Product> filling(int columns) {
        for (Product kernel : shared32) {
            if (kernel.isNarrow(columns, multiprocessors) || kernel.fills(columns, multiprocessors)) {
                return Optional.of(kernel);
            }
        }
        return Optional.empty();
    }

    /**
     * Chooses the kernel with the fewest warps of which a multiprocessor needs only one block. Otherwise chooses the
     * one that spreads the columns most evenly, and among equals the widest, which reads the input least. It runs for
     * every product, so it only compares.
     */
    private Product best(List<Product> kernels, int columns) {
        Product best = kernels.getFirst();
        for (Product kernel : kernels) {
            if (kernel.isNarrow(columns, multiprocessors)) {
                return kernel;
            }
            if (kernel.tilesOfBusiest(columns, multiprocessors) <= best.tilesOfBusiest(columns, multiprocessors)) {
                best = kernel;
            }
        }
        return best;
    }
}
