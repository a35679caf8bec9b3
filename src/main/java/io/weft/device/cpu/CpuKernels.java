package io.weft.device.cpu;

import static io.weft.device.cpu.Memory.getFloat;
import static io.weft.device.cpu.Memory.getInt;
import static io.weft.device.cpu.Memory.getLong;

import io.weft.device.Activation;
import io.weft.device.AttentionIndex;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionSinks;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases;
import io.weft.device.BlockCode;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.DeviceBuffer;
import io.weft.device.Embedding;
import io.weft.device.Epilogue;
import io.weft.device.ExpertChoices;
import io.weft.device.ExpertRouting;
import io.weft.device.Experts;
import io.weft.device.Gating;
import io.weft.device.HeadRows;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import io.weft.device.RowPlaces;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** Issues each call on the stream's thread. */
final class CpuKernels implements Kernels {
    /** Elements below which a pointwise kernel runs on one thread. */
    private static final long SMALL_ELEMENTS = 32 * 1024;

    private final Workers workers;
    private final MatrixProduct product;
    private final ExpertLayer expertLayer;

    CpuKernels(Workers workers) {
        this.workers = workers;
        this.product = new MatrixProduct(workers);
        this.expertLayer = new ExpertLayer(product);
    }

    @Override
    public void embed(
            Stream stream, Embedding table, DeviceBuffer tokenIds, DeviceBuffer positions, DeviceBuffer out, int rows) {
        CpuEmbedding cpuTable = (CpuEmbedding) table;
        long ids = tokenIds.address();
        long places = positions.address();
        long to = out.address();
        issue(
                stream,
                () -> forRows(rows, table.width(), row -> {
                    int token = getInt(ids + bytes(row, 1));
                    if (token < 0 || token >= cpuTable.vocabulary()) {
                        throw new IndexOutOfBoundsException(
                                "token " + token + " of a vocabulary of " + cpuTable.vocabulary());
                    }
                    Pointwise.embed(cpuTable, token, getInt(places + bytes(row, 1)), to + bytes(row, table.width()));
                }));
    }

    @Override
    public void norm(Stream stream, Norm norm, DeviceBuffer in, DeviceBuffer out, int rows) {
        int width = norm.width();
        long from = in.address();
        long to = out.address();
        issue(
                stream,
                () -> forRows(
                        rows,
                        width,
                        row -> Pointwise.norm(
                                (CpuNorm) norm, from + bytes(row, width), to + bytes(row, width), 1, width)));
    }

    @Override
    public void normHeads(Stream stream, Norm norm, HeadRows in, HeadRows out, int heads, int headSize, int rows) {
        long from = in.memory().address();
        long to = out.memory().address();
        issue(
                stream,
                () -> forRows(
                        rows,
                        heads * headSize,
                        row -> Pointwise.norm(
                                (CpuNorm) norm,
                                from + bytes(row, in.rowWidth()),
                                to + bytes(row, out.rowWidth()),
                                heads,
                                headSize)));
    }

    @Override
    public void addResidual(
            Stream stream,
            DeviceBuffer hidden,
            DeviceBuffer in,
            @Nullable Norm norm,
            float factor,
            float scale,
            int width,
            int rows) {
        long to = hidden.address();
        long from = in.address();
        issue(
                stream,
                () -> forRows(
                        rows,
                        width,
                        row -> Pointwise.addResidual(
                                to + bytes(row, width),
                                from + bytes(row, width),
                                (CpuNorm) norm,
                                factor,
                                scale,
                                width)));
    }

    @Override
    public void linear(Stream stream, Linear weights, DeviceBuffer in, DeviceBuffer out, int rows, Epilogue epilogue) {
        long from = in.address();
        long to = out.address();
        issue(stream, () -> product.multiply((CpuLinear) weights, from, to, rows, epilogue));
    }

    @Override
    public void gate(Stream stream, Activation activation, DeviceBuffer gateUp, DeviceBuffer out, int rows, int width) {
        long from = gateUp.address();
        long to = out.address();
        issue(
                stream,
                () -> forRows(
                        rows,
                        width,
                        row -> Pointwise.gate(
                                activation, from + bytes(row, 2L * width), to + bytes(row, width), width)));
    }

    @Override
    public void route(Stream stream, ExpertRouting routing, DeviceBuffer logits, ExpertChoices choices, int rows) {
        long from = logits.address();
        long ids = choices.ids().address();
        long weights = choices.weights().address();
        issue(
                stream,
                () -> forRows(
                        rows,
                        routing.experts() * routing.chosen(),
                        row -> ExpertLayer.route(
                                routing,
                                from + bytes(row, routing.experts()),
                                ids + bytes(row, routing.chosen()),
                                weights + bytes(row, routing.chosen()))));
    }

    @Override
    public void experts(
            Stream stream,
            Experts experts,
            Gating gating,
            DeviceBuffer in,
            ExpertChoices choices,
            DeviceBuffer scratch,
            DeviceBuffer out,
            int rows,
            Epilogue epilogue) {
        CpuExperts cpuExperts = (CpuExperts) experts;
        int width = experts.shape().width();
        int rowsAtOnce = experts.rowsAtOnce(rows, choices.perRow(), scratch.bytes());
        issue(stream, () -> {
            for (int row = 0; row < rows; row += rowsAtOnce) {
                expertLayer.run(
                        cpuExperts,
                        gating,
                        in.address() + bytes(row, width),
                        choices,
                        row,
                        scratch.address(),
                        out.address() + bytes(row, width),
                        Math.min(rowsAtOnce, rows - row),
                        epilogue);
            }
        });
    }

    @Override
    public void addGated(
            Stream stream, DeviceBuffer logits, DeviceBuffer values, DeviceBuffer out, int rows, int width) {
        long gates = logits.address();
        long from = values.address();
        long to = out.address();
        issue(
                stream,
                () -> forRows(
                        rows,
                        width,
                        row -> Pointwise.addGated(
                                getFloat(gates + bytes(row, 1)),
                                from + bytes(row, width),
                                to + bytes(row, width),
                                width)));
    }

    @Override
    public void rotate(
            Stream stream,
            RotaryTable table,
            DeviceBuffer values,
            int rowWidth,
            int heads,
            int headSize,
            DeviceBuffer positions,
            int rowsPerPosition,
            int rows) {
        long at = values.address();
        long places = positions.address();
        issue(
                stream,
                () -> forRows(rows, heads * headSize, row -> {
                    int position = requirePosition(table, Pointwise.position(places, rowsPerPosition, row));
                    Pointwise.rotate((CpuRotaryTable) table, at + bytes(row, rowWidth), heads, headSize, position);
                }));
    }

    @Override
    public void place(
            Stream stream,
            AttentionShape shape,
            @Nullable RotaryTable table,
            DeviceBuffer queries,
            DeviceBuffer keyValues,
            DeviceBuffer activations,
            int width,
            RowPlaces places,
            DeviceBuffer base,
            int rows) {
        long query = queries.address();
        long keyValue = keyValues.address();
        long activation = activations.address();
        long positions = places.positions().address();
        long keyValueOffsets = places.keyValueOffsets().address();
        long activationOffsets = places.activationOffsets().address();
        long keyValueBytes = bytes(1, shape.keyValueWidth());
        long activationBytes = bytes(1, width);
        issue(
                stream,
                () -> forRows(rows, shape.queryWidth() + shape.keyValueWidth() + width, row -> {
                    long keys = base.slice(getLong(keyValueOffsets + (long) row * Long.BYTES), keyValueBytes)
                            .address();
                    Memory.copy(keyValue + row * keyValueBytes, keys, keyValueBytes);
                    if (width > 0) {
                        long kept = base.slice(getLong(activationOffsets + (long) row * Long.BYTES), activationBytes)
                                .address();
                        Memory.copy(activation + row * activationBytes, kept, activationBytes);
                    }
                    if (table != null) {
                        int position = requirePosition(table, getInt(positions + bytes(row, 1)));
                        CpuRotaryTable cpuTable = (CpuRotaryTable) table;
                        long rowQueries = query + bytes(row, shape.queryWidth());
                        Pointwise.rotate(cpuTable, rowQueries, shape.heads(), shape.headSize(), position);
                        Pointwise.rotate(cpuTable, keys, shape.keyValueHeads(), shape.headSize(), position);
                    }
                }));
    }

    private static int requirePosition(RotaryTable table, int position) {
        if (position < 0 || position >= table.positions()) {
            throw new IndexOutOfBoundsException("position " + position + " of " + table.positions());
        }
        return position;
    }

    @Override
    public void gatherRows(
            Stream stream, DeviceBuffer values, int rowBytes, DeviceBuffer offsets, DeviceBuffer out, int rows) {
        long places = offsets.address();
        long to = out.address();
        issue(stream, () -> {
            for (int row = 0; row < rows; row++) {
                long offset = getLong(places + (long) row * Long.BYTES);
                Memory.copy(values.slice(offset, rowBytes).address(), to + (long) row * rowBytes, rowBytes);
            }
        });
    }

    @Override
    public void encodeBlocks(
            Stream stream,
            BlockCode code,
            BlockValues values,
            BlockPlaces from,
            BlockPlaces to,
            DeviceBuffer misfits,
            int blocks) {
        long flags = misfits.address();
        issue(
                stream,
                () -> forRows(blocks, values.count(), block -> {
                    long plain = blockAddress(from, block, values.bytes());
                    long coded = blockAddress(to, block, code.bytes(values));
                    if (!code.isExact()) {
                        new ScaledCoder(code, values).encode(plain, coded);
                    } else if (!new PackedCoder(values).encode(plain, coded)) {
                        Memory.setInt(flags + bytes(block, 1), 1);
                    }
                }));
    }

    @Override
    public void decodeBlocks(
            Stream stream, BlockCode code, BlockValues values, BlockPlaces from, BlockPlaces to, int blocks) {
        issue(
                stream,
                () -> forRows(blocks, values.count(), block -> {
                    long coded = blockAddress(from, block, code.bytes(values));
                    long plain = blockAddress(to, block, values.bytes());
                    if (code.isExact()) {
                        new PackedCoder(values).decode(coded, plain);
                    } else {
                        new ScaledCoder(code, values).decode(coded, plain);
                    }
                }));
    }

    private static long blockAddress(BlockPlaces places, int block, long bytes) {
        long offset = getLong(places.offsets().address() + (long) block * Long.BYTES);
        return places.base().slice(offset, bytes).address();
    }

    @Override
    public void readHost(Stream stream, HostBuffer from, DeviceBuffer to) {
        issue(stream, () -> Memory.copy(from.address(), to.address(), to.bytes()));
    }

    @Override
    public void attend(
            Stream stream,
            AttentionShape shape,
            @Nullable AttentionSinks sinks,
            AttentionIndex index,
            AttentionWork work,
            BlockBases bases,
            DeviceBuffer queries,
            DeviceBuffer state,
            DeviceBuffer out) {
        long spans = work.spans().address();
        issue(stream, () -> {
            for (int i = 0; i < work.spanCount(); i++) {
                long at = spans + bytes(i, AttentionWork.SPAN_INTS);
                Span span = new Span(getInt(at), getInt(at + 4), getInt(at + 8), getInt(at + 12), getInt(at + 16));
                attend(shape, (CpuAttentionSinks) sinks, index, span, bases, queries, state, out);
            }
        });
    }

    /** See {@link AttentionWork}. */
    private record Span(int sequence, int firstRow, int rows, int fromToken, int toToken) {}

    private void attend(
            AttentionShape shape,
            @Nullable CpuAttentionSinks sinks,
            AttentionIndex index,
            Span span,
            BlockBases bases,
            DeviceBuffer queries,
            DeviceBuffer state,
            DeviceBuffer out) {
        int lastRow = span.firstRow() + span.rows();
        long queryBytes = bytes(1, shape.queryWidth());
        queries.requireBytes("queries", lastRow * queryBytes);
        state.requireBytes("state", lastRow * shape.stateBytesPerRow());
        out.requireBytes("out", lastRow * queryBytes);
        index.rowPositions().requireBytes("rowPositions", bytes(lastRow, 1));
        long query = queries.address();
        long running = state.address();
        long result = out.address();
        long positions = index.rowPositions().address();
        long tableRowBytes = (long) index.blocksPerSequence() * Long.BYTES;
        long table = index.blockTable()
                .slice(span.sequence() * tableRowBytes, tableRowBytes)
                .address();
        long elements = (long) span.rows() * (span.toToken() - span.fromToken()) * shape.queryWidth();
        int tasks = elements < SMALL_ELEMENTS ? 1 : Math.min(span.rows() * shape.keyValueHeads(), 8 * workers.count());
        int items = span.rows() * shape.keyValueHeads();
        workers.run(tasks, task -> {
            CellAttention attention = new CellAttention(shape);
            int from = (int) ((long) items * task / tasks);
            int to = (int) ((long) items * (task + 1) / tasks);
            for (int item = from; item < to; item++) {
                int row = span.firstRow() + item / shape.keyValueHeads();
                attendRow(
                        shape,
                        sinks,
                        attention,
                        span,
                        getInt(positions + bytes(row, 1)),
                        item % shape.keyValueHeads(),
                        table,
                        bases,
                        query + row * queryBytes,
                        running + row * shape.stateBytesPerRow(),
                        result + row * queryBytes);
            }
        });
    }

    /** One row and the query heads of one K/V head, cell by cell. */
    private static void attendRow(
            AttentionShape shape,
            @Nullable CpuAttentionSinks sinks,
            CellAttention attention,
            Span span,
            int position,
            int keyValueHead,
            long table,
            BlockBases bases,
            long query,
            long state,
            long out) {
        int group = shape.heads() / shape.keyValueHeads();
        int firstHead = keyValueHead * group;
        long headStateBytes = bytes(1, shape.headSize() + 2);
        int firstVisible = shape.firstVisible(position);
        if (firstVisible >= span.fromToken() && firstVisible < span.toToken()) {
            for (int head = firstHead; head < firstHead + group; head++) {
                CellAttention.begin(state + head * headStateBytes, shape.headSize());
            }
        }
        int end = Math.min(span.toToken(), position + 1);
        for (int cell = span.fromToken(); cell < end; cell += shape.cellTokens()) {
            int from = Math.max(cell, firstVisible);
            int to = Math.min(end, cell + shape.cellTokens());
            if (from >= to) {
                continue;
            }
            attention.enter(table, bases, from, to);
            for (int head = firstHead; head < firstHead + group; head++) {
                attention.attend(
                        to - from, query + bytes(head, shape.headSize()), keyValueHead, state + head * headStateBytes);
            }
        }
        if (position >= span.fromToken() && position < span.toToken()) {
            for (int head = firstHead; head < firstHead + group; head++) {
                long headState = state + head * headStateBytes;
                long headOut = out + bytes(head, shape.headSize());
                if (sinks == null) {
                    CellAttention.end(headState, headOut, shape.headSize());
                } else {
                    CellAttention.end(headState, headOut, shape.headSize(), sinks.logit(head));
                }
            }
        }
    }

    @Override
    public void capLogits(Stream stream, DeviceBuffer logits, float factor, float cap, int vocabulary, int rows) {
        long at = logits.address();
        issue(
                stream,
                () -> forRows(
                        rows,
                        vocabulary,
                        row -> Pointwise.capLogits(at + bytes(row, vocabulary), factor, cap, vocabulary)));
    }

    @Override
    public void toFloat(Stream stream, DeviceBuffer in, DeviceBuffer out, long count) {
        long from = in.address();
        long to = out.address();
        issue(stream, () -> Memory.copy(from, to, count * Float.BYTES));
    }

    @Override
    public void chooseTokens(
            Stream stream,
            DeviceBuffer logits,
            TokenChoices choices,
            DeviceBuffer scores,
            DeviceBuffer tokens,
            int rows,
            int vocabulary) {
        long from = logits.address();
        long scratch = scores.address();
        long how = choices.rows().address();
        long to = tokens.address();
        issue(
                stream,
                () -> forRows(rows, vocabulary, row -> {
                    long at = bytes(row, vocabulary);
                    TokenSampler sampler = new TokenSampler(scratch + at, vocabulary);
                    int token = sampler.choose(from + at, how + (long) row * TokenChoices.ROW_BYTES, choices);
                    Memory.setInt(to + bytes(row, 1), token);
                }));
    }

    private static void issue(Stream stream, CpuStream.Operation operation) {
        ((CpuStream) stream).issue(operation);
    }

    /** Bytes of {@code rows} rows of {@code width} fp32 or int32. */
    private static long bytes(long rows, long width) {
        return rows * width * Float.BYTES;
    }

    void close() {
        product.close();
    }

    private void forRows(int rows, int width, IntConsumer row) {
        if ((long) rows * width < SMALL_ELEMENTS) {
            for (int i = 0; i < rows; i++) {
                row.accept(i);
            }
            return;
        }
        int tasks = Math.min(rows, 4 * workers.count());
        workers.run(tasks, task -> {
            int to = (int) ((long) rows * (task + 1) / tasks);
            for (int i = (int) ((long) rows * task / tasks); i < to; i++) {
                row.accept(i);
            }
        });
    }
}
