package io.weft.device.cuda;

import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.HostBuffer;
import io.weft.device.QuantisedTensor;
import io.weft.device.RandomCodes;
import io.weft.device.RandomTensor;
import io.weft.device.StridedView;
import io.weft.device.Tensor;
import io.weft.device.TensorView;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.stream.IntStream;

/**
 * Loads weights into device memory through two pinned buffers: one is filled while the other crosses the link. If the
 * file has another element type, the device converts the weights.
 */
final class WeightLoader {
    /** The size of one buffer. */
    static final long BUFFER_BYTES = 16L << 20;

    private static final int BUFFERS = 2;
    /** The bytes that one thread copies at a time: few, so that many threads share a buffer. */
    private static final long PIECE_BYTES = 512L << 10;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    /** Rows of a file's form that share cache lines, and words. */
    private static final int ROWS_TOGETHER = 32;

    private static final int THREADS = 256;
    private static final int BLOCKS_MOST = 4096;

    private final CudaContext context;
    private final KernelSet kernels;
    private final ElementType elementType;
    private final CudaStream stream;
    private final HostBuffer pinned;
    private final DeviceBuffer unconverted;
    private final CudaEvent[] free = new CudaEvent[BUFFERS];
    private int turn;

    /** Bytes of pinned memory, and of device memory, that the buffers take. */
    static long buffersBytes() {
        return BUFFERS * BUFFER_BYTES;
    }

    /**
     * @param pinned {@link #buffersBytes} of host memory
     * @param unconverted the same amount of device memory
     * @param firstFree an event that nobody else uses
     * @param secondFree another such event
     */
    WeightLoader(
            CudaContext context,
            KernelSet kernels,
            ElementType elementType,
            CudaStream stream,
            HostBuffer pinned,
            DeviceBuffer unconverted,
            CudaEvent firstFree,
            CudaEvent secondFree) {
        this.context = context;
        this.kernels = kernels;
        this.elementType = elementType;
        this.stream = stream;
        this.pinned = pinned;
        this.unconverted = unconverted;
        this.free[0] = firstFree;
        this.free[1] = secondFree;
    }

    /** Writes a tensor to {@code to} in the device's element type; it is there once the stream has run. */
    void load(Tensor tensor, long to) {
        switch (tensor) {
            case TensorView view ->
                upload(view, view.type(), to, (at, buffer) -> copy(view.data().asSlice(at, buffer.byteSize()), buffer));
            case StridedView view -> upload(view, view.source().type(), to, (at, buffer) -> gather(view, at, buffer));
            case RandomTensor random -> fill(random, to);
            case QuantisedTensor quantised -> uploadElements(quantised, to);
        }
    }

    /**
     * Writes a quantised tensor's codes and scales to their places.
     *
     * @param firstRow row of the matrix that the tensor's first row is
     */
    void load(QuantisedTensor tensor, QuantisedMemory to, int firstRow) {
        WeightEncoding encoding = tensor.encoding();
        int columns = tensor.columns();
        if (tensor.source() instanceof RandomCodes random) {
            long seed = random.seed() + (long) (tensor.firstRow() - firstRow) * columns;
            packCodes(encoding, 0, seed, to.codes(), firstRow, tensor.rows(), columns);
        } else {
            inPieces(
                    tensor,
                    encoding.rowBytes(columns),
                    (from, rows, segment) -> tensor.source().codes(from, rows, segment),
                    (raw, row, rows) ->
                            packCodes(encoding, raw.address(), 0, to.codes(), firstRow + row, rows, columns));
        }
        int groups = encoding.groups(columns);
        inPieces(
                tensor,
                (long) groups * Float.BYTES,
                (from, rows, segment) -> tensor.source().scales(from, rows, segment),
                (raw, row, rows) -> packScales(to, raw.address(), 0, firstRow + row, rows, groups));
        if (encoding.zero() == WeightEncoding.Zero.GROUP) {
            inPieces(
                    tensor,
                    groups,
                    (from, rows, segment) -> tensor.source().zeros(from, rows, segment),
                    (raw, row, rows) -> packScales(to, 0, raw.address(), firstRow + row, rows, groups));
        }
    }

    /** Writes rows of a source, counted from its first, to host memory. */
    @FunctionalInterface
    private interface ReadRows {
        void read(int from, int rows, MemorySegment to);
    }

    /** Uses rows of a tensor that are in device memory. */
    @FunctionalInterface
    private interface UseRows {
        void use(DeviceBuffer raw, int row, int rows);
    }

    /**
     * Brings a tensor's rows to device memory, as many at a time as a buffer holds. Several threads read them, each a
     * part of its own.
     */
    private void inPieces(QuantisedTensor tensor, long rowBytes, ReadRows read, UseRows use) {
        int rowsMost = (int) Math.max(1, BUFFER_BYTES / rowBytes / ROWS_TOGETHER * ROWS_TOGETHER);
        for (int row = 0; row < tensor.rows(); row += rowsMost) {
            int first = row;
            int rows = Math.min(rowsMost, tensor.rows() - row);
            HostBuffer buffer = nextBuffer(rows * rowBytes);
            read(tensor.firstRow() + first, rows, rowBytes, buffer.segment(), read);
            DeviceBuffer raw = unconverted.slice(turn * BUFFER_BYTES, rows * rowBytes);
            stream.copyToDevice(buffer, raw);
            use.use(raw, first, rows);
            stream.record(free[turn]);
        }
    }

    private static void read(int from, int rows, long rowBytes, MemorySegment to, ReadRows read) {
        int pieceRows = (int) Math.max(ROWS_TOGETHER, PIECE_BYTES / rowBytes / ROWS_TOGETHER * ROWS_TOGETHER);
        IntStream.range(0, Math.ceilDiv(rows, pieceRows)).parallel().forEach(piece -> {
            int row = piece * pieceRows;
            int count = Math.min(pieceRows, rows - row);
            read.read(from + row, count, to.asSlice(row * rowBytes, count * rowBytes));
        });
    }

    /** @param raw (rows, bytes of a row); 0 for random codes */
    private void packCodes(WeightEncoding encoding, long raw, long seed, long to, int row, int rows, int columns) {
        if (rows == 0 || !stream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(raw)
                .add(encoding.rowBytes(columns))
                .add(seed)
                .add(encoding.code() == WeightCode.FP8_E4M3 ? 1 : 0)
                .add(to)
                .add(row)
                .add(rows)
                .add(columns);
        CudaKernel kernel = kernels.quantised.packCodes(encoding.code());
        stream.launch(kernel, blocks(rows * encoding.rowBytes(columns) / Integer.BYTES + 1), 1, 1, THREADS, arguments);
    }

    /**
     * @param scales (rows, groups) fp32, or 0
     * @param zeros (rows, groups) bytes, if there are no scales
     */
    private void packScales(QuantisedMemory to, long scales, long zeros, int row, int rows, int groups) {
        if (rows == 0 || !stream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(scales)
                .add(zeros)
                .add(to.encoding().code().middle())
                .add(to.scaleType())
                .add(to.scales())
                .add(row)
                .add(rows)
                .add(groups);
        stream.launch(kernels.quantised.packScales(), blocks((long) rows * groups), 1, 1, THREADS, arguments);
    }

    /** Writes elements, for a matrix whose form no kernel reads. */
    private void uploadElements(QuantisedTensor tensor, long to) {
        long rowBytes = (long) tensor.columns() * Float.BYTES;
        QuantisedTensor whole = new QuantisedTensor(
                tensor.name(), tensor.firstRow() + tensor.rows(), tensor.columns(), tensor.encoding(), tensor.source());
        inPieces(tensor, rowBytes, whole::dequantise, (raw, row, rows) -> {
            long target = to + (long) row * tensor.columns() * elementType.bytes();
            convert(ElementType.F32, raw.address(), target, (long) rows * tensor.columns());
        });
    }

    private void fill(RandomTensor tensor, long to) {
        long count = tensor.elements();
        if (count == 0 || !stream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(to)
                .add(count)
                .add(tensor.seed())
                .add(tensor.centre())
                .add(tensor.scale());
        stream.launch(kernels.fillRandom, blocks(count), 1, 1, THREADS, arguments);
    }

    /** Writes the bytes of a tensor, as a file has them, to a buffer. */
    @FunctionalInterface
    private interface Source {
        /** @param at the first byte of the tensor to write; the buffer's length says how many */
        void write(long at, MemorySegment buffer);
    }

    private void upload(Tensor tensor, ElementType type, long to, Source source) {
        int fileBytes = type.bytes();
        long bytes = tensor.elements() * fileBytes;
        for (long done = 0; done < bytes; done += BUFFER_BYTES) {
            long part = Math.min(BUFFER_BYTES, bytes - done);
            HostBuffer buffer = nextBuffer(part);
            source.write(done, buffer.segment());
            long elements = part / fileBytes;
            long target = to + done / fileBytes * elementType.bytes();
            if (type == elementType) {
                stream.copyToDevice(buffer, new DeviceBuffer(target, part));
            } else {
                DeviceBuffer raw = unconverted.slice(turn * BUFFER_BYTES, part);
                stream.copyToDevice(buffer, raw);
                convert(type, raw.address(), target, elements);
            }
            stream.record(free[turn]);
        }
    }

    /** Writes fp32 values without conversion. */
    void loadFloats(float[] values, long to) {
        for (int done = 0; done < values.length; ) {
            int part = (int) Math.min(BUFFER_BYTES / Float.BYTES, values.length - done);
            HostBuffer buffer = nextBuffer((long) part * Float.BYTES);
            MemorySegment.copy(values, done, buffer.segment(), ValueLayout.JAVA_FLOAT, 0, part);
            stream.copyToDevice(buffer, new DeviceBuffer(to + (long) done * Float.BYTES, buffer.bytes()));
            stream.record(free[turn]);
            done += part;
        }
    }

    /** The other buffer, after its last contents have been read. */
    private HostBuffer nextBuffer(long bytes) {
        turn = (turn + 1) % BUFFERS;
        free[turn].join();
        return pinned.slice(turn * BUFFER_BYTES, bytes);
    }

    private static void copy(MemorySegment from, MemorySegment to) {
        int pieces = (int) Math.ceilDiv(from.byteSize(), PIECE_BYTES);
        IntStream.range(0, pieces).parallel().forEach(piece -> {
            long at = piece * PIECE_BYTES;
            MemorySegment.copy(from, at, to, at, Math.min(PIECE_BYTES, from.byteSize() - at));
        });
    }

    private static void gather(StridedView tensor, long at, MemorySegment to) {
        ElementType type = tensor.source().type();
        MemorySegment from = tensor.source().data();
        long first = at / type.bytes();
        long count = to.byteSize() / type.bytes();
        long pieceElements = PIECE_BYTES / type.bytes();
        int pieces = (int) Math.ceilDiv(count, pieceElements);
        IntStream.range(0, pieces).parallel().forEach(piece -> {
            long end = Math.min(count, (piece + 1) * pieceElements);
            for (long i = piece * pieceElements; i < end; i++) {
                long source = tensor.sourceIndex(first + i);
                switch (type) {
                    case F32 -> to.setAtIndex(INT, i, from.getAtIndex(INT, source));
                    case F16, BF16 -> to.setAtIndex(SHORT, i, from.getAtIndex(SHORT, source));
                }
            }
        });
    }

    private void convert(ElementType from, long raw, long to, long count) {
        CudaKernel kernel = switch (from) {
            case F32 -> kernels.convertF32;
            case F16 -> kernels.convertF16;
            case BF16 -> kernels.convertBf16;
        };
        if (stream.isOpen()) {
            ArgumentBlock arguments = context.arguments().add(raw).add(to).add(count);
            stream.launch(kernel, blocks(count), 1, 1, THREADS, arguments);
        }
    }

    /** Kernels stride by the size of the grid, so a few blocks serve any count. */
    private static int blocks(long count) {
        return (int) Math.min(BLOCKS_MOST, Math.ceilDiv(count, (long) THREADS));
    }

    /** Waits until everything loaded is in device memory. */
    void finish() {
        for (CudaEvent event : free) {
            stream.record(event);
        }
        for (CudaEvent event : free) {
            event.join();
        }
    }
}
