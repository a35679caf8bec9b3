package io.weft.device.cuda;

import io.weft.device.ElementType;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The kernels for one element type. The numbers are the counts of their arguments in {@code src/main/cuda}. */
final class KernelSet {
    /** Largest head size of kernels that every GPU has. */
    static final int HEAD_SIZE_MOST = 256;

    /** Largest head size on GPUs whose blocks can have the memory of one such tile. */
    static final int LARGE_HEAD_SIZE_MOST = 512;

    private static final int ATTEND_ARGUMENTS = 22;
    private static final int PARTIALS_ARGUMENTS = 5;
    /** The largest head size of each variant of the attention kernels; multiples of {@link #VECTOR}. */
    private static final List<Integer> HEAD_SIZES = List.of(32, 64, 96, 128, 256);

    /** Elements of a 16-byte access. */
    static final int VECTOR = 8;

    /** Elements of padding after a row in shared memory, so that rows begin in different banks. */
    static final int PADDING = VECTOR;

    /** The bytes of an element, for both element types. */
    static final int ELEMENT_BYTES = 2;

    final CudaKernel embed;
    final CudaKernel layerNorm;
    final CudaKernel rmsNorm;
    final CudaKernel layerNormHeads;
    final CudaKernel rmsNormHeads;
    final CudaKernel layerNormParts;
    final CudaKernel rmsNormParts;
    final CudaKernel addLayerNorm;
    final CudaKernel addRmsNorm;
    final CudaKernel addScaled;
    final CudaKernel gate;
    final CudaKernel activate;
    final CudaKernel add;
    final CudaKernel rotate;
    final CudaKernel place;
    final CudaKernel capLogits;
    final CudaKernel chooseTokens;
    final CudaKernel fillRandom;
    final CudaKernel convertF32;
    final CudaKernel convertF16;
    final CudaKernel convertBf16;
    final CudaKernel toFloat;
    final CudaKernel gatherRows;
    final CudaKernel readHost;
    final ProductKernels products;
    final ExpertKernels experts;
    final QuantisedKernels quantised;
    final BlockKernels blocks;

    private final List<Attend> attend;
    private final Attend attendAny;
    private final Optional<Attend> attendLarge;

    /**
     * The attention kernels for head sizes up to a limit.
     *
     * @param headSizeMost the limit
     * @param few for spans of few rows
     * @param merge follows {@code few}
     * @param whole for spans of few rows that fill the device, for heads that leave room in shared memory
     * @param many for spans of many rows
     * @param manyQueryTiles query tiles that a block of {@code many} takes
     */
    record Attend(
            int headSizeMost,
            CudaKernel few,
            CudaKernel merge,
            Optional<CudaKernel> whole,
            CudaKernel many,
            int manyQueryTiles) {
        /** Heads larger than this leave room in shared memory for one tile a block. */
        private static final int SHARED_HEAD_SIZE_MOST = 128;

        /** Tiles of {@link #whole} in shared memory. */
        private static final int WHOLE_TILES = 3;

        /** The products of 16 queries with a tile's tokens. */
        private static final int EXCHANGE_BYTES =
                AttentionLaunch.TILE_QUERIES * AttentionLaunch.TILE_TOKENS * Float.BYTES;

        private static final int FEW_ARGUMENTS = ATTEND_ARGUMENTS + PARTIALS_ARGUMENTS;

        private static int tileBytes(int headSizeMost) {
            return 2 * AttentionLaunch.TILE_TOKENS * (headSizeMost + PADDING) * ELEMENT_BYTES;
        }

        /** The kernels for the largest heads, if a block has room for one of their tiles. */
        private static Optional<Attend> loadLarge(
                Loader loader, Gpu gpu, CudaKernel merge, int headSizeMost, String type) {
            int tileBytes = tileBytes(headSizeMost);
            int manyBytes = tileBytes + EXCHANGE_BYTES;
            String name = headSizeMost + "_" + type;
            return manyBytes > gpu.sharedBytesMost()
                    ? Optional.empty()
                    : Optional.of(new Attend(
                            headSizeMost,
                            loader.load("attend_few_" + name, FEW_ARGUMENTS, tileBytes),
                            merge,
                            Optional.empty(),
                            loader.load("attend_large_" + name, ATTEND_ARGUMENTS, manyBytes),
                            1));
        }

        private static Attend load(
                Loader loader, Gpu gpu, CudaKernel merge, int headSizeMost, String size, String type) {
            int tiles = headSizeMost > SHARED_HEAD_SIZE_MOST ? 1 : 2;
            int tileBytes = tileBytes(headSizeMost);
            int wholeBytes = WHOLE_TILES * tileBytes + EXCHANGE_BYTES;
            String whole = "attend_whole_" + size + "_" + type;
            return new Attend(
                    headSizeMost,
                    loader.load("attend_few_" + size + "_" + type, FEW_ARGUMENTS, tileBytes),
                    merge,
                    tiles > 1 && wholeBytes <= gpu.sharedBytesMost()
                            ? Optional.of(loader.load(whole, ATTEND_ARGUMENTS, wholeBytes))
                            : Optional.empty(),
                    loader.load("attend_many_" + size + "_" + type, ATTEND_ARGUMENTS, tiles * tileBytes),
                    AttentionLaunch.WARPS);
        }
    }

    /** Finds a kernel by name, number of arguments, and bytes of shared memory beyond its own. */
    @FunctionalInterface
    interface Loader {
        CudaKernel load(String name, int arguments, int sharedBytes);

        default CudaKernel load(String name, int arguments) {
            return load(name, arguments, 0);
        }
    }

    /**
     * The properties on which the choice of kernels depends.
     *
     * @param capability compute capability, as in 90
     * @param multiprocessors number of multiprocessors of the GPU
     * @param sharedBytesMost bytes of shared memory that a block can have
     */
    record Gpu(int capability, int multiprocessors, int sharedBytesMost) {
        /**
         * More than half of a multiprocessor's memory. Blocks that have it are alone of their kind: a kernel that
         * starts early meets multiprocessors with unequal room, and would put several blocks on some and none on
         * others.
         */
        int aloneBytes() {
            return sharedBytesMost / 2 + 1;
        }
    }

    KernelSet(Loader loader, ElementType elementType, Gpu gpu) {
        String type = elementType.name().toLowerCase(Locale.ROOT);
        embed = loader.load("embed_" + type, 12);
        layerNorm = loader.load("layer_norm_" + type, 8);
        rmsNorm = loader.load("rms_norm_" + type, 8);
        layerNormHeads = loader.load("layer_norm_heads_" + type, 13);
        rmsNormHeads = loader.load("rms_norm_heads_" + type, 13);
        layerNormParts = loader.load("layer_norm_parts_" + type, 11);
        rmsNormParts = loader.load("rms_norm_parts_" + type, 11);
        addLayerNorm = loader.load("add_layer_norm_" + type, 10);
        addRmsNorm = loader.load("add_rms_norm_" + type, 10);
        addScaled = loader.load("add_scaled_" + type, 6);
        gate = loader.load("gate_" + type, 6);
        activate = loader.load("activate_" + type, 4);
        add = loader.load("add_" + type, 4);
        rotate = loader.load("rotate_" + type, 14);
        place = loader.load("place_" + type, 19);
        capLogits = loader.load("cap_logits_" + type, 5);
        chooseTokens = loader.load("choose_tokens_" + type, 9);
        fillRandom = loader.load("fill_random_" + type, 5);
        convertF32 = loader.load("convert_f32_" + type, 3);
        convertF16 = loader.load("convert_f16_" + type, 3);
        convertBf16 = loader.load("convert_bf16_" + type, 3);
        toFloat = loader.load("to_float_" + type, 3);
        gatherRows = loader.load("gather_rows", 7);
        readHost = loader.load("read_host", 4);
        CudaKernel mergeFew = loader.load("merge_few_" + type, Attend.FEW_ARGUMENTS);
        products = new ProductKernels(loader, type, gpu);
        experts = new ExpertKernels(loader, elementType, gpu);
        quantised = new QuantisedKernels(loader, elementType, gpu);
        blocks = new BlockKernels(loader, elementType);
        List<Attend> sizes = new ArrayList<>();
        for (int headSize : HEAD_SIZES) {
            sizes.add(Attend.load(loader, gpu, mergeFew, headSize, Integer.toString(headSize), type));
        }
        attend = List.copyOf(sizes);
        attendAny = Attend.load(loader, gpu, mergeFew, HEAD_SIZE_MOST, "any", type);
        attendLarge = Attend.loadLarge(loader, gpu, mergeFew, LARGE_HEAD_SIZE_MOST, type);
    }

    /** The largest head size on this GPU. */
    int headSizeMost() {
        return attendLarge.isPresent() ? LARGE_HEAD_SIZE_MOST : HEAD_SIZE_MOST;
    }

    /**
     * The attention kernels for a head size.
     *
     * @param aligned whether all rows start at multiples of 16 bytes
     */
    Attend attend(int headSize, Alignment aligned) {
        if (headSize > headSizeMost()) {
            throw new IllegalArgumentException("head size is " + headSize + ", must be at most " + headSizeMost());
        }
        if (headSize > HEAD_SIZE_MOST) {
            if (aligned == Alignment.ELEMENTS || headSize % VECTOR != 0) {
                throw new IllegalArgumentException("head size is %d, must be a multiple of %d if it is above %d"
                        .formatted(headSize, VECTOR, HEAD_SIZE_MOST));
            }
            return attendLarge.orElseThrow();
        }
        if (aligned == Alignment.ELEMENTS || headSize % VECTOR != 0) {
            return attendAny;
        }
        return attend.stream()
                .filter(kernels -> headSize <= kernels.headSizeMost())
                .findFirst()
                .orElse(attendAny);
    }

    /** The alignment on which memory accesses may rely. */
    enum Alignment {
        /** Starts and lengths of all rows are multiples of 16 bytes. */
        VECTORS,
        /** Only elements are aligned. */
        ELEMENTS
    }
}
