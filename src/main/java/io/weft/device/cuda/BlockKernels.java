package io.weft.device.cuda;

import io.weft.device.BlockCode;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.PackedLayout;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;

/** The kernels of {@code src/main/cuda/blocks.cuh}, and how many blocks of threads they take. */
final class BlockKernels {
    private static final int ENCODE_PACKED_THREADS = 512;
    private static final int THREADS = 256;
    private static final int WARP = 32;
    private static final int GRID_MOST = 65_535;
    /** Octets that a thread decodes with scales. */
    private static final int SCALED_OCTETS = 4;
    /** Octets of channels of K for a block of threads. */
    private static final int INT4_COLUMNS = 32;
    /** Tokens that a thread decodes from four bits at once. */
    private static final int INT4_TOKENS = 4;

    private static final int PACKED_ENCODE_ARGUMENTS = 10;
    private static final int PACKED_DECODE_ARGUMENTS = 9;
    private static final int SCALED_ARGUMENTS = 10;
    private static final int INT4_ENCODE_ARGUMENTS = 11;

    private final ElementType elementType;
    private final Map<BlockCode, CudaKernel> encode = new EnumMap<>(BlockCode.class);
    private final Map<BlockCode, CudaKernel> decode = new EnumMap<>(BlockCode.class);

    BlockKernels(KernelSet.Loader loader, ElementType elementType) {
        this.elementType = elementType;
        for (BlockCode code : BlockCode.values()) {
            String name = (code.name() + "_" + elementType.name()).toLowerCase(Locale.ROOT);
            encode.put(
                    code,
                    loader.load(
                            "encode_" + name,
                            switch (code) {
                                case PACKED -> PACKED_ENCODE_ARGUMENTS;
                                case FP8, INT8 -> SCALED_ARGUMENTS;
                                case INT4 -> INT4_ENCODE_ARGUMENTS;
                            }));
            decode.put(
                    code, loader.load("decode_" + name, code.isExact() ? PACKED_DECODE_ARGUMENTS : SCALED_ARGUMENTS));
        }
    }

    private void require(BlockValues values) {
        if (values.type() != elementType) {
            throw new IllegalArgumentException(
                    "values are of type %s, must be %s".formatted(values.type(), elementType));
        }
    }

    void encode(
            CudaStream stream,
            ArgumentBlock arguments,
            BlockCode code,
            BlockValues values,
            BlockPlaces from,
            BlockPlaces to,
            DeviceBuffer misfits,
            int blocks,
            long faults) {
        require(values);
        add(add(arguments, from), to);
        CudaKernel kernel = kernel(encode, code);
        switch (code) {
            case PACKED -> {
                arguments
                        .add(misfits.address())
                        .add(values.tokens())
                        .add(values.width())
                        .add(faults);
                stream.launch(kernel, blocks, 1, 1, ENCODE_PACKED_THREADS, arguments);
            }
            case FP8, INT8 -> {
                shape(arguments, values).add(faults);
                int parts = headParts(values, values.tokens() * values.heads());
                stream.launch(kernel, blocks, atMost(parts), 1, THREADS, arguments);
            }
            case INT4 -> {
                int keyParts = Math.ceilDiv(values.halfWidth(), KernelSet.VECTOR * INT4_COLUMNS);
                int valueParts = headParts(values, values.tokens() * values.heads() / 2);
                shape(arguments, values).add(keyParts).add(faults);
                stream.launch(kernel, blocks, keyParts + atMost(valueParts), 1, THREADS, arguments);
            }
        }
    }

    void decode(
            CudaStream stream,
            ArgumentBlock arguments,
            BlockCode code,
            BlockValues values,
            BlockPlaces from,
            BlockPlaces to,
            int blocks,
            long faults) {
        require(values);
        add(add(arguments, from), to);
        CudaKernel kernel = kernel(decode, code);
        switch (code) {
            case PACKED -> {
                arguments.add(values.tokens()).add(values.width()).add(faults);
                int units = new PackedLayout(values).units();
                stream.launch(kernel, blocks, atMost(Math.ceilDiv(units, THREADS / WARP)), 1, THREADS, arguments);
            }
            case FP8, INT8 -> {
                shape(arguments, values).add(faults);
                int parts = Math.ceilDiv(values.count(), KernelSet.VECTOR * SCALED_OCTETS * THREADS);
                stream.launch(kernel, blocks, atMost(parts), 1, THREADS, arguments);
            }
            case INT4 -> {
                shape(arguments, values).add(faults);
                int octets = Math.ceilDiv(values.width(), KernelSet.VECTOR);
                int columns = Math.min(octets, THREADS);
                int tokenParts = Math.ceilDiv(values.tokens(), THREADS / columns * INT4_TOKENS);
                stream.launch(kernel, blocks, Math.ceilDiv(octets, columns), atMost(tokenParts), THREADS, arguments);
            }
        }
    }

    private static CudaKernel kernel(Map<BlockCode, CudaKernel> kernels, BlockCode code) {
        CudaKernel kernel = kernels.get(code);
        if (kernel == null) {
            throw new IllegalStateException("no kernel of " + code);
        }
        return kernel;
    }

    private static ArgumentBlock add(ArgumentBlock arguments, BlockPlaces places) {
        return arguments
                .add(places.base().address())
                .add(places.base().bytes())
                .add(places.offsets().address());
    }

    private static ArgumentBlock shape(ArgumentBlock arguments, BlockValues values) {
        return arguments.add(values.tokens()).add(values.width()).add(values.headSize());
    }

    /** Blocks of threads in which each head has a power of two of lanes, one for each of its octets or a warp. */
    private static int headParts(BlockValues values, int heads) {
        int octets = Math.min(Math.ceilDiv(values.headSize(), KernelSet.VECTOR), WARP);
        int lanes = octets == 1 ? 1 : Integer.highestOneBit(octets - 1) * 2;
        return Math.ceilDiv(heads, THREADS / lanes);
    }

    /** Blocks of threads beyond this stride by the size of the grid. */
    private static int atMost(int parts) {
        return Math.min(parts, GRID_MOST);
    }
}
