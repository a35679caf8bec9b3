package io.weft.device.cuda;

import io.weft.device.AttentionSinks;
import io.weft.device.CheckedKernels;
import io.weft.device.Device;
import io.weft.device.Device.Allocation.Memory;
import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceException;
import io.weft.device.DeviceInfo;
import io.weft.device.ElementType;
import io.weft.device.Embedding;
import io.weft.device.Event;
import io.weft.device.ExpertShape;
import io.weft.device.ExpertWeights;
import io.weft.device.Experts;
import io.weft.device.Graph;
import io.weft.device.HostBuffer;
import io.weft.device.HostRegion;
import io.weft.device.Kernels;
import io.weft.device.Linear;
import io.weft.device.LinearShape;
import io.weft.device.MemoryLedger;
import io.weft.device.Norm;
import io.weft.device.OutOfMemoryBudgetException;
import io.weft.device.QuantisedTensor;
import io.weft.device.RotaryTable;
import io.weft.device.Stream;
import io.weft.device.Tensor;
import io.weft.device.WeightEncoding;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * An NVIDIA GPU with compute capability 8.0 or more. Weights are converted to the element type when they are loaded;
 * norms, rotary tables and all sums are fp32.
 */
public final class CudaDevice implements Device {
    /**
     * Scratch memory of one stream, for matrix products and attention's partial results. The first stream that needs it
     * gets the memory that was allocated at start. Others get memory outside the budget, which may be full by then.
     */
    static final long WORKSPACE_BYTES = 2 * MatrixProducts.WORKSPACE_BYTES;

    private static final long ALIGNMENT_BYTES = 256;
    private static final String UNPACKED_WEIGHTS = "unpacked weights";

    private final CudaOptions options;
    private final CudaHealth health = new CudaHealth();
    private final CudaContext context;
    private final CublasLt cublas;
    private final MemorySegment faultMemory;
    private final EventWatcher watcher;
    private final MatrixProducts products;
    private final Kernels kernels;
    private final int headSizeMost;
    private final WeightLoader loader;
    private final MemoryLedger ledger;
    private final List<DeviceBuffer> deviceMemory = new ArrayList<>();
    private final List<MemorySegment> smallHostMemory = new ArrayList<>();
    private final List<PinnedMemory> largeHostMemory = new ArrayList<>();
    private final List<CudaStream> streams = new ArrayList<>();
    private final List<CudaGraph> graphs = new ArrayList<>();
    private final ScratchPool workspaces = new ScratchPool(this::moreWorkspace);
    private final ScratchPool unpackedWeights = new ScratchPool(this::moreUnpackedWeights);
    /** Room for the largest quantised matrix's elements, within the budget. */
    private @Nullable DeviceBuffer largestUnpacked;

    private boolean closed;

    /**
     * Opens a GPU.
     *
     * @throws DeviceException if {@link CudaProbe#missing} has a reason, or the driver refuses
     * @throws OutOfMemoryBudgetException if the budgets do not hold workspace and transfer buffers
     */
    public CudaDevice(CudaOptions options) {
        CudaProbe.missing(options).ifPresent(reason -> {
            throw new DeviceException(reason);
        });
        this.options = options;
        this.ledger = new MemoryLedger(options.deviceBudgetBytes(), options.hostBudgetBytes());
        JCudaLibrary.load();
        this.context = new CudaContext(options.ordinal(), CudaProbe.kernels());
        this.cublas = new CublasLt(CublasLt.find(options.cublasPath()).orElseThrow(), context.arena());
        this.faultMemory = context.allocateHost("fault record", FaultRecord.BYTES);
        FaultRecord faults = new FaultRecord(faultMemory);
        this.watcher = new EventWatcher(context, health, faults);
        KernelSet kernelSet = new KernelSet(context::kernel, options.elementType(), context.gpu());
        this.headSizeMost = kernelSet.headSizeMost();
        this.products = new MatrixProducts(cublas, options.elementType(), context.arena());
        this.kernels = new CheckedKernels(
                options.elementType(), new CudaKernels(context, kernelSet, products, options.elementType(), faults));
        try {
            workspaces.giveBack(allocate("kernel workspace", WORKSPACE_BYTES));
            this.loader = new WeightLoader(
                    context,
                    kernelSet,
                    options.elementType(),
                    newStream("weights"),
                    allocateHost("weight transfer", WeightLoader.buffersBytes()),
                    allocate("weight transfer", WeightLoader.buffersBytes()),
                    new CudaEvent(context, health, watcher, Event.Timing.UNTIMED),
                    new CudaEvent(context, health, watcher, Event.Timing.UNTIMED));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * Bytes of device memory that are free on a GPU now, for choosing a budget.
     *
     * @throws DeviceException if {@link CudaProbe#missing} has a reason
     */
    public static long freeDeviceBytes(CudaOptions options) {
        CudaProbe.missing(options).ifPresent(reason -> {
            throw new DeviceException(reason);
        });
        JCudaLibrary.load();
        try (CudaContext context = new CudaContext(options.ordinal(), CudaProbe.kernels())) {
            return context.freeBytes();
        }
    }

    @Override
    public DeviceInfo info() {
        String name = "%s (%d multiprocessors, %s)"
                .formatted(context.name(), context.multiprocessors(), options.elementType());
        return new DeviceInfo(
                "cuda", name, options.deviceBudgetBytes(), options.hostBudgetBytes(), options.cellTokens());
    }

    @Override
    public ElementType elementType() {
        return options.elementType();
    }

    @Override
    public synchronized DeviceBuffer allocate(String purpose, long bytes) {
        reserve(purpose, Memory.DEVICE, bytes);
        DeviceBuffer buffer = new DeviceBuffer(context.allocate(purpose, bytes), bytes);
        deviceMemory.add(buffer);
        ledger.add(purpose, Memory.DEVICE, bytes);
        return buffer;
    }

    @Override
    public synchronized HostBuffer allocateHost(String purpose, long bytes) {
        reserve(purpose, Memory.HOST, bytes);
        MemorySegment segment;
        if (bytes <= PinnedMemory.SLAB_BYTES) {
            segment = context.allocateHost(purpose, bytes);
            smallHostMemory.add(segment);
        } else {
            PinnedMemory memory = new PinnedMemory(context, purpose, bytes);
            largeHostMemory.add(memory);
            memory.pinAll();
            segment = memory.memory().segment();
        }
        ledger.add(purpose, Memory.HOST, bytes);
        return new HostBuffer(segment);
    }

    @Override
    public synchronized HostRegion reserveHost(String purpose, long bytes) {
        if (bytes <= PinnedMemory.SLAB_BYTES) {
            return HostRegion.of(allocateHost(purpose, bytes));
        }
        reserve(purpose, Memory.HOST, bytes);
        PinnedMemory memory = new PinnedMemory(context, purpose, bytes);
        largeHostMemory.add(memory);
        memory.extend();
        ledger.add(purpose, Memory.HOST, bytes);
        return memory;
    }

    private void reserve(String purpose, Memory where, long bytes) {
        requireOpen();
        ledger.requireRoom(purpose, where, bytes);
    }

    @Override
    public synchronized List<Allocation> allocations() {
        return ledger.allocations();
    }

    @Override
    public Stream stream(String name) {
        return newStream(name);
    }

    private synchronized CudaStream newStream(String name) {
        requireOpen();
        CudaStream stream = new CudaStream(name, context, health, workspaces, unpackedWeights);
        streams.add(stream);
        return stream;
    }

    private DeviceBuffer moreWorkspace(String stream) {
        return outsideBudget("kernel workspace of " + stream, WORKSPACE_BYTES);
    }

    private DeviceBuffer moreUnpackedWeights(String stream) {
        return outsideBudget(UNPACKED_WEIGHTS + " of " + stream, unpackedBytesMost());
    }

    private synchronized long unpackedBytesMost() {
        return largestUnpacked == null ? 0 : largestUnpacked.bytes();
    }

    private synchronized DeviceBuffer outsideBudget(String purpose, long bytes) {
        requireOpen();
        DeviceBuffer buffer = new DeviceBuffer(context.allocate(purpose, bytes), bytes);
        deviceMemory.add(buffer);
        return buffer;
    }

    /** Makes room for a quantised matrix's elements. A stream that has taken less keeps it until it needs more. */
    private void reserveUnpacked(long bytes) {
        DeviceBuffer before = largestUnpacked;
        if (before != null && before.bytes() >= bytes) {
            return;
        }
        if (before != null && unpackedWeights.remove(before)) {
            deviceMemory.remove(before);
            context.free(before.address());
            ledger.remove(UNPACKED_WEIGHTS, Memory.DEVICE);
        }
        DeviceBuffer largest = allocate(UNPACKED_WEIGHTS, bytes);
        largestUnpacked = largest;
        unpackedWeights.giveBack(largest);
    }

    @Override
    public synchronized Event event(Event.Timing timing) {
        requireOpen();
        return new CudaEvent(context, health, watcher, timing);
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }

    @Override
    public int headSizeMost() {
        return headSizeMost;
    }

    @Override
    public Optional<Graph> capture(Stream stream, Runnable operations) {
        CudaStream cudaStream = (CudaStream) stream;
        if (!cudaStream.isOpen()) {
            return Optional.empty();
        }
        try {
            CudaGraph graph = CudaGraph.capture(context, cudaStream, operations);
            keep(graph);
            return Optional.of(graph);
        } catch (DeviceException e) {
            System.getLogger(CudaDevice.class.getName())
                    .log(
                            System.Logger.Level.WARNING,
                            "kernels are launched one by one, not as a graph: " + e.getMessage());
            return Optional.empty();
        }
    }

    private synchronized void keep(CudaGraph graph) {
        graphs.removeIf(CudaGraph::isClosed);
        graphs.add(graph);
    }

    @Override
    public synchronized Linear linear(String purpose, List<? extends Tensor> rows, List<? extends Tensor> bias) {
        LinearShape shape = LinearShape.of(purpose, rows, bias);
        int outFeatures = shape.outFeatures();
        int inFeatures = shape.inFeatures();
        Optional<WeightEncoding> encoding =
                QuantisedTensor.encodingOf(rows).filter(candidate -> QuantisedMemory.holds(candidate, inFeatures));
        if (encoding.isPresent()) {
            return quantised(purpose, shape, encoding.get(), rows, bias);
        }
        long weightBytes =
                padded((long) outFeatures * inFeatures * elementType().bytes());
        long biasBytes = bias.isEmpty() ? 0 : (long) outFeatures * elementType().bytes();
        DeviceBuffer to = allocate(purpose, weightBytes + biasBytes);
        loadAll(rows, to.address());
        loadAll(bias, to.address() + weightBytes);
        loader.finish();
        long biasAddress = bias.isEmpty() ? 0 : to.address() + weightBytes;
        return new CudaLinear(
                outFeatures,
                inFeatures,
                to.address(),
                Optional.empty(),
                biasAddress,
                to.bytes(),
                products.describe(biasAddress));
    }

    private Linear quantised(
            String purpose,
            LinearShape shape,
            WeightEncoding encoding,
            List<? extends Tensor> rows,
            List<? extends Tensor> bias) {
        int outFeatures = shape.outFeatures();
        int inFeatures = shape.inFeatures();
        long weightBytes = padded(QuantisedMemory.codeBytes(encoding, outFeatures, inFeatures)
                + QuantisedMemory.scaleBytes(encoding, outFeatures, inFeatures));
        long biasBytes = bias.isEmpty() ? 0 : (long) outFeatures * elementType().bytes();
        reserveUnpacked((long) outFeatures * inFeatures * elementType().bytes());
        DeviceBuffer to = allocate(purpose, weightBytes + biasBytes);
        QuantisedMemory memory = QuantisedMemory.at(to.address(), encoding, outFeatures, inFeatures);
        int row = 0;
        for (Tensor part : rows) {
            loader.load((QuantisedTensor) part, memory, row);
            row += part.rows();
        }
        long biasAddress = bias.isEmpty() ? 0 : to.address() + weightBytes;
        loadAll(bias, biasAddress);
        loader.finish();
        return new CudaLinear(
                outFeatures,
                inFeatures,
                0,
                Optional.of(memory),
                biasAddress,
                to.bytes(),
                products.describe(biasAddress));
    }

    @Override
    public synchronized Experts experts(String purpose, List<ExpertWeights> experts) {
        ExpertShape shape = ExpertShape.of(purpose, experts);
        ExpertMatrices gateUp = new ExpertMatrices(
                experts.stream().map(ExpertWeights::gateUp).toList(),
                experts.stream().map(ExpertWeights::gateUpBias).toList());
        ExpertMatrices down = new ExpertMatrices(
                experts.stream().map(ExpertWeights::down).toList(),
                experts.stream().map(ExpertWeights::downBias).toList());
        long gateUpBytes = gateUp.bytes(elementType());
        DeviceBuffer to = allocate(purpose, gateUpBytes + down.bytes(elementType()));
        CudaExperts loaded = new CudaExperts(
                shape,
                gateUp.load(loader, elementType(), to.address()),
                down.load(loader, elementType(), to.address() + gateUpBytes),
                to.bytes());
        loader.finish();
        return loaded;
    }

    private void loadAll(List<? extends Tensor> parts, long to) {
        long address = to;
        for (Tensor part : parts) {
            loader.load(part, address);
            address += part.elements() * elementType().bytes();
        }
    }

    @Override
    public synchronized Embedding embedding(
            Tensor tokens, @Nullable Tensor positions, int positionOffset, float scale) {
        DeviceBuffer tokenTable = upload("token embedding", tokens);
        DeviceBuffer positionTable = positions == null ? null : upload("position embedding", positions);
        loader.finish();
        return new CudaEmbedding(
                tokens.columns(),
                tokens.rows(),
                tokenTable.address(),
                positionTable == null ? 0 : positionTable.address(),
                positions == null ? 0 : positions.rows(),
                positionOffset,
                scale,
                tokenTable.bytes() + (positionTable == null ? 0 : positionTable.bytes()));
    }

    private DeviceBuffer upload(String purpose, Tensor tensor) {
        DeviceBuffer to = allocate(purpose, tensor.elements() * elementType().bytes());
        loader.load(tensor, to.address());
        return to;
    }

    @Override
    public synchronized Norm norm(Norm.Kind kind, Tensor gain, @Nullable Tensor bias) {
        int width = Math.toIntExact(gain.elements());
        CudaKernels.normThreads(width);
        DeviceBuffer weights = allocate("norm", 2L * width * Float.BYTES);
        float[] values = new float[2 * width];
        for (int j = 0; j < width; j++) {
            values[j] = gain.element(j);
            values[width + j] = bias == null ? 0 : bias.element(j);
        }
        loader.loadFloats(values, weights.address());
        loader.finish();
        return new CudaNorm(kind, width, weights.address(), weights.address() + (long) width * Float.BYTES);
    }

    @Override
    public synchronized AttentionSinks attentionSinks(Tensor logits) {
        float[] values = new float[logits.rows()];
        for (int head = 0; head < values.length; head++) {
            values[head] = logits.element(head);
        }
        DeviceBuffer to = allocate("attention sinks", (long) values.length * Float.BYTES);
        loader.loadFloats(values, to.address());
        loader.finish();
        return new CudaAttentionSinks(values.length, to.address());
    }

    @Override
    public synchronized RotaryTable rotaryTable(
            List<float[]> inverseFrequencies, float magnitude, int positions, RotaryTable.Layout layout) {
        int half = inverseFrequencies.getFirst().length;
        int rows = Math.multiplyExact(inverseFrequencies.size(), positions);
        int elements = Math.multiplyExact(rows, half);
        DeviceBuffer tables = allocate("rotary table", 2L * elements * Float.BYTES);
        float[] cosines = new float[elements];
        float[] sines = new float[elements];
        // On one thread this takes longer than some models' weights.
        IntStream.range(0, rows).parallel().forEach(row -> {
            float[] frequencies = inverseFrequencies.get(row / positions);
            for (int j = 0; j < half; j++) {
                // The angle is rounded to fp32, as in the training of the models.
                double angle = (float) (row % positions) * frequencies[j];
                cosines[row * half + j] = (float) (Math.cos(angle) * magnitude);
                sines[row * half + j] = (float) (Math.sin(angle) * magnitude);
            }
        });
        long sineAddress = tables.address() + (long) elements * Float.BYTES;
        loader.loadFloats(cosines, tables.address());
        loader.loadFloats(sines, sineAddress);
        loader.finish();
        return new CudaRotaryTable(2 * half, rows, layout, tables.address(), sineAddress);
    }

    static long padded(long bytes) {
        return Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the device is closed");
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        streams.forEach(CudaStream::close);
        if (!context.synchronize()) {
            // Issued work did not run; the events after it have the reason.
            health.fail(new DeviceException("cuCtxSynchronize failed while the device was closed"));
        }
        watcher.close();
        if (!health.failed()) {
            cublas.close();
        }
        graphs.forEach(CudaGraph::close);
        deviceMemory.forEach(buffer -> context.free(buffer.address()));
        smallHostMemory.forEach(segment -> context.freeHost(segment.address()));
        largeHostMemory.forEach(PinnedMemory::free);
        context.freeHost(faultMemory.address());
        context.close();
    }
}
