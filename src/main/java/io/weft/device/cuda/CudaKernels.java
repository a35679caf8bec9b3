package io.weft.device.cuda;

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
import io.weft.device.ElementType;
import io.weft.device.Embedding;
import io.weft.device.Epilogue;
import io.weft.device.ExpertChoices;
import io.weft.device.ExpertRouting;
import io.weft.device.ExpertShape;
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
import io.weft.device.cuda.KernelSet.Alignment;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Launches each call; {@link io.weft.device.CheckedKernels} has checked it. */
final class CudaKernels implements Kernels {
    private static final int THREADS = 256;
    private static final int ROW_COPY_THREADS = 128;
    private static final int CHOOSE_THREADS = 1024;
    private static final int NORM_THREADS_MOST = 1024;
    private static final int WARP = 32;
    /** The number of vectors of a row that one thread of a norm keeps. */
    private static final int NORM_ROW_VECTORS = 2;
    /** The most elements that a warp normalises by itself. */
    private static final int NORM_WARP_WIDTH_MOST = WARP * NORM_ROW_VECTORS * KernelSet.VECTOR;

    private static final int VECTOR_BYTES = 16;
    /** Blocks that make elements stride by the size of the grid. */
    private static final int UNPACK_BLOCKS_MOST = 4096;

    /** One access per thread, so each thread waits for the link only once. */
    private static final int HOST_PART_BYTES = ROW_COPY_THREADS * VECTOR_BYTES;

    /** The part of a long row that one block gathers. */
    private static final int GATHERED_PART_BYTES = 8 * HOST_PART_BYTES;

    /** The number of {@link Gating.ClampedSwiGlu} for kernels, after those of {@link Activation}. */
    private static final int CLAMPED_SWIGLU = Activation.values().length;

    private static final float LOG2_E = 1.44269504f;
    /** A table that rotates no dimension. */
    private static final CudaRotaryTable NO_ROTARY = new CudaRotaryTable(0, 0, RotaryTable.Layout.HALVES, 0, 0);

    /** A matrix without columns. */
    private static final CudaLinear NO_PRODUCT =
            new CudaLinear(0, 0, 0, Optional.empty(), 0, 0, new CudaLinear.Descriptions(0, 0));

    private final CudaContext context;
    private final KernelSet kernels;
    private final MatrixProducts products;
    private final int elementBytes;
    private final long faults;

    CudaKernels(
            CudaContext context,
            KernelSet kernels,
            MatrixProducts products,
            ElementType elementType,
            FaultRecord faults) {
        this.context = context;
        this.kernels = kernels;
        this.products = products;
        this.elementBytes = elementType.bytes();
        this.faults = faults.address();
    }

    @Override
    public void embed(
            Stream stream, Embedding table, DeviceBuffer tokenIds, DeviceBuffer positions, DeviceBuffer out, int rows) {
        CudaEmbedding cudaTable = (CudaEmbedding) table;
        long ids = tokenIds.address();
        long places = positions.address();
        long to = out.address();
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(cudaTable.tokens())
                .add(cudaTable.vocabulary())
                .add(cudaTable.positions())
                .add(cudaTable.positionRows())
                .add(cudaTable.positionOffset())
                .add(cudaTable.scale())
                .add(ids)
                .add(places)
                .add(to)
                .add(table.width())
                .add(vectors(table.width(), to))
                .add(faults);
        cudaStream.launch(kernels.embed, rows, 1, 1, THREADS, arguments);
    }

    @Override
    public void norm(Stream stream, Norm norm, DeviceBuffer in, DeviceBuffer out, int rows) {
        CudaNorm cudaNorm = (CudaNorm) norm;
        int width = norm.width();
        long from = in.address();
        long to = out.address();
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        CudaKernel kernel = switch (norm.kind()) {
            case Norm.Kind.LayerNorm layerNorm -> kernels.layerNorm;
            case Norm.Kind.RmsNorm rmsNorm -> kernels.rmsNorm;
        };
        ArgumentBlock arguments = context.arguments()
                .add(from)
                .add(to)
                .add(cudaNorm.gain())
                .add(cudaNorm.bias())
                .add(width)
                .add(norm.kind().epsilon())
                .add(norm.kind().gainOffset())
                .add(vectors(width, from | to));
        cudaStream.launch(kernel, rows, 1, 1, normThreads(width), arguments);
    }

    @Override
    public void normHeads(Stream stream, Norm norm, HeadRows in, HeadRows out, int heads, int headSize, int rows) {
        CudaNorm cudaNorm = (CudaNorm) norm;
        long from = in.memory().address();
        long to = out.memory().address();
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || heads == 0 || !cudaStream.isOpen()) {
            return;
        }
        boolean small = headSize <= NORM_WARP_WIDTH_MOST;
        CudaKernel kernel = switch (norm.kind()) {
            case Norm.Kind.LayerNorm layerNorm -> small ? kernels.layerNormHeads : kernels.layerNormParts;
            case Norm.Kind.RmsNorm rmsNorm -> small ? kernels.rmsNormHeads : kernels.rmsNormParts;
        };
        ArgumentBlock arguments =
                context.arguments().add(from).add(in.rowWidth()).add(to).add(out.rowWidth());
        if (small) {
            arguments.add(heads).add(headSize).add(rows);
        } else {
            arguments.add(headSize);
        }
        arguments
                .add(cudaNorm.gain())
                .add(cudaNorm.bias())
                .add(norm.width() == headSize ? 0 : headSize)
                .add(norm.kind().epsilon())
                .add(norm.kind().gainOffset())
                .add(vectors(headSize | in.rowWidth() | out.rowWidth(), from | to));
        if (small) {
            cudaStream.launch(kernel, blocks((long) rows * heads * WARP), 1, 1, THREADS, arguments);
        } else {
            cudaStream.launch(kernel, rows, heads, 1, normThreads(headSize), arguments);
        }
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
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || width == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments().add(from).add(to);
        if (norm == null) {
            long elements = (long) rows * width;
            arguments.add(elements).add(factor).add(scale).add((from | to) % VECTOR_BYTES == 0 ? 1 : 0);
            int blocks = blocks(Math.ceilDiv(elements, (long) KernelSet.VECTOR));
            cudaStream.launch(kernels.addScaled, blocks, 1, 1, THREADS, arguments);
            return;
        }
        CudaKernel kernel = switch (norm.kind()) {
            case Norm.Kind.LayerNorm layerNorm -> kernels.addLayerNorm;
            case Norm.Kind.RmsNorm rmsNorm -> kernels.addRmsNorm;
        };
        CudaNorm cudaNorm = (CudaNorm) norm;
        arguments
                .add(cudaNorm.gain())
                .add(cudaNorm.bias())
                .add(width)
                .add(norm.kind().epsilon())
                .add(norm.kind().gainOffset())
                .add(factor)
                .add(scale)
                .add(vectors(width, from | to));
        cudaStream.launch(kernel, rows, 1, 1, normThreads(width), arguments);
    }

    /**
     * Threads for a row of a norm. Their number depends on the width alone, since it decides the order of the sums.
     *
     * @throws IllegalArgumentException if a block cannot hold the row
     */
    static int normThreads(int width) {
        int vectors = Math.ceilDiv(width, KernelSet.VECTOR);
        if (vectors > NORM_THREADS_MOST * NORM_ROW_VECTORS) {
            throw new IllegalArgumentException("width is %d, must be at most %d"
                    .formatted(width, NORM_THREADS_MOST * NORM_ROW_VECTORS * KernelSet.VECTOR));
        }
        return Math.min(NORM_THREADS_MOST, Math.ceilDiv(vectors, WARP) * WARP);
    }

    @Override
    public void linear(Stream stream, Linear weights, DeviceBuffer in, DeviceBuffer out, int rows, Epilogue epilogue) {
        CudaLinear cudaWeights = (CudaLinear) weights;
        long from = in.address();
        long to = out.address();
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        if (cudaWeights.quantised().isPresent()) {
            if (readsCodes(cudaWeights, from, to, rows)) {
                Outputs outputs = new Outputs(cudaWeights, to, NO_PRODUCT, 0);
                launchQuantised(cudaStream, cudaWeights.quantised().get(), outputs, from, rows, epilogue);
                return;
            }
            cudaWeights =
                    unpack(cudaStream, cudaWeights, cudaWeights.quantised().get());
        }
        Optional<ProductKernels.Product> kernel = products.isAligned(cudaWeights, from, to)
                ? kernels.products.forRows(rows, weights.outFeatures(), weights.inFeatures())
                : Optional.of(kernels.products.any());
        if (kernel.isPresent()) {
            Outputs outputs = new Outputs(cudaWeights, to, NO_PRODUCT, 0);
            if (((CudaLinear) weights).quantised().isPresent()) {
                launchAfterUnpacking(cudaStream, kernel.get(), outputs, from, rows, epilogue);
            } else {
                launchProduct(cudaStream, kernel.get(), outputs, from, rows, epilogue);
            }
            return;
        }
        switch (epilogue) {
            case Epilogue.Store store ->
                products.multiply(cudaStream, cudaWeights, from, to, rows, CublasLt.Epilogue.STORE);
            case Epilogue.AddToOutput add -> addProduct(cudaStream, cudaWeights, from, to, rows);
            case Epilogue.Activate(Activation activation)
            when activation == Activation.RELU ->
                products.multiply(cudaStream, cudaWeights, from, to, rows, CublasLt.Epilogue.RELU);
            case Epilogue.Activate(Activation activation) -> {
                products.multiply(cudaStream, cudaWeights, from, to, rows, CublasLt.Epilogue.STORE);
                activate(cudaStream, activation, to, (long) rows * weights.outFeatures());
            }
        }
    }

    /** Whether a kernel multiplies with the weights as they are stored. */
    private boolean readsCodes(CudaLinear weights, long in, long out, int rows) {
        return rows <= QuantisedKernels.ROWS_MOST && products.isAligned(weights, in, out);
    }

    private void launchQuantised(
            CudaStream stream, QuantisedMemory first, Outputs outputs, long in, int rows, Epilogue epilogue) {
        Optional<QuantisedMemory> second = outputs.second().quantised();
        ArgumentBlock arguments = context.arguments()
                .add(in)
                .add(first.codes())
                .add(first.scales())
                .add(outputs.first().bias())
                .add(outputs.firstOut())
                .add(outputs.first().outFeatures())
                .add(second.map(QuantisedMemory::codes).orElse(0L))
                .add(second.map(QuantisedMemory::scales).orElse(0L))
                .add(outputs.second().bias())
                .add(outputs.secondOut())
                .add(outputs.second().outFeatures())
                .add(rows)
                .add(outputs.first().inFeatures())
                .add(first.groupShift())
                .add(code(epilogue));
        int tiles = outputs.columns() / QuantisedMemory.TILE_ROWS;
        QuantisedKernels.Launch launch = kernels.quantised
                .of(first.encoding())
                .launch(tiles, rows, outputs.first().inFeatures(), context.multiprocessors());
        stream.launch(launch.kernel(), launch.blocks(), 1, 1, launch.threads(), arguments);
    }

    /** Makes elements of the weights, for the stream's next product. */
    private CudaLinear unpack(CudaStream stream, CudaLinear weights, QuantisedMemory quantised) {
        long unpackedBytes = bytes(weights.outFeatures(), weights.inFeatures());
        DeviceBuffer to = stream.unpacked(unpackedBytes);
        ArgumentBlock arguments = context.arguments()
                .add(quantised.codes())
                .add(quantised.scales())
                .add(to.address())
                .add(weights.outFeatures())
                .add(weights.inFeatures())
                .add(quantised.groupShift());
        int vectors = Math.ceilDiv(Math.toIntExact(unpackedBytes / VECTOR_BYTES + 1), THREADS);
        stream.launch(
                kernels.quantised.of(quantised.encoding()).unpack(),
                Math.min(UNPACK_BLOCKS_MOST, vectors),
                1,
                1,
                THREADS,
                arguments);
        return weights.unpackedAt(to.address());
    }

    /** Computes products of as many rows as the workspace holds, then adds them. */
    private void addProduct(CudaStream stream, CudaLinear weights, long in, long out, int rows) {
        long outBytes = bytes(1, weights.outFeatures());
        DeviceBuffer products = stream.workspace().from(MatrixProducts.WORKSPACE_BYTES);
        int rowsAtOnce = (int) Math.min(rows, products.bytes() / outBytes);
        if (rowsAtOnce < 1) {
            throw new IllegalArgumentException("outFeatures is %d, must be at most %d"
                    .formatted(weights.outFeatures(), products.bytes() / elementBytes));
        }
        for (int row = 0; row < rows; row += rowsAtOnce) {
            int count = Math.min(rowsAtOnce, rows - row);
            long from = in + bytes(row, weights.inFeatures());
            long to = out + row * outBytes;
            this.products.multiply(stream, weights, from, products.address(), count, CublasLt.Epilogue.STORE);
            long elements = (long) count * weights.outFeatures();
            ArgumentBlock arguments = context.arguments()
                    .add(to)
                    .add(products.address())
                    .add(elements)
                    .add(1);
            stream.launch(
                    kernels.add, blocks(Math.ceilDiv(elements, (long) KernelSet.VECTOR)), 1, 1, THREADS, arguments);
        }
    }

    @Override
    public void linearPair(
            Stream stream,
            Linear first,
            Linear second,
            DeviceBuffer in,
            DeviceBuffer firstOut,
            DeviceBuffer secondOut,
            int rows) {
        CudaLinear cudaFirst = (CudaLinear) first;
        CudaLinear cudaSecond = (CudaLinear) second;
        long from = in.address();
        long toFirst = firstOut.address();
        long toSecond = secondOut.address();
        if (cudaFirst.quantised().isPresent() || cudaSecond.quantised().isPresent()) {
            CudaStream cudaStream = (CudaStream) stream;
            if (isPair(cudaFirst, cudaSecond)
                    && readsCodes(cudaFirst, from, toFirst, rows)
                    && readsCodes(cudaSecond, from, toSecond, rows)) {
                if (rows > 0 && cudaStream.isOpen()) {
                    Outputs outputs = new Outputs(cudaFirst, toFirst, cudaSecond, toSecond);
                    QuantisedMemory codes = cudaFirst.quantised().get();
                    launchQuantised(cudaStream, codes, outputs, from, rows, new Epilogue.Store());
                }
                return;
            }
            Kernels.super.linearPair(stream, first, second, in, firstOut, secondOut, rows);
            return;
        }
        int columns = first.outFeatures() + second.outFeatures();
        Optional<ProductKernels.Product> kernel =
                products.isAligned(cudaFirst, from, toFirst) && products.isAligned(cudaSecond, from, toSecond)
                        ? kernels.products.forRows(rows, columns, first.inFeatures())
                        : Optional.empty();
        if (kernel.isEmpty()) {
            Kernels.super.linearPair(stream, first, second, in, firstOut, secondOut, rows);
            return;
        }
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        Outputs outputs = new Outputs(cudaFirst, toFirst, cudaSecond, toSecond);
        launchProduct(cudaStream, kernel.get(), outputs, from, rows, new Epilogue.Store());
    }

    @Override
    public void gatedLinear(
            Stream stream,
            Linear weights,
            Activation activation,
            DeviceBuffer in,
            DeviceBuffer gateUp,
            DeviceBuffer out,
            int rows) {
        CudaLinear cudaWeights = (CudaLinear) weights;
        int columns = weights.outFeatures();
        long from = in.address();
        long to = out.address();
        if (cudaWeights.quantised().isPresent()) {
            int gateTiles = columns / 2 / QuantisedMemory.TILE_ROWS;
            if (columns == 2 * gateTiles * QuantisedMemory.TILE_ROWS
                    && rows <= QuantisedKernels.FEW_ROWS
                    && readsCodes(cudaWeights, from, to, rows)) {
                launchGated(
                        (CudaStream) stream,
                        cudaWeights,
                        cudaWeights.quantised().get(),
                        activation,
                        from,
                        to,
                        rows);
                return;
            }
            Kernels.super.gatedLinear(stream, weights, activation, in, gateUp, out, rows);
            return;
        }
        Optional<ProductKernels.Product> kernel = products.isAligned(cudaWeights, from, to)
                ? kernels.products.forGated(rows, columns, weights.inFeatures())
                : Optional.empty();
        if (kernel.isEmpty()) {
            Kernels.super.gatedLinear(stream, weights, activation, in, gateUp, out, rows);
            return;
        }
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(from)
                .add(cudaWeights.weights())
                .add(cudaWeights.bias())
                .add(to)
                .add(columns)
                .add(rows)
                .add(weights.inFeatures())
                .add(activation.ordinal());
        launchProduct(cudaStream, kernel.get(), columns, rows, arguments);
    }

    private static boolean isPair(CudaLinear first, CudaLinear second) {
        return first.quantised()
                .map(QuantisedMemory::encoding)
                .equals(second.quantised().map(QuantisedMemory::encoding));
    }

    private void launchGated(
            CudaStream stream,
            CudaLinear weights,
            QuantisedMemory quantised,
            Activation activation,
            long in,
            long out,
            int rows) {
        if (rows == 0 || !stream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(in)
                .add(quantised.codes())
                .add(quantised.scales())
                .add(weights.bias())
                .add(out)
                .add(weights.outFeatures())
                .add(rows)
                .add(weights.inFeatures())
                .add(quantised.groupShift())
                .add(activation.ordinal());
        int tiles = weights.outFeatures() / 2 / QuantisedMemory.TILE_ROWS;
        QuantisedKernels.Launch launch =
                kernels.quantised.of(quantised.encoding()).gated().launch(tiles, context.multiprocessors());
        stream.launch(launch.kernel(), launch.blocks(), 1, 1, launch.threads(), arguments);
    }

    private static int code(Epilogue epilogue) {
        return switch (epilogue) {
            case Epilogue.Store store -> 0;
            case Epilogue.AddToOutput add -> 1;
            case Epilogue.Activate(Activation activation) -> 2 + activation.ordinal();
        };
    }

    /** The outputs of a product kernel for one input: those of one matrix or of two, each with its address. */
    private record Outputs(CudaLinear first, long firstOut, CudaLinear second, long secondOut) {
        int columns() {
            return first.outFeatures() + second.outFeatures();
        }
    }

    private void launchProduct(
            CudaStream stream, ProductKernels.Product kernel, Outputs outputs, long in, int rows, Epilogue epilogue) {
        launchProduct(stream, kernel, outputs.columns(), rows, productArguments(outputs, in, rows, epilogue));
    }

    /** Product kernels read weights before they wait for earlier kernels, and here the one before writes them. */
    private void launchAfterUnpacking(
            CudaStream stream, ProductKernels.Product kernel, Outputs outputs, long in, int rows, Epilogue epilogue) {
        stream.launchAfter(
                kernel.kernel(outputs.columns(), rows, context.multiprocessors()),
                kernel.blocks(outputs.columns(), context.multiprocessors()),
                Math.ceilDiv(rows, kernel.rows()),
                1,
                kernel.threads(),
                productArguments(outputs, in, rows, epilogue));
    }

    private ArgumentBlock productArguments(Outputs outputs, long in, int rows, Epilogue epilogue) {
        return context.arguments()
                .add(in)
                .add(outputs.first().weights())
                .add(outputs.first().bias())
                .add(outputs.firstOut())
                .add(outputs.first().outFeatures())
                .add(outputs.second().weights())
                .add(outputs.second().bias())
                .add(outputs.secondOut())
                .add(outputs.second().outFeatures())
                .add(rows)
                .add(outputs.first().inFeatures())
                .add(code(epilogue));
    }

    private void launchProduct(
            CudaStream stream, ProductKernels.Product kernel, int columns, int rows, ArgumentBlock arguments) {
        stream.launch(
                kernel.kernel(columns, rows, context.multiprocessors()),
                kernel.blocks(columns, context.multiprocessors()),
                Math.ceilDiv(rows, kernel.rows()),
                1,
                kernel.threads(),
                arguments);
    }

    private void activate(CudaStream stream, Activation activation, long values, long count) {
        ArgumentBlock arguments = context.arguments()
                .add(values)
                .add(count)
                .add(activation.ordinal())
                .add(values % VECTOR_BYTES == 0 ? 1 : 0);
        stream.launch(kernels.activate, blocks(Math.ceilDiv(count, (long) KernelSet.VECTOR)), 1, 1, THREADS, arguments);
    }

    @Override
    public void gate(Stream stream, Activation activation, DeviceBuffer gateUp, DeviceBuffer out, int rows, int width) {
        long from = gateUp.address();
        long to = out.address();
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || width == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(from)
                .add(to)
                .add(rows)
                .add(width)
                .add(activation.ordinal())
                .add(vectors(width, from | to));
        long items = (long) rows * Math.ceilDiv(width, KernelSet.VECTOR);
        cudaStream.launch(kernels.gate, blocks(items), 1, 1, THREADS, arguments);
    }

    @Override
    public void route(Stream stream, ExpertRouting routing, DeviceBuffer logits, ExpertChoices choices, int rows) {
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(logits.address())
                .add(choices.ids().address())
                .add(choices.weights().address())
                .add(rows)
                .add(routing.experts())
                .add(routing.chosen())
                .add(
                        switch (routing.weights()) {
                            case SOFTMAX_OF_ALL -> 1;
                            case SOFTMAX_OF_CHOSEN -> 0;
                        });
        int blocks = Math.ceilDiv(rows, ExpertKernels.ROUTE_THREADS / WARP);
        cudaStream.launch(kernels.experts.route, blocks, 1, 1, ExpertKernels.ROUTE_THREADS, arguments);
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
        CudaExperts cudaExperts = (CudaExperts) experts;
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        int chosen = choices.perRow();
        int rowsAtOnce = experts.rowsAtOnce(rows, chosen, scratch.bytes());
        for (int row = 0; row < rows; row += rowsAtOnce) {
            long firstPair = (long) row * chosen;
            ExpertRows part = new ExpertRows(
                    in.address() + bytes(row, experts.shape().width()),
                    choices.ids().address() + firstPair * Integer.BYTES,
                    choices.weights().address() + firstPair * Float.BYTES,
                    chosen,
                    scratch.address(),
                    out.address() + bytes(row, experts.shape().width()),
                    Math.min(rowsAtOnce, rows - row));
            launchExperts(cudaStream, cudaExperts, gating, part, epilogue);
        }
    }

    /** Rows that go through their experts at once, by addresses. */
    private record ExpertRows(long in, long ids, long weights, int chosen, long scratch, long out, int rows) {}

    private void launchExperts(
            CudaStream stream, CudaExperts experts, Gating gating, ExpertRows part, Epilogue epilogue) {
        ExpertShape shape = experts.shape();
        ExpertKernels launched = kernels.experts;
        CudaExperts.Scratch scratch = CudaExperts.Scratch.of(experts, part.rows(), part.chosen());
        int pairs = Math.multiplyExact(part.rows(), part.chosen());
        boolean aligned = vectors(shape.width() | shape.innerWidth(), part.in() | part.scratch()) == 1;
        if (!aligned && experts.isQuantised()) {
            throw new IllegalArgumentException(
                    "in is at %x and scratch at %x, must be at multiples of %d for quantised experts"
                            .formatted(part.in(), part.scratch(), VECTOR_BYTES));
        }
        int tilePairs = aligned ? launched.tilePairs(pairs, experts) : ExpertKernels.FEW_PAIRS;
        boolean slots = part.rows() <= ExpertKernels.SLOT_ROWS;
        long order = slots ? 0 : part.scratch() + scratch.order();
        long tiles = slots ? 0 : part.scratch() + scratch.tiles();
        long tileCount = slots ? 0 : part.scratch() + scratch.tileCount();
        int groups = slots ? pairs : Math.toIntExact(ExpertKernels.tiles(pairs, shape.count(), tilePairs));
        if (!slots) {
            ArgumentBlock arguments = context.arguments()
                    .add(part.ids())
                    .add(pairs)
                    .add(shape.count())
                    .add(tilePairs)
                    .add(order)
                    .add(tiles)
                    .add(tileCount);
            stream.launch(launched.sort, shape.count(), 1, 1, ExpertKernels.SORT_THREADS, arguments);
        }
        Consumer<ArgumentBlock> addPairs = arguments -> arguments
                .add(part.ids())
                .add(pairs)
                .add(shape.count())
                .add(order)
                .add(tiles)
                .add(tileCount);
        ArgumentBlock arguments = context.arguments().add(part.in());
        addWeights(arguments, experts.gateUp()).add(part.scratch() + scratch.inner());
        addPairs.accept(arguments);
        arguments.add(part.chosen()).add(shape.width()).add(shape.innerWidth());
        experts.gateUp().quantised().ifPresent(quantised -> arguments.add(quantised.groupShift()));
        addGating(arguments, gating);
        ExpertKernels.Form inForm = aligned ? launched.of(experts.gateUp().quantised()) : launched.any();
        launchProduct(stream, inForm.in(tilePairs), groups, shape.innerWidth(), arguments);

        context.arguments().add(part.scratch() + scratch.inner());
        addWeights(arguments, experts.down()).add(part.scratch() + scratch.partial());
        addPairs.accept(arguments);
        arguments.add(shape.width()).add(shape.innerWidth());
        experts.down().quantised().ifPresent(quantised -> arguments.add(quantised.groupShift()));
        ExpertKernels.Form outForm = aligned ? launched.of(experts.down().quantised()) : launched.any();
        launchProduct(stream, outForm.out(tilePairs), groups, shape.width(), arguments);

        context.arguments()
                .add(part.scratch() + scratch.partial())
                .add(part.ids())
                .add(part.weights())
                .add(part.out())
                .add(part.rows())
                .add(part.chosen())
                .add(shape.count())
                .add(shape.width())
                .add(epilogue instanceof Epilogue.AddToOutput ? 1 : 0)
                .add(faults);
        long items = (long) part.rows() * Math.ceilDiv(shape.width(), ExpertKernels.COMBINED_COLUMNS);
        int blocks = Math.toIntExact(Math.ceilDiv(items, (long) ExpertKernels.COMBINE_THREADS));
        stream.launch(launched.combine, blocks, 1, 1, ExpertKernels.COMBINE_THREADS, arguments);
    }

    private static ArgumentBlock addWeights(ArgumentBlock arguments, CudaExperts.Matrices matrices) {
        matrices.quantised()
                .ifPresentOrElse(
                        quantised -> arguments.add(quantised.codes()).add(quantised.scales()),
                        () -> arguments.add(matrices.weights()));
        return arguments.add(matrices.bias());
    }

    /** @param width elements that the product makes of a pair */
    private static void launchProduct(
            CudaStream stream, ExpertKernels.Product product, int groups, int width, ArgumentBlock arguments) {
        int blocks = Math.ceilDiv(width, product.width());
        stream.launch(product.kernel(), groups, blocks, 1, product.threads(), arguments);
    }

    private static void addGating(ArgumentBlock arguments, Gating gating) {
        switch (gating) {
            case Gating.Activated(Activation activation) ->
                arguments.add(activation.ordinal()).add(0f).add(0f);
            case Gating.ClampedSwiGlu(float limit, float alpha) ->
                arguments.add(CLAMPED_SWIGLU).add(limit).add(alpha);
        }
    }

    @Override
    public void addGated(
            Stream stream, DeviceBuffer logits, DeviceBuffer values, DeviceBuffer out, int rows, int width) {
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || width == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(logits.address())
                .add(values.address())
                .add(out.address())
                .add(rows)
                .add(width)
                .add(vectors(width, values.address() | out.address()));
        long items = (long) rows * Math.ceilDiv(width, KernelSet.VECTOR);
        cudaStream.launch(kernels.experts.addGated, blocks(items), 1, 1, THREADS, arguments);
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
        CudaRotaryTable cudaTable = (CudaRotaryTable) table;
        long at = values.address();
        long places = positions.address();
        CudaStream cudaStream = (CudaStream) stream;
        int half = table.rotaryWidth() / 2;
        if (rows == 0 || heads == 0 || half == 0 || !cudaStream.isOpen()) {
            return;
        }
        boolean aligned = half % KernelSet.VECTOR == 0 && headSize % KernelSet.VECTOR == 0;
        int vectors = aligned ? vectors(rowWidth, at) : 0;
        ArgumentBlock arguments = context.arguments()
                .add(at)
                .add(rowWidth)
                .add(heads)
                .add(headSize)
                .add(cudaTable.cosines())
                .add(cudaTable.sines())
                .add(half)
                .add(table.positions())
                .add(table.layout().ordinal())
                .add(places)
                .add(rowsPerPosition)
                .add(rows)
                .add(vectors)
                .add(faults);
        long items = (long) rows * heads * (vectors == 1 ? half / KernelSet.VECTOR : half);
        cudaStream.launch(kernels.rotate, blocks(items), 1, 1, THREADS, arguments);
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
        CudaRotaryTable rotary = table == null ? NO_ROTARY : (CudaRotaryTable) table;
        long query = queries.address();
        long keyValue = keyValues.address();
        long activation = activations.address();
        long positions = places.positions().address();
        long keyValueOffsets = places.keyValueOffsets().address();
        long activationOffsets = places.activationOffsets().address();
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        int half = rotary.rotaryWidth() / 2;
        int sizes = half | shape.headSize() | width;
        int vectors = vectors(sizes, query | keyValue | activation | base.address());
        ArgumentBlock arguments = context.arguments()
                .add(query)
                .add(keyValue)
                .add(activation)
                .add(shape.heads())
                .add(shape.keyValueHeads())
                .add(shape.headSize())
                .add(width)
                .add(rotary.cosines())
                .add(rotary.sines())
                .add(half)
                .add(rotary.positions())
                .add(rotary.layout().ordinal())
                .add(positions)
                .add(keyValueOffsets)
                .add(activationOffsets)
                .add(base.address())
                .add(base.bytes())
                .add(vectors)
                .add(faults);
        int rotatedQueries = table == null ? 0 : shape.queryWidth() / 2;
        int items = (rotatedQueries + shape.keyValueWidth() + width) / (vectors == 1 ? KernelSet.VECTOR : 1);
        cudaStream.launch(kernels.place, rows, blocks(items), 1, THREADS, arguments);
    }

    @Override
    public void gatherRows(
            Stream stream, DeviceBuffer values, int rowBytes, DeviceBuffer offsets, DeviceBuffer out, int rows) {
        long places = offsets.address();
        long to = out.address();
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || rowBytes == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(values.address())
                .add(values.bytes())
                .add(rowBytes)
                .add(GATHERED_PART_BYTES)
                .add(places)
                .add(to)
                .add(faults);
        int parts = Math.ceilDiv(rowBytes, GATHERED_PART_BYTES);
        cudaStream.launch(kernels.gatherRows, rows, parts, 1, ROW_COPY_THREADS, arguments);
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
        CudaStream cudaStream = (CudaStream) stream;
        if (blocks == 0 || !cudaStream.isOpen()) {
            return;
        }
        kernels.blocks.encode(cudaStream, context.arguments(), code, values, from, to, misfits, blocks, faults);
    }

    @Override
    public void decodeBlocks(
            Stream stream, BlockCode code, BlockValues values, BlockPlaces from, BlockPlaces to, int blocks) {
        CudaStream cudaStream = (CudaStream) stream;
        if (blocks == 0 || !cudaStream.isOpen()) {
            return;
        }
        kernels.blocks.decode(cudaStream, context.arguments(), code, values, from, to, blocks, faults);
    }

    @Override
    public void readHost(Stream stream, HostBuffer from, DeviceBuffer to) {
        CudaStream cudaStream = (CudaStream) stream;
        if (to.bytes() == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(from.address())
                .add(to.address())
                .add(to.bytes())
                .add(HOST_PART_BYTES);
        int blocks = Math.toIntExact(Math.ceilDiv(to.bytes(), (long) HOST_PART_BYTES));
        cudaStream.launch(kernels.readHost, blocks, 1, 1, ROW_COPY_THREADS, arguments);
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
        CudaStream cudaStream = (CudaStream) stream;
        if (work.spanCount() == 0 || work.maxRows() == 0 || work.maxTokens() == 0 || !cudaStream.isOpen()) {
            return;
        }
        long addresses = queries.address() | bases.closed() | bases.open() | bases.staged() | bases.recomputed();
        KernelSet.Attend variant = kernels.attend(
                shape.headSize(), addresses % VECTOR_BYTES == 0 ? Alignment.VECTORS : Alignment.ELEMENTS);
        AttentionLaunch launch =
                AttentionLaunch.of(shape, work, cudaStream.workspace().bytes(), context.multiprocessors());
        boolean whole = launch.spansFillDevice() && variant.whole().isPresent();
        if (launch.hasFew() && whole) {
            ArgumentBlock arguments = attendArguments(shape, sinks, index, spans, bases, queries, state, out, launch);
            cudaStream.launch(
                    variant.whole().get(),
                    shape.keyValueHeads() * launch.fewQueryTiles(),
                    1,
                    work.spanCount(),
                    AttentionLaunch.THREADS,
                    arguments);
        }
        for (int span = 0; launch.hasFew() && !whole && span < work.spanCount(); span += launch.spansAtOnce()) {
            int spanCount = Math.min(launch.spansAtOnce(), work.spanCount() - span);
            long firstSpan = spans + (long) span * AttentionWork.SPAN_INTS * Integer.BYTES;
            for (int tile = 0; tile < launch.tiles(); tile += launch.tilesAtOnce()) {
                int tiles = Math.min(launch.tilesAtOnce(), launch.tiles() - tile);
                ArgumentBlock arguments =
                        attendArguments(shape, sinks, index, firstSpan, bases, queries, state, out, launch);
                addPartials(arguments, cudaStream, launch, spanCount, tiles, tile);
                cudaStream.launch(
                        variant.few(),
                        shape.keyValueHeads() * launch.fewQueryTiles(),
                        tiles,
                        spanCount,
                        AttentionLaunch.THREADS,
                        arguments);
                cudaStream.launch(
                        variant.merge(),
                        launch.fewQueries(),
                        shape.keyValueHeads(),
                        spanCount,
                        Math.ceilDiv(shape.headSize(), WARP) * WARP,
                        arguments);
            }
        }
        if (launch.hasMany()) {
            ArgumentBlock arguments = attendArguments(shape, sinks, index, spans, bases, queries, state, out, launch);
            cudaStream.launch(
                    variant.many(),
                    Math.ceilDiv(launch.manyQueryTiles(), variant.manyQueryTiles()),
                    shape.keyValueHeads(),
                    work.spanCount(),
                    AttentionLaunch.THREADS,
                    arguments);
        }
    }

    private ArgumentBlock attendArguments(
            AttentionShape shape,
            @Nullable AttentionSinks sinks,
            AttentionIndex index,
            long spans,
            BlockBases bases,
            DeviceBuffer queries,
            DeviceBuffer state,
            DeviceBuffer out,
            AttentionLaunch launch) {
        float cap = shape.scoreCap();
        return context.arguments()
                .add(queries.address())
                .add(state.address())
                .add(out.address())
                .add(spans)
                .add(index.rowPositions().address())
                .add(index.blockTable().address())
                .add(index.blocksPerSequence())
                .add(bases.closed())
                .add(bases.open())
                .add(bases.staged())
                .add(bases.recomputed())
                .add(shape.heads())
                .add(shape.keyValueHeads())
                .add(shape.headSize())
                .add(cap > 0 ? 1 : shape.scale() * LOG2_E)
                .add(cap > 0 ? 2 * LOG2_E * shape.scale() / cap : 0)
                .add(cap * LOG2_E)
                .add(sinks == null ? 0L : ((CudaAttentionSinks) sinks).logits())
                .add(shape.window())
                .add(shape.blockTokens())
                .add(shape.cellTokens())
                .add(launch.fewRows());
    }

    private static void addPartials(
            ArgumentBlock arguments, CudaStream stream, AttentionLaunch launch, int spans, int tiles, int firstTile) {
        long acc = stream.workspace().address();
        arguments
                .add(acc)
                .add(acc + launch.accumulatorBytes(spans, tiles))
                .add(launch.fewQueries())
                .add(tiles)
                .add(firstTile);
    }

    @Override
    public void capLogits(Stream stream, DeviceBuffer logits, float factor, float cap, int vocabulary, int rows) {
        long at = logits.address();
        long elements = (long) rows * vocabulary;
        CudaStream cudaStream = (CudaStream) stream;
        if (elements == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments =
                context.arguments().add(at).add(elements).add(factor).add(cap).add(at % VECTOR_BYTES == 0 ? 1 : 0);
        int blocks = blocks(Math.ceilDiv(elements, (long) KernelSet.VECTOR));
        cudaStream.launch(kernels.capLogits, blocks, 1, 1, THREADS, arguments);
    }

    @Override
    public void toFloat(Stream stream, DeviceBuffer in, DeviceBuffer out, long count) {
        long from = in.address();
        long to = out.address();
        CudaStream cudaStream = (CudaStream) stream;
        if (count == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments().add(from).add(to).add(count);
        cudaStream.launch(kernels.toFloat, blocks(count), 1, 1, THREADS, arguments);
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
        CudaStream cudaStream = (CudaStream) stream;
        if (rows == 0 || !cudaStream.isOpen()) {
            return;
        }
        ArgumentBlock arguments = context.arguments()
                .add(from)
                .add(how)
                .add(choices.edits().address())
                .add(choices.masks().address())
                .add(TokenChoices.maskBytes(vocabulary) / Integer.BYTES)
                .add(scratch)
                .add(to)
                .add(vocabulary)
                .add(faults);
        cudaStream.launch(kernels.chooseTokens, rows, 1, 1, CHOOSE_THREADS, arguments);
    }

    /** The number of blocks that give each item a thread. */
    static int blocks(long items) {
        return Math.toIntExact(Math.ceilDiv(items, (long) THREADS));
    }

    /** 1 if rows of {@code width} elements starting at {@code addresses} consist of whole 16-byte vectors, else 0. */
    private static int vectors(int width, long addresses) {
        return width % KernelSet.VECTOR == 0 && addresses % VECTOR_BYTES == 0 ? 1 : 0;
    }

    /** Bytes of {@code rows} rows of {@code width} elements. */
    private long bytes(long rows, long width) {
        return rows * width * elementBytes;
    }
}
