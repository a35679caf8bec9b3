package io.weft.device.cuda;

/**
 * The kernels of {@code src/main/cuda/experts.cuh}, and the choice among their products by size. All of these add in
 * the same order, so a row has the same bits with each of them.
 */
final class ExpertKernels {
    /** Rows of a call in which blocks find the pairs of their expert by themselves. */
    static final int SLOT_ROWS = 16;
    /** Rows of the smallest tile. */
    static final int FEW_ROWS = 16;
    /** Bytes of the description of a tile. */
    static final int TILE_BYTES = 4 * Integer.BYTES;

    static final int SORT_THREADS = 1024;
    static final int ROUTE_THREADS = 128;
    static final int COMBINE_THREADS = 128;
    /** Columns of a row that a thread combines. */
    static final int COMBINED_COLUMNS = 4;

    private static final int WARP = 32;
    private static final int WARP_COLUMNS = 8;
    private static final int IN_ARGUMENTS = 16;
    private static final int OUT_ARGUMENTS = 12;

    final CudaKernel route;
    final CudaKernel sort;
    final CudaKernel combine;
    final CudaKernel addGated;

    private final Tile few;
    private final Tile any;
    private final Tile medium;
    private final Tile many;

    /**
     * The two products of one size of tile.
     *
     * @param in gates and the values that they gate
     * @param out the way back to the width of the model
     * @param rows pairs of a tile
     * @param columns columns of a tile
     * @param threads threads of a block
     */
    record Tile(CudaKernel in, CudaKernel out, int rows, int columns, int threads) {}

    ExpertKernels(KernelSet.Loader loader, String type) {
        route = loader.load("route_" + type, 7);
        sort = loader.load("sort_experts", 7);
        combine = loader.load("combine_experts_" + type, 10);
        addGated = loader.load("add_gated_" + type, 6);
        few = load(loader, "16_" + type, 1, 4, 1, 1, 128, 4);
        medium = load(loader, "64_" + type, 2, 4, 2, 4, 64, 4);
        many = load(loader, "128_" + type, 2, 4, 4, 4, 64, 3);
        any = load(loader, "any_" + type, 1, 4, 1, 1, 64, 3);
    }

    /**
     * @param rowWarps warps next to each other along the rows
     * @param columnWarps warps next to each other along the columns
     * @param rowTiles sixteens of rows of a warp
     * @param columnTiles eights of columns of a warp
     * @param depth elements of a row that a stage holds
     * @param stages number of stages in shared memory
     */
    private static Tile load(
            KernelSet.Loader loader,
            String name,
            int rowWarps,
            int columnWarps,
            int rowTiles,
            int columnTiles,
            int depth,
            int stages) {
        int rows = FEW_ROWS * rowWarps * rowTiles;
        int columns = WARP_COLUMNS * columnWarps * columnTiles;
        int sharedBytes = stages * (rows + columns) * (depth + KernelSet.PADDING) * KernelSet.ELEMENT_BYTES;
        return new Tile(
                loader.load("experts_in_" + name, IN_ARGUMENTS, sharedBytes),
                loader.load("experts_out_" + name, OUT_ARGUMENTS, sharedBytes),
                rows,
                columns,
                WARP * rowWarps * columnWarps);
    }

    /** The products for sizes and addresses that are no multiples of 16 bytes. */
    Tile any() {
        return any;
    }

    /** The products for {@code pairs} pairs: experts that many rows chose get large tiles. */
    Tile forPairs(long pairs, int experts) {
        if (pairs <= (long) FEW_ROWS * experts) {
            return few;
        }
        return pairs <= (long) medium.rows() * experts ? medium : many;
    }

    /** No fewer than the tiles of {@code tileRows} pairs. Each expert may have one that is not full. */
    static long tiles(long pairs, int experts, int tileRows) {
        return pairs / tileRows + Math.min(pairs, experts);
    }
}
