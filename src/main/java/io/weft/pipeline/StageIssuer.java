package io.weft.pipeline;

import io.weft.cache.BlockHome;
import io.weft.cache.CacheSequence;
import io.weft.cache.KvCache;
import io.weft.device.BlockBases;
import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceRows;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
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
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepPlan;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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
     * @param sources sources of the chunks, one entry per chunk
     */
    record StepContext(
            StepBatch batch,
            StepPlan plan,
            StepIndex.Arrays arrays,
            DeviceBuffer staging,
            int firstSlot,
            List<Sources> sources) {
        static StepContext of(
                StepBatch batch, StepPlan plan, StepIndex.Arrays arrays, DeviceBuffer staging, int firstSlot) {
            List<Sources> sources = plan.chunks().stream()
                    .map(chunk -> new Sources(runs(chunk.hostActivations(), batch), runs(chunk.hostKeyValues(), batch)))
                    .toList();
            return new StepContext(batch, plan, arrays, staging, firstSlot, sources);
        }

        /** The context of a step that continues this one. */
        StepContext next() {
            return new StepContext(batch, plan, arrays, staging, plan.nextFirstSlot(firstSlot), sources);
        }

        Chunk chunk(int chunk) {
            return plan.chunks().get(chunk);
        }

        DeviceBuffer slot(int layer, int chunk) {
            StagingLayout layout = plan.staging();
            return staging.slice(layout.slotOffset(plan.slot(firstSlot, layer, chunk)), layout.slotBytes());
        }

        DeviceBuffer recomputed() {
            StagingLayout layout = plan.staging();
            return staging.slice(layout.workspaceOffset(), layout.workspaceBytes());
        }

        CacheSequence sequence(int sequence) {
            return batch.sequences().get(sequence).cache();
        }
    }

    /** The places of a chunk's blocks on the host, in the order of the chunk. */
    private record Sources(List<HostBlocks> activations, List<HostBlocks> keyValues) {}

    /** Blocks that are neighbours in host memory, in every layer. */
    private record HostBlocks(BlockHome.OnHost first, int blocks) {}

    private static List<HostBlocks> runs(List<BlockRun> runs, StepBatch batch) {
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
            case Stage.Project project -> project(project, stream, step);
            case Stage.Recompute recompute -> recompute(recompute, stream, step);
            case Stage.Attend attend -> attend(attend, stream, step);
            case Stage.AttendWindow attend -> attendWindow(attend, stream, step);
            case Stage.FeedForward feedForward -> feedForward(feedForward, stream);
            case Stage.StoreOnDevice store -> storeOnDevice(stream, step);
            case Stage.WriteOut writeOut -> writeOut(writeOut, stream, step);
            case Stage.Promote promote -> promote(stream, step);
            case Stage.Head _ -> model.head(stream, headBuffers, headWork(step));
            case Stage.Download download -> download(download, stream);
        }
    }

    private void embed(Stage.Embed stage, Stream stream, StepContext step) {
        StepIndex.Arrays arrays = step.arrays();
        EmbedBuffers buffers = new EmbedBuffers(
                arrays.tokenIds(), arrays.places().positions(), workspace.hidden(), workspace.normed());
        model.embed(stream, buffers, stage.rows());
    }

    private void transfer(Stage.Transfer stage, Stream stream, StepContext step) {
        Sources sources = step.sources().get(stage.chunk());
        DeviceBuffer slot = step.slot(stage.layer(), stage.chunk());
        switch (stage.content()) {
            case ACTIVATION -> copy(sources.activations(), placeOfLayer[stage.layer()], slot, stream);
            case KEY_VALUE -> {
                long offset = StagingLayout.keyValueOffset(geometry, step.chunk(stage.chunk()));
                copy(sources.keyValues(), placeOfLayer[stage.layer()], slot.from(offset), stream);
            }
        }
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
        long blockBytes = geometry.blockLayerBytes(Content.ACTIVATION);
        long toOffset = Chunk.blocks(chunk.hostActivations()) * blockBytes;
        kernels.gatherRows(
                stream,
                cache.deviceMemory().from(placeOfLayer[stage.layer()] * blockBytes),
                Math.toIntExact(blockBytes),
                step.arrays().chunks().get(stage.chunk()).gathered(),
                step.slot(stage.layer(), stage.chunk()).from(toOffset),
                Chunk.blocks(chunk.deviceActivations()));
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
                step.recomputed(),
                step.arrays().chunks().get(stage.chunk()).blockPositions(),
                stage.tokens());
    }

    private void attend(Stage.Attend stage, Stream stream, StepContext step) {
        Chunk chunk = step.chunk(stage.chunk());
        long staged = chunk.isStaged() ? step.slot(stage.layer(), stage.chunk()).address() : 0;
        BlockBases bases = new BlockBases(
                cache.deviceAddress() + placeOfLayer[stage.layer()] * geometry.blockLayerBytes(Content.KEY_VALUE),
                openLayer(stage.layer()).address(),
                staged,
                step.recomputed().address());
        model.attend(
                stream,
                stage.layer(),
                step.arrays().attention(),
                step.arrays().chunks().get(stage.chunk()).work(),
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
                Content content = home.form().content();
                long bytes = geometry.blockLayerBytes(content);
                DeviceBuffer from = open.from(contentOffset(content));
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
                        openContent(
                                open, placeOfLayer[stage.layer()], home.form().content()),
                        onHost.layer(placeOfLayer[stage.layer()], 1));
            }
        });
    }

    /** Copies to the host, layer by layer: the layers are neighbours on the device alone. */
    static void depart(KvCache.Departure departure, Stream stream) {
        long offset = 0;
        for (HostBuffer layer : departure.to()) {
            stream.copyToHost(departure.from().slice(offset, layer.bytes()), layer);
            offset += layer.bytes();
        }
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
            int closing = cached.closingBlocks(sequence.newTokens().size());
            for (int i = 0; i < closing; i++) {
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
            Optional<TokenMask> mask = sequence.choice().flatMap(TokenChoice::mask);
            if (mask.isPresent()) {
                MemorySegment bits = workspace.hostMasks().segment().asSlice(usedBytes, maskBytes);
                mask.get().write(bits.fill((byte) 0));
                usedBytes += maskBytes;
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

    private void download(Stage.Download stage, Stream stream) {
        stream.copyToHost(
                workspace.tokens().slice(0, stage.tokenBytes()),
                workspace.hostTokens().slice(0, stage.tokenBytes()));
        stream.copyToHost(
                workspace.floatLogits().slice(0, stage.logitBytes()),
                workspace.hostLogits().slice(0, stage.logitBytes()));
    }

    /** The open blocks in one layer; offsets in the index count from its start. */
    private DeviceBuffer openLayer(int layer) {
        return cache.openMemory().from(placeOfLayer[layer] * geometry.openLayerBytes());
    }

    /** The rings in one layer; offsets in the index count from its start. */
    private DeviceBuffer ringLayer(int layer) {
        return cache.deviceMemory().from(placeOfLayer[layer] * geometry.windowBlockLayerBytes());
    }

    /** One content of an open block in the cached layer at a place. */
    private DeviceBuffer openContent(DeviceBuffer open, int place, Content content) {
        return open.slice(
                place * geometry.openLayerBytes() + contentOffset(content), geometry.blockLayerBytes(content));
    }

    /** The offset of a content in a layer of an open block. */
    private long contentOffset(Content content) {
        return switch (content) {
            case KEY_VALUE -> 0;
            case ACTIVATION -> geometry.blockLayerBytes(Content.KEY_VALUE);
        };
    }

    private static BlockHome.OnHost onHost(CacheSequence sequence, int block) {
        if (sequence.place(block) instanceof BlockHome.OnHost home) {
            return home;
        }
        throw new IllegalArgumentException("the plan transfers block " + block + ", which is not on the host");
    }
}
