package io.weft.pipeline;

import io.weft.cache.BlockHome;
import io.weft.cache.CacheSequence;
import io.weft.cache.KvCache;
import io.weft.device.BlockBases;
import io.weft.device.BlockPlaces;
import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceRows;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.model.ModelKernels;
import io.weft.model.ModelKernels.AttendBuffers;
import io.weft.model.ModelKernels.EmbedBuffers;
import io.weft.model.ModelKernels.FeedForwardBuffers;
import io.weft.model.ModelKernels.HeadBuffers;
import io.weft.model.ModelKernels.HeadWork;
import io.weft.model.ModelKernels.ProjectBuffers;
import io.weft.model.ModelWeights;
import io.weft.plan.step.BlockRun;
import io.weft.plan.step.Chunk;
import io.weft.plan.step.ChunkLayout;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepPlan;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Turns each stage into copies and kernels on its stream. */
final class StageIssuer {
    private final Kernels kernels;
    private final ModelKernels model;
    private final int vocabularySize;
    /** The index of each layer among those of its kind, with a window or without. */
    private final int[] placeOfLayer;

    private final KvCache cache;
    private final CacheGeometry geometry;
    private final Workspace workspace;
    private final StepIndex index;
    private final ProjectBuffers projectBuffers;
    private final AttendBuffers attendBuffers;
    private final FeedForwardBuffers feedForwardBuffers;
    private final HeadBuffers headBuffers;

    StageIssuer(Kernels kernels, ModelWeights weights, KvCache cache, Workspace workspace, StepIndex index) {
        this.kernels = kernels;
        this.cache = cache;
        this.geometry = cache.geometry();
        this.model = new ModelKernels(kernels, weights, geometry);
        this.vocabularySize = geometry.dimensions().vocabularySize();
        this.placeOfLayer = new int[geometry.dimensions().layerCount()];
        for (List<Integer> layers : List.of(geometry.cachedLayers(), geometry.windowLayers())) {
            for (int place = 0; place < layers.size(); place++) {
                placeOfLayer[layers.get(place)] = place;
            }
        }
        this.workspace = workspace;
        this.index = index;
        this.projectBuffers = new ProjectBuffers(
                workspace.hidden(),
                workspace.normed(),
                workspace.queries(),
                workspace.keyValues(),
                workspace.attention());
        this.attendBuffers = new AttendBuffers(workspace.queries(), workspace.state(), workspace.attention());
        this.feedForwardBuffers = new FeedForwardBuffers(
                workspace.attention(),
                workspace.hidden(),
                workspace.normed(),
                workspace.feedForwardNormed(),
                workspace.feedForwardIn(),
                workspace.feedForwardInner(),
                workspace.experts());
        this.headBuffers = new HeadBuffers(
                workspace.hidden(),
                workspace.headIn(),
                workspace.logits(),
                workspace.floatLogits(),
                workspace.scores(),
                workspace.tokens());
    }

    /**
     * Shared by the stages of one step.
     *
     * @param batch sequences of the step
     * @param plan plan of the step
     * @param arrays index arrays on the device
     * @param staging memory that {@code plan.staging()} divides
     * @param firstSlot the first slot that the step uses
     * @param chunks the chunks of the plan
     */
    record StepContext(
            StepBatch batch,
            StepPlan plan,
            StepIndex.Arrays arrays,
            DeviceBuffer staging,
            int firstSlot,
            List<PlacedChunk> chunks) {
        static StepContext of(
                CacheGeometry geometry,
                StepBatch batch,
                StepPlan plan,
                StepIndex.Arrays arrays,
                DeviceBuffer staging,
                int firstSlot) {
            List<PlacedChunk> chunks = plan.chunks().stream()
                    .map(chunk -> PlacedChunk.of(geometry, chunk, batch))
                    .toList();
            return new StepContext(batch, plan, arrays, staging, firstSlot, chunks);
        }

        /** The context of a step that continues this one. */
        StepContext next() {
            return new StepContext(batch, plan, arrays, staging, plan.nextFirstSlot(firstSlot), chunks);
        }

        Chunk chunk(int chunk) {
            return plan.chunks().get(chunk);
        }

        ChunkLayout layout(int chunk) {
            return chunks.get(chunk).layout();
        }

        StepIndex.ChunkArrays arrays(int chunk) {
            return arrays.chunks().get(chunk);
        }

        DeviceBuffer slot(int layer, int chunk) {
            StagingLayout layout = plan.staging();
            return staging.slice(layout.slotOffset(plan.slot(firstSlot, layer, chunk)), layout.slotBytes());
        }

        /** Memory for K and V that are recomputed or decoded. */
        DeviceBuffer workspace() {
            StagingLayout layout = plan.staging();
            return staging.slice(layout.workspaceOffset(), layout.workspaceBytes());
        }

        CacheSequence sequence(int sequence) {
            return batch.sequences().get(sequence).cache();
        }
    }

    /**
     * Where a chunk's blocks are.
     *
     * @param layout of slot and workspace
     * @param sources by part: on the host, in the order of the part
     */
    private record PlacedChunk(ChunkLayout layout, List<List<HostBlocks>> sources) {
        static PlacedChunk of(CacheGeometry geometry, Chunk chunk, StepBatch batch) {
            List<List<HostBlocks>> sources = new ArrayList<>(chunk.parts().size());
            for (Chunk.Part part : chunk.parts()) {
                sources.add(part.isOnHost() ? neighbours(part.runs(), batch) : List.of());
            }
            return new PlacedChunk(new ChunkLayout(geometry, chunk), sources);
        }
    }

    /** Blocks that are neighbours in host memory, in every layer. */
    private record HostBlocks(BlockHome.OnHost first, int blocks) {}

    private static List<HostBlocks> neighbours(List<BlockRun> runs, StepBatch batch) {
        List<HostBlocks> neighbours = new ArrayList<>();
        BlockHome.@Nullable OnHost first = null;
        int blocks = 0;
        for (BlockRun run : runs) {
            CacheSequence sequence = batch.sequences().get(run.sequence()).cache();
            for (int block = run.firstBlock(); block < run.firstBlock() + run.blocks(); block++) {
                BlockHome.OnHost home = onHost(sequence, block);
                if (first != null && home.follows(first, blocks)) {
                    blocks++;
                } else {
                    if (first != null) {
                        neighbours.add(new HostBlocks(first, blocks));
                    }
                    first = home;
                    blocks = 1;
                }
            }
        }
        if (first != null) {
            neighbours.add(new HostBlocks(first, blocks));
        }
        return neighbours;
    }

    void issue(Stage stage, Stream stream, StepContext step) {
        switch (stage) {
            case Stage.Upload upload -> index.upload(kernels, stream);
            case Stage.Embed embed -> embed(embed, stream, step);
            case Stage.Transfer transfer -> transfer(transfer, stream, step);
            case Stage.Gather gather -> gather(gather, stream, step);
            case Stage.Decode decode -> decode(decode, stream, step);
            case Stage.Encode encode -> encode(encode, stream, step);
            case Stage.Project project -> project(project, stream, step);
            case Stage.Recompute recompute -> recompute(recompute, stream, step);
            case Stage.Attend attend -> attend(attend, stream, step);
            case Stage.AttendWindow attend -> attendWindow(attend, stream, step);
            case Stage.FeedForward feedForward -> feedForward(feedForward, stream);
            case Stage.StoreOnDevice store -> storeOnDevice(stream, step);
            case Stage.WriteOut writeOut -> writeOut(writeOut, stream, step);
            case Stage.Promote promote -> promote(stream, step);
            case Stage.Head _ -> model.head(stream, headBuffers, headWork(step));
            case Stage.Download download -> download(download, stream, step);
        }
    }

    private void embed(Stage.Embed stage, Stream stream, StepContext step) {
        StepIndex.Arrays arrays = step.arrays();
        EmbedBuffers buffers = new EmbedBuffers(
                arrays.tokenIds(), arrays.places().positions(), workspace.hidden(), workspace.normed());
        model.embed(stream, buffers, stage.rows());
    }

    private void transfer(Stage.Transfer stage, Stream stream, StepContext step) {
        int part = step.chunk(stage.chunk()).indexOf(new CacheForm(stage.encoding(), Place.HOST));
        PlacedChunk chunk = step.chunks().get(stage.chunk());
        DeviceBuffer slot = step.slot(stage.layer(), stage.chunk());
        copy(
                chunk.sources().get(part),
                placeOfLayer[stage.layer()],
                slot.from(chunk.layout().arrivalOffset(part)),
                stream);
    }

    /** Copies blocks of the layer at a place into {@code to}, one after the other. */
    private static void copy(List<HostBlocks> from, int place, DeviceBuffer to, Stream stream) {
        List<HostBuffer> pieces = new ArrayList<>(from.size());
        for (HostBlocks neighbours : from) {
            pieces.add(neighbours.first().layer(place, neighbours.blocks()));
        }
        stream.copyToDevice(pieces, to.slice(0, HostBuffer.bytes(pieces)));
    }

    private void gather(Stage.Gather stage, Stream stream, StepContext step) {
        Chunk chunk = step.chunk(stage.chunk());
        int part = chunk.indexOf(CacheForm.DEVICE_ACT);
        long blockBytes = geometry.blockLayerBytes(Content.ACTIVATION);
        kernels.gatherRows(
                stream,
                cache.deviceMemory().from(placeOfLayer[stage.layer()] * blockBytes),
                Math.toIntExact(blockBytes),
                step.arrays(stage.chunk()).sources().get(part),
                step.slot(stage.layer(), stage.chunk())
                        .from(step.layout(stage.chunk()).activationOffset(part)),
                chunk.parts().get(part).blocks());
    }

    private void decode(Stage.Decode stage, Stream stream, StepContext step) {
        Encoding encoding = stage.encoding();
        Chunk chunk = step.chunk(stage.chunk());
        ChunkLayout layout = step.layout(stage.chunk());
        int part = chunk.indexOf(new CacheForm(encoding, stage.place()));
        DeviceBuffer slot = step.slot(stage.layer(), stage.chunk());
        DeviceBuffer from = switch (stage.place()) {
            case HOST -> slot.from(layout.arrivalOffset(part));
            case DEVICE -> cache.deviceMemory().from(placeOfLayer[stage.layer()] * geometry.blockLayerBytes(encoding));
        };
        DeviceBuffer to = switch (encoding.content()) {
            case ACTIVATION -> slot.from(layout.activationOffset(part));
            case KEY_VALUE -> step.workspace().from(layout.keyValueOffset(part));
        };
        StepIndex.ChunkArrays arrays = step.arrays(stage.chunk());
        kernels.decodeBlocks(
                stream,
                encoding.code().orElseThrow(),
                geometry.blockValues(encoding.content()),
                new BlockPlaces(from, arrays.sources().get(part)),
                new BlockPlaces(to, arrays.decoded().get(part)),
                chunk.parts().get(part).blocks());
    }

    private void encode(Stage.Encode stage, Stream stream, StepContext step) {
        Encoding encoding = stage.encoding();
        StepIndex.CodedArrays arrays =
                Objects.requireNonNull(step.arrays().coded().get(encoding));
        DeviceBuffer open = openLayer(stage.layer());
        kernels.encodeBlocks(
                stream,
                encoding.code().orElseThrow(),
                geometry.blockValues(encoding.content()),
                new BlockPlaces(open.from(geometry.openOffset(encoding.raw())), arrays.blocks()),
                new BlockPlaces(open.from(geometry.openOffset(encoding)), arrays.blocks()),
                arrays.misfits(),
                stage.blocks());
        if (geometry.policy().isLossy()) {
            kernels.decodeBlocks(
                    stream,
                    encoding.code().orElseThrow(),
                    geometry.blockValues(encoding.content()),
                    new BlockPlaces(open.from(geometry.openOffset(encoding)), arrays.blocks()),
                    new BlockPlaces(open.from(geometry.openDecodedOffset()), arrays.blocks()),
                    stage.blocks());
        }
    }

    private void project(Stage.Project stage, Stream stream, StepContext step) {
        int layer = stage.layer();
        boolean isWindowed = geometry.dimensions().isWindowed(layer);
        model.project(
                stream,
                layer,
                projectBuffers,
                isWindowed ? window(step).places() : step.arrays().places(),
                isWindowed ? ringLayer(layer) : openLayer(layer),
                stage.rows());
    }

    private void recompute(Stage.Recompute stage, Stream stream, StepContext step) {
        model.recompute(
                stream,
                stage.layer(),
                step.slot(stage.layer(), stage.chunk()),
                step.workspace(),
                step.arrays(stage.chunk()).blockPositions(),
                stage.tokens());
    }

    private void attend(Stage.Attend stage, Stream stream, StepContext step) {
        Chunk chunk = step.chunk(stage.chunk());
        long staged = chunk.isStaged() ? step.slot(stage.layer(), stage.chunk()).address() : 0;
        BlockBases bases = new BlockBases(
                cache.deviceAddress() + placeOfLayer[stage.layer()] * geometry.blockLayerBytes(Content.KEY_VALUE),
                openLayer(stage.layer()).address(),
                staged,
                step.workspace().address());
        model.attend(
                stream,
                stage.layer(),
                step.arrays().attention(),
                step.arrays(stage.chunk()).work(),
                bases,
                attendBuffers);
    }

    private void attendWindow(Stage.AttendWindow stage, Stream stream, StepContext step) {
        StepIndex.WindowArrays window = window(step);
        long base = ringLayer(stage.layer()).address();
        BlockBases bases = new BlockBases(base, base, base, base);
        model.attend(stream, stage.layer(), window.attention(), window.work(), bases, attendBuffers);
    }

    private static StepIndex.WindowArrays window(StepContext step) {
        return step.arrays().window().orElseThrow();
    }

    private void feedForward(Stage.FeedForward stage, Stream stream) {
        model.feedForward(stream, stage.layer(), feedForwardBuffers, stage.rows());
    }

    private void storeOnDevice(Stream stream, StepContext step) {
        int layers = geometry.cachedLayerCount();
        forEachClosing(step, (home, open) -> {
            if (home instanceof BlockHome.OnDevice onDevice) {
                Encoding encoding = home.form().encoding();
                long bytes = geometry.blockLayerBytes(encoding);
                DeviceBuffer from = open.from(geometry.openOffset(encoding));
                stream.copyOnDevice(
                        new DeviceRows(from, geometry.openLayerBytes(), bytes, layers),
                        new DeviceRows(onDevice.memory(), bytes, bytes, layers));
            }
        });
    }

    private void writeOut(Stage.WriteOut stage, Stream stream, StepContext step) {
        forEachClosing(step, (home, open) -> {
            if (home instanceof BlockHome.OnHost onHost) {
                stream.copyToHost(
                        openPart(open, placeOfLayer[stage.layer()], home.form().encoding()),
                        onHost.layer(placeOfLayer[stage.layer()], 1));
            }
        });
    }

    private void promote(Stream stream, StepContext step) {
        for (StepSequence sequence : step.batch().sequences()) {
            for (CacheSequence.Arrival arrival : sequence.cache().arrivals()) {
                List<HostBuffer> layers = new ArrayList<>();
                for (int place = 0; place < geometry.cachedLayerCount(); place++) {
                    layers.add(arrival.from().layer(place, 1));
                }
                stream.copyToDevice(layers, arrival.to().memory());
            }
        }
    }

    /** Handles an open block that the step fills. */
    private interface ClosingBlock {
        void close(BlockHome home, DeviceBuffer open);
    }

    private static void forEachClosing(StepContext step, ClosingBlock action) {
        for (StepSequence sequence : step.batch().sequences()) {
            CacheSequence cached = sequence.cache();
            for (int i = 0; i < cached.closingBlocks(); i++) {
                action.close(
                        cached.home(cached.closedBlocks() + i),
                        cached.openBlocks().get(i));
            }
        }
    }

    /**
     * Chooses the tokens of a step whose head was issued. They are chosen apart from the head's other kernels, since
     * masks may be finished only while these run.
     */
    void choose(Stream stream, StepContext step) {
        int maskBytes = TokenChoices.maskBytes(vocabularySize);
        long usedBytes = 0;
        for (StepSequence sequence : step.batch().sequences()) {
            for (TokenChoice choice : sequence.choices()) {
                if (choice.mask().isPresent()) {
                    MemorySegment bits = workspace.hostMasks().segment().asSlice(usedBytes, maskBytes);
                    choice.mask().get().write(bits.fill((byte) 0));
                    usedBytes += maskBytes;
                }
            }
        }
        if (usedBytes > 0) {
            kernels.readHost(
                    stream,
                    workspace.hostMasks().slice(0, usedBytes),
                    workspace.masks().slice(0, usedBytes));
        }
        model.choose(stream, headBuffers, headWork(step));
    }

    private static HeadWork headWork(StepContext step) {
        StepIndex.Arrays arrays = step.arrays();
        HeadShape shape = step.plan().shape().head();
        return new HeadWork(arrays.headRows(), arrays.choices(), shape.rows(), shape.tokens(), shape.logits());
    }

    private void download(Stage.Download stage, Stream stream, StepContext step) {
        stream.copyToHost(
                workspace.tokens().slice(0, stage.tokenBytes()),
                workspace.hostTokens().slice(0, stage.tokenBytes()));
        stream.copyToHost(
                workspace.floatLogits().slice(0, stage.logitBytes()),
                workspace.hostLogits().slice(0, stage.logitBytes()));
        step.arrays().coded().values().forEach(coded -> stream.copyToHost(coded.misfits(), coded.hostMisfits()));
    }

    /** The open blocks in one layer; offsets in the index count from its start. */
    private DeviceBuffer openLayer(int layer) {
        return cache.openMemory().from(placeOfLayer[layer] * geometry.openLayerBytes());
    }

    /** The rings in one layer; offsets in the index count from its start. */
    private DeviceBuffer ringLayer(int layer) {
        return cache.deviceMemory().from(placeOfLayer[layer] * geometry.windowBlockLayerBytes());
    }

    /** What a full block of an encoding holds, in an open block, in the cached layer at a place. */
    private DeviceBuffer openPart(DeviceBuffer open, int place, Encoding encoding) {
        return open.slice(
                place * geometry.openLayerBytes() + geometry.openOffset(encoding), geometry.blockLayerBytes(encoding));
    }

    private static BlockHome.OnHost onHost(CacheSequence sequence, int block) {
        if (sequence.place(block) instanceof BlockHome.OnHost home) {
            return home;
        }
        throw new IllegalArgumentException("the plan transfers block " + block + ", which is not on the host");
    }
}
