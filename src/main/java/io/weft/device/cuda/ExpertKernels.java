package io.weft.device.cuda;

import io.weft.device.ElementType;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * The kernels of {@code src/main/cuda/experts.cuh} and {@code quantised_experts.cuh}, and the choice among their
 * products by size. All of these add in the same order, so a row has the same bits with each of them.
 */
final class ExpertKernels {
    /** Rows of a call in which blocks find the pairs of their expert by themselves. */
    static final int SLOT_ROWS = 16;
    /** Pairs of the smallest tile. */
    static final int FEW_PAIRS = 16;

    static final int MEDIUM_PAIRS = 64;
    static final int MANY_PAIRS = 128;
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
    private static final int QUANTISED_IN_ARGUMENTS = 18;
    private static final int QUANTISED_OUT_ARGUMENTS = 14;
    private static final int GROUP_COLUMNS_LEAST = 32;

    final CudaKernel route;
    final CudaKernel sort;
    final CudaKernel combine;
    final CudaKernel addGated;

    private final ElementType elementType;
    private final Form elements;
    private final Form any;
    private final Map<WeightCode, Form> codes = new EnumMap<>(WeightCode.class);
    private final Form ownInt4;

    /**
     * A product's kernel.
     *
     * @param pairs pairs of a block
     * @param width elements of a pair that a block makes: of what the gates let through, or of the result
     * @param threads threads of a block
     */
    record Product(CudaKernel kernel, int pairs, int width, int threads) {}

    /**
     * The products with weights in one form, for tiles of different sizes, from the smallest up. Only those for which a
     * block has room in shared memory.
     *
     * @param in gates and the values that they gate
     * @param out the way back to the width of the model
     */
    record Form(List<Product> in, List<Product> out) {
        Product in(int pairs) {
            return ofPairs(in, pairs);
        }

        Product out(int pairs) {
            return ofPairs(out, pairs);
        }

        private static Product ofPairs(List<Product> products, int pairs) {
            Product found = products.getFirst();
            for (Product product : products) {
                if (product.pairs() <= pairs) {
                    found = product;
                }
            }
            return found;
        }
    }

    ExpertKernels(KernelSet.Loader loader, ElementType elementType, KernelSet.Gpu gpu) {
        this.elementType = elementType;
        String type = elementType.name().toLowerCase(Locale.ROOT);
        route = loader.load("route_" + type, 7);
        sort = loader.load("sort_experts", 7);
        combine = loader.load("combine_experts_" + type, 10);
        addGated = loader.load("add_gated_" + type, 6);
        Form few = load(loader, gpu, "16_" + type, 1, 4, 1, 1, 128, 4);
        Form medium = load(loader, gpu, "64_" + type, 2, 4, 2, 4, 64, 3);
        Form many = load(loader, gpu, "128_" + type, 2, 4, 4, 4, 64, 3);
        elements = together(few, medium, many);
        any = load(loader, gpu, "any_" + type, 1, 4, 1, 1, 64, 3);
        codes.put(WeightCode.FP8_E4M3, loadCodes(loader, gpu, "fp8_" + type, WeightCode.FP8_E4M3));
        codes.put(WeightCode.INT8, loadCodes(loader, gpu, "int8_" + type, WeightCode.INT8));
        codes.put(WeightCode.INT4, loadCodes(loader, gpu, "int4_" + type, WeightCode.INT4));
        codes.put(WeightCode.FP4_E2M1, loadCodes(loader, gpu, "fp4_" + type, WeightCode.FP4_E2M1));
        ownInt4 = loadCodes(loader, gpu, "int4_own_" + type, WeightCode.INT4);
    }

    private static Form together(Form... forms) {
        List<Form> all = List.of(forms);
        return new Form(
                all.stream().flatMap(form -> form.in().stream()).toList(),
                all.stream().flatMap(form -> form.out().stream()).toList());
    }

    /**
     * @param rowWarps warps next to each other along the rows
     * @param columnWarps warps next to each other along the columns
     * @param rowTiles sixteens of rows of a warp
     * @param columnTiles eights of columns of a warp
     * @param depth elements of a row that a stage holds
     * @param stages number of stages in shared memory
     */
    private static Form load(
            KernelSet.Loader loader,
            KernelSet.Gpu gpu,
            String name,
            int rowWarps,
            int columnWarps,
            int rowTiles,
            int columnTiles,
            int depth,
            int stages) {
        int pairs = FEW_PAIRS * rowWarps * rowTiles;
        int columns = WARP_COLUMNS * columnWarps * columnTiles;
        int sharedBytes = stages * (pairs + columns) * (depth + KernelSet.PADDING) * KernelSet.ELEMENT_BYTES;
        if (!fits(gpu, pairs, sharedBytes)) {
            return new Form(List.of(), List.of());
        }
        int threads = WARP * rowWarps * columnWarps;
        CudaKernel in = loader.load("experts_in_" + name, IN_ARGUMENTS, sharedBytes);
        CudaKernel out = loader.load("experts_out_" + name, OUT_ARGUMENTS, sharedBytes);
        // Of the columns on the way in, half are gates.
        return new Form(
                List.of(new Product(in, pairs, columns / 2, threads)),
                List.of(new Product(out, pairs, columns, threads)));
    }

    private static Form loadCodes(KernelSet.Loader loader, KernelSet.Gpu gpu, String name, WeightCode code) {
        boolean nibbles = code.bits() < Byte.SIZE;
        return together(
                loadCodes(loader, gpu, "16_" + name, code, 4, 1, 1, 1, nibbles ? 256 : 128, 4),
                loadCodes(loader, gpu, "64_" + name, code, 8, 4, 2, 4, nibbles ? 128 : 64, 3));
    }

    /**
     * @param rowTiles sixteens of rows of a block
     * @param paired tiles of gates of a warp, and of the values that they gate
     * @param outTiles tiles of a warp on the way back
     */
    private static Form loadCodes(
            KernelSet.Loader loader,
            KernelSet.Gpu gpu,
            String name,
            WeightCode code,
            int warps,
            int rowTiles,
            int paired,
            int outTiles,
            int depth,
            int stages) {
        int pairs = FEW_PAIRS * rowTiles;
        int inputBytes = stages * pairs * (depth + KernelSet.PADDING) * KernelSet.ELEMENT_BYTES;
        int tileBytes = QuantisedMemory.TILE_ROWS
                * (depth * code.bits() / Byte.SIZE + depth / GROUP_COLUMNS_LEAST * Integer.BYTES);
        int warpTileBytes = stages * warps * tileBytes;
        if (!fits(gpu, pairs, inputBytes + Math.max(2 * paired, outTiles) * warpTileBytes)) {
            return new Form(List.of(), List.of());
        }
        CudaKernel in = loader.load(
                "quantised_experts_in_" + name, QUANTISED_IN_ARGUMENTS, inputBytes + 2 * paired * warpTileBytes);
        CudaKernel out = loader.load(
                "quantised_experts_out_" + name, QUANTISED_OUT_ARGUMENTS, inputBytes + outTiles * warpTileBytes);
        int threads = WARP * warps;
        int tileColumns = warps * QuantisedMemory.TILE_ROWS;
        return new Form(
                List.of(new Product(in, pairs, paired * tileColumns, threads)),
                List.of(new Product(out, pairs, outTiles * tileColumns, threads)));
    }

    /** Whether a block has room for its stages, and for the numbers of its pairs. */
    private static boolean fits(KernelSet.Gpu gpu, int pairs, int sharedBytes) {
        return sharedBytes + pairs * Integer.BYTES <= gpu.sharedBytesMost();
    }

    /** The products for sizes and addresses that are no multiples of 16 bytes, in tiles of {@link #FEW_PAIRS}. */
    Form any() {
        return any;
    }

    /** The products that read weights. */
    Form of(Optional<QuantisedMemory> quantised) {
        if (quantised.isEmpty()) {
            return elements;
        }
        WeightEncoding encoding = quantised.get().encoding();
        return encoding.code() == WeightCode.INT4 && encoding.scaleType() == elementType
                ? ownInt4
                : Objects.requireNonNull(codes.get(encoding.code()));
    }

    /** Pairs of a tile for so many in all: experts that many rows chose get large tiles. */
    int tilePairs(long pairs, CudaExperts experts) {
        int count = experts.shape().count();
        int wanted = MANY_PAIRS;
        if (pairs <= (long) MEDIUM_PAIRS * count) {
            wanted = pairs <= (long) FEW_PAIRS * count ? FEW_PAIRS : MEDIUM_PAIRS;
        }
        return Math.min(
                of(experts.gateUp().quantised()).in(wanted).pairs(),
                of(experts.down().quantised()).out(wanted).pairs());
    }

    /** No fewer than the tiles of {@code tilePairs} pairs. Each expert may have one that is not full. */
    static long tiles(long pairs, int experts, int tilePairs) {
        return pairs / tilePairs + Math.min(pairs, experts);
    }
}
