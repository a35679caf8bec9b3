package io.weft.device.cuda;

import io.weft.device.ElementType;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/** The kernels for quantised weights, by kind of code. */
final class QuantisedKernels {
    /** The most rows whose products read the codes; more rows share elements that are made once. */
    static final int ROWS_MOST = 64;

    /** The most rows of the kernels for gates, and for products of a sequence or a few. */
    static final int FEW_ROWS = 16;

    private static final int WARP = 32;
    private static final int WARPS_MOST = 16;
    private static final int WORD_BYTES = 4 * Integer.BYTES;
    private static final int ARGUMENTS = 15;
    private static final int GATED_ARGUMENTS = 10;
    private static final int UNPACK_ARGUMENTS = 6;
    private static final int PACK_ARGUMENTS = 8;
    private static final int GROUP_COLUMNS_LEAST = 32;

    private final Map<WeightCode, Codes> codes = new EnumMap<>(WeightCode.class);
    private final Codes ownInt4;
    private final ElementType elementType;
    private final CudaKernel pack4;
    private final CudaKernel pack8;
    private final CudaKernel packScales;

    /**
     * The kernels of a kind of code.
     *
     * @param few product of one matrix, or of two with one input, for {@value #FEW_ROWS} rows
     * @param turns the same for very few rows and few columns
     * @param many the same for {@value #ROWS_MOST} rows
     * @param gated product of gates and the values that they gate
     * @param unpack makes elements
     */
    record Codes(Product few, Turns turns, Product many, Product gated, CudaKernel unpack) {
        /** How to launch a product. */
        Launch launch(int tiles, int rows, int depth, int multiprocessors) {
            return turns.launch(tiles, rows, depth, multiprocessors)
                    .orElseGet(() -> (rows <= FEW_ROWS ? few : many).launch(tiles, multiprocessors));
        }
    }

    /** A kernel, with its memory, and its grid. */
    record Launch(CudaKernel kernel, int blocks, int threads) {}

    /**
     * A product's kernel, whose blocks have as many warps as suits the matrix.
     *
     * @param byWarps the kernel with the memory that blocks of 1, 2, … warps need
     */
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    record Product(CudaKernel[] byWarps) {
        /**
         * Warps of a block for so many tiles: as many on each multiprocessor, in as few rounds as there is memory for.
         */
        int warps(int tiles, int multiprocessors) {
            int rounds = Math.ceilDiv(tiles, multiprocessors * byWarps.length);
            return Math.ceilDiv(tiles, multiprocessors * rounds);
        }

        CudaKernel kernel(int warps) {
            return byWarps[warps - 1];
        }

        Launch launch(int tiles, int multiprocessors) {
            int warps = warps(tiles, multiprocessors);
            return new Launch(kernel(warps), Math.ceilDiv(tiles, warps), WARP * warps);
        }
    }

    /**
     * A product's kernel in whose blocks two warps take turns with each tile.
     *
     * @param kernel the kernel with the memory of the largest block
     * @param tileBytes memory of a tile
     * @param aloneBytes more than half of a multiprocessor's memory
     */
    record Turns(CudaKernel kernel, int tileBytes, int aloneBytes) {
        /** Each tile has two of the 15 barriers of warps. */
        static final int TILES_MOST = 7;

        /** With more rows, the input takes longer to arrive than this gains. */
        static final int ROWS_MOST = 4;

        static final int DEPTH = 256;
        static final int STAGES = 6;
        static final int WARPS = 2;

        /** Empty if the product has too many columns or rows. */
        Optional<Launch> launch(int tiles, int rows, int depth, int multiprocessors) {
            int tilesOfBlock = Math.ceilDiv(tiles, multiprocessors);
            long sharedBytes = (long) tilesOfBlock * tileBytes + rows * rowBytes(depth);
            if (rows > ROWS_MOST || tilesOfBlock > TILES_MOST || sharedBytes > kernel.sharedBytes()) {
                return Optional.empty();
            }
            CudaKernel launched = new CudaKernel(
                    kernel.name(), kernel.address(), kernel.arguments(), (int) Math.max(aloneBytes, sharedBytes));
            return Optional.of(new Launch(launched, Math.ceilDiv(tiles, tilesOfBlock), WARP * WARPS * tilesOfBlock));
        }

        /** A row of the input in whole turns, as an odd number of 16-byte units. */
        static long rowBytes(int depth) {
            long elements = (long) Math.ceilDiv(depth, DEPTH) * DEPTH;
            return (elements / KernelSet.VECTOR | 1) * KernelSet.VECTOR * KernelSet.ELEMENT_BYTES;
        }
    }

    QuantisedKernels(KernelSet.Loader loader, ElementType elementType, KernelSet.Gpu gpu) {
        this.elementType = elementType;
        String type = elementType.name().toLowerCase(Locale.ROOT);
        codes.put(WeightCode.FP8_E4M3, load(loader, gpu, "fp8_" + type, WeightCode.FP8_E4M3));
        codes.put(WeightCode.INT8, load(loader, gpu, "int8_" + type, WeightCode.INT8));
        codes.put(WeightCode.INT4, load(loader, gpu, "int4_" + type, WeightCode.INT4));
        codes.put(WeightCode.FP4_E2M1, load(loader, gpu, "fp4_" + type, WeightCode.FP4_E2M1));
        ownInt4 = load(loader, gpu, "int4_own_" + type, WeightCode.INT4);
        pack4 = loader.load("pack_codes_4", PACK_ARGUMENTS);
        pack8 = loader.load("pack_codes_8", PACK_ARGUMENTS);
        packScales = loader.load("pack_scales", PACK_ARGUMENTS);
    }

    private static Codes load(KernelSet.Loader loader, KernelSet.Gpu gpu, String name, WeightCode code) {
        boolean nibbles = code.bits() < Byte.SIZE;
        return new Codes(
                load(loader, gpu, "quantised_" + name, ARGUMENTS, code, FEW_ROWS, 1, 256, nibbles ? 8 : 6),
                loadTurns(loader, gpu, "quantised_turns_" + name, code),
                load(loader, gpu, "quantised_64_" + name, ARGUMENTS, code, ROWS_MOST, 1, 128, 5),
                load(
                        loader,
                        gpu,
                        "quantised_gated_" + name,
                        GATED_ARGUMENTS,
                        code,
                        FEW_ROWS,
                        2,
                        nibbles ? 256 : 128,
                        nibbles ? 4 : 6),
                loader.load("unpack_" + name, UNPACK_ARGUMENTS));
    }

    /**
     * @param rows rows of the input
     * @param tiles tiles of a warp
     * @param depth elements of a row that a stage holds
     * @param stages stages in shared memory
     */
    private static Product load(
            KernelSet.Loader loader,
            KernelSet.Gpu gpu,
            String name,
            int arguments,
            WeightCode code,
            int rows,
            int tiles,
            int depth,
            int stages) {
        int inputBytes = stages * rows * (depth + KernelSet.PADDING) * KernelSet.ELEMENT_BYTES;
        int warpBytes = stages * tiles * stageBytes(code, depth);
        int warpsMost = Math.clamp((gpu.sharedBytesMost() - inputBytes) / warpBytes, 1, WARPS_MOST);
        int aloneBytes = gpu.aloneBytes();
        IntUnaryOperator sharedBytes = warps -> Math.max(aloneBytes, inputBytes + warps * warpBytes);
        CudaKernel most = loader.load(name, arguments, sharedBytes.applyAsInt(warpsMost));
        return new Product(IntStream.rangeClosed(1, warpsMost)
                .mapToObj(
                        warps -> new CudaKernel(most.name(), most.address(), arguments, sharedBytes.applyAsInt(warps)))
                .toArray(CudaKernel[]::new));
    }

    private static Turns loadTurns(KernelSet.Loader loader, KernelSet.Gpu gpu, String name, WeightCode code) {
        int exchangeBytes = WARP * WORD_BYTES;
        int tileBytes = Turns.WARPS * Turns.STAGES * stageBytes(code, Turns.DEPTH) + exchangeBytes;
        return new Turns(loader.load(name, ARGUMENTS, gpu.sharedBytesMost()), tileBytes, gpu.aloneBytes());
    }

    /** Bytes of a tile's codes and scales in a stage. */
    private static int stageBytes(WeightCode code, int depth) {
        int codeBytes = QuantisedMemory.TILE_ROWS * depth * code.bits() / Byte.SIZE;
        return codeBytes + QuantisedMemory.TILE_ROWS * depth / GROUP_COLUMNS_LEAST * Integer.BYTES;
    }

    /** The kernels that read an encoding. */
    Codes of(WeightEncoding encoding) {
        return encoding.code() == WeightCode.INT4 && encoding.scaleType() == elementType
                ? ownInt4
                : Objects.requireNonNull(codes.get(encoding.code()));
    }

    CudaKernel packCodes(WeightCode code) {
        return code.bits() < Byte.SIZE ? pack4 : pack8;
    }

    CudaKernel packScales() {
        return packScales;
    }
}
