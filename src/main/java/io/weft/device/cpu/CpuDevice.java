package io.weft.device.cpu;

import io.weft.device.AttentionSinks;
import io.weft.device.CheckedKernels;
import io.weft.device.Device;
import io.weft.device.Device.Allocation.Memory;
import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceInfo;
import io.weft.device.ElementType;
import io.weft.device.Embedding;
import io.weft.device.Event;
import io.weft.device.ExpertShape;
import io.weft.device.ExpertWeights;
import io.weft.device.Experts;
import io.weft.device.Graph;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.Linear;
import io.weft.device.LinearShape;
import io.weft.device.MemoryLedger;
import io.weft.device.Norm;
import io.weft.device.QuantisedTensor;
import io.weft.device.RotaryTable;
import io.weft.device.Stream;
import io.weft.device.Tensor;
import io.weft.device.WeightEncoding;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A device made of this machine's cores and memory. Everything is fp32; 16-bit weights are widened when they are
 * loaded, which is exact.
 */
public final class CpuDevice implements Device {
    /** In {@link DeviceInfo#kind}. */
    public static final String KIND = "cpu";

    /** Few, as caches are small. */
    private static final int CELL_TOKENS = 64;

    private final CpuOptions options;
    private final LinkDirection toDevice;
    private final LinkDirection toHost;
    private final Workers workers;
    private final CpuKernels kernels;
    private final Kernels checked;
    private final MemoryLedger ledger;
    private final List<NativeMemory> memory = new ArrayList<>();
    private final List<CpuStream> streams = new ArrayList<>();
    private boolean closed;

    public CpuDevice(CpuOptions options) {
        // Before a class of the kernels is linked.
        VectorModule.add();
        this.options = options;
        this.ledger = new MemoryLedger(options.deviceBudgetBytes(), options.hostBudgetBytes());
        this.toDevice = new LinkDirection(options.linkGigabytesPerSecond());
        this.toHost = new LinkDirection(options.linkGigabytesPerSecond());
        this.workers = new Workers(options.threads());
        this.kernels = new CpuKernels(workers);
        this.checked = new CheckedKernels(elementType(), kernels);
    }

    @Override
    public DeviceInfo info() {
        String link = options.linkGigabytesPerSecond().isPresent()
                ? String.format(
                        Locale.ROOT,
                        "%s GB/s link",
                        options.linkGigabytesPerSecond().getAsDouble())
                : "memory as link";
        String name = "CPU (%s, %d threads, %d lanes, %s)"
                .formatted(System.getProperty("os.arch"), options.threads(), io.weft.device.cpu.Memory.LANES, link);
        return new DeviceInfo(KIND, name, options.deviceBudgetBytes(), options.hostBudgetBytes(), CELL_TOKENS);
    }

    @Override
    public ElementType elementType() {
        return ElementType.F32;
    }

    @Override
    public DeviceBuffer allocate(String purpose, long bytes) {
        MemorySegment segment = allocate(purpose, Memory.DEVICE, bytes);
        return new DeviceBuffer(segment.address(), bytes);
    }

    @Override
    public HostBuffer allocateHost(String purpose, long bytes) {
        return new HostBuffer(allocate(purpose, Memory.HOST, bytes));
    }

    private synchronized MemorySegment allocate(String purpose, Memory where, long bytes) {
        requireOpen();
        ledger.requireRoom(purpose, where, bytes);
        NativeMemory allocated = new NativeMemory(bytes);
        memory.add(allocated);
        ledger.add(purpose, where, bytes);
        return allocated.segment();
    }

    @Override
    public synchronized List<Allocation> allocations() {
        return ledger.allocations();
    }

    @Override
    public synchronized Stream stream(String name) {
        requireOpen();
        CpuStream stream = new CpuStream(name, toDevice, toHost);
        streams.add(stream);
        return stream;
    }

    @Override
    public Event event(Event.Timing timing) {
        return new CpuEvent(timing);
    }

    @Override
    public Kernels kernels() {
        return checked;
    }

    @Override
    public Optional<Graph> capture(Stream stream, Runnable operations) {
        return Optional.of(((CpuStream) stream).capture(operations));
    }

    @Override
    public Linear linear(String purpose, List<? extends Tensor> rows, List<? extends Tensor> bias) {
        LinearShape shape = LinearShape.of(purpose, rows, bias);
        Optional<WeightEncoding> encoding = QuantisedTensor.encodingOf(rows);
        DeviceBuffer to = allocate(purpose, CpuLinear.bytes(shape, encoding));
        CpuLinear linear = CpuLinear.at(shape, encoding, to.address());
        WeightPacker.pack(linear, rows, bias);
        return linear;
    }

    @Override
    public Experts experts(String purpose, List<ExpertWeights> experts) {
        ExpertShape shape = ExpertShape.of(purpose, experts);
        LinearShape gateUp = new LinearShape(2 * shape.innerWidth(), shape.width());
        LinearShape down = new LinearShape(shape.width(), shape.innerWidth());
        long bytes = 0;
        for (ExpertWeights expert : experts) {
            bytes += CpuLinear.bytes(gateUp, QuantisedTensor.encodingOf(expert.gateUp()));
            bytes += CpuLinear.bytes(down, QuantisedTensor.encodingOf(expert.down()));
        }
        DeviceBuffer to = allocate(purpose, bytes);
        List<CpuLinear> gateUps = new ArrayList<>();
        List<CpuLinear> downs = new ArrayList<>();
        long at = to.address();
        for (ExpertWeights expert : experts) {
            gateUps.add(CpuLinear.at(gateUp, QuantisedTensor.encodingOf(expert.gateUp()), at));
            WeightPacker.pack(gateUps.getLast(), expert.gateUp(), expert.gateUpBias());
            at += gateUps.getLast().bytes();
            downs.add(CpuLinear.at(down, QuantisedTensor.encodingOf(expert.down()), at));
            WeightPacker.pack(downs.getLast(), expert.down(), expert.downBias());
            at += downs.getLast().bytes();
        }
        return new CpuExperts(shape, List.copyOf(gateUps), List.copyOf(downs), to.bytes());
    }

    @Override
    public Embedding embedding(Tensor tokens, @Nullable Tensor positions, int positionOffset, float scale) {
        DeviceBuffer tokenTable = upload("token embedding", tokens);
        long positionAddress = 0;
        long bytes = tokenTable.bytes();
        if (positions != null) {
            DeviceBuffer positionTable = upload("position embedding", positions);
            positionAddress = positionTable.address();
            bytes += positionTable.bytes();
        }
        return new CpuEmbedding(
                tokens.columns(), tokens.rows(), tokenTable.address(), positionAddress, positionOffset, scale, bytes);
    }

    @Override
    public Norm norm(Norm.Kind kind, Tensor gain, @Nullable Tensor bias) {
        int width = Math.toIntExact(gain.elements());
        DeviceBuffer weights = allocate("norm", 2L * width * Float.BYTES);
        long biasAddress = weights.address() + (long) width * Float.BYTES;
        WeightPacker.widen(gain, weights.address());
        if (bias == null) {
            WeightPacker.clear(biasAddress, width);
        } else {
            WeightPacker.widen(bias, biasAddress);
        }
        return new CpuNorm(kind, width, weights.address(), biasAddress);
    }

    @Override
    public AttentionSinks attentionSinks(Tensor logits) {
        return new CpuAttentionSinks(
                logits.rows(), upload("attention sinks", logits).address());
    }

    @Override
    public RotaryTable rotaryTable(
            List<float[]> inverseFrequencies, float magnitude, int positions, RotaryTable.Layout layout) {
        int half = inverseFrequencies.getFirst().length;
        int rows = Math.multiplyExact(inverseFrequencies.size(), positions);
        long tableBytes = (long) rows * half * Float.BYTES;
        DeviceBuffer tables = allocate("rotary table", 2 * tableBytes);
        long sines = tables.address() + tableBytes;
        for (int row = 0; row < rows; row++) {
            for (int j = 0; j < half; j++) {
                // The angle is rounded to fp32, as in the training of the models.
                double angle = (float) (row % positions) * inverseFrequencies.get(row / positions)[j];
                long at = ((long) row * half + j) * Float.BYTES;
                io.weft.device.cpu.Memory.setFloat(tables.address() + at, (float) (Math.cos(angle) * magnitude));
                io.weft.device.cpu.Memory.setFloat(sines + at, (float) (Math.sin(angle) * magnitude));
            }
        }
        return new CpuRotaryTable(2 * half, rows, layout, tables.address(), sines);
    }

    private DeviceBuffer upload(String purpose, Tensor tensor) {
        DeviceBuffer to = allocate(purpose, (long) tensor.rows() * tensor.columns() * Float.BYTES);
        WeightPacker.widen(tensor, to.address());
        return to;
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the device is closed");
        }
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            streams.forEach(CpuStream::close);
            workers.close();
            kernels.close();
            memory.forEach(NativeMemory::free);
        }
    }
}
