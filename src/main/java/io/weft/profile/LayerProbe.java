package io.weft.profile;

import io.weft.device.AttentionIndex;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases;
import io.weft.device.BlockBases.Base;
import io.weft.device.BlockCode;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.Kernels;
import io.weft.device.RowPlaces;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.model.Architecture;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.LayerGroup;
import io.weft.model.ModelDimensions;
import io.weft.model.ModelKernels;
import io.weft.model.ModelKernels.AttendBuffers;
import io.weft.model.ModelKernels.EmbedBuffers;
import io.weft.model.ModelKernels.ExpertBuffers;
import io.weft.model.ModelKernels.FeedForwardBuffers;
import io.weft.model.ModelKernels.HeadBuffers;
import io.weft.model.ModelKernels.HeadWork;
import io.weft.model.ModelKernels.ProjectBuffers;
import io.weft.model.ModelWeights;
import io.weft.plan.machine.HardwareProfile;
import io.weft.profile.Stopwatch.Work;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.stream.LongStream;

/**
 * The kernels of a step's stages on scratch memory. Consecutive runs use the weights of consecutive layers, as a step
 * does, so that no layer's weights stay in a processor's cache. Each method returns one piece of work ({@link #decode}
 * one for each stage), or none if it does not fit the memory.
 */
final class LayerProbe {
    private final Kernels kernels;
    private final ModelKernels model;
    private final ModelDimensions dimensions;
    private final CacheGeometry geometry;
    private final Architecture architecture;
    private final Scratch scratch;
    private final int elementBytes;
    /** The place of the next K and V to read: a processor's cache would hold those that were just read. */
    private long readBytes;

    LayerProbe(Device device, ModelWeights weights, CacheGeometry geometry, Scratch scratch) {
        this.kernels = device.kernels();
        this.model = new ModelKernels(kernels, weights, geometry);
        this.dimensions = geometry.dimensions();
        this.geometry = geometry;
        this.scratch = scratch;
        this.elementBytes = device.elementType().bytes();
        this.architecture = weights.architecture();
    }

    /** The layers of a group in turn. */
    private static int layer(LayerGroup group, int repeat) {
        return group.layers().get(repeat % group.layers().size());
    }

    private DeviceBuffer rows(Scratch.Division division, int rows, int width) {
        return division.take((long) rows * width * elementBytes);
    }

    List<Work> embed(int rows) {
        Scratch.Division division = scratch.divide();
        DeviceBuffer tokens = division.take((long) rows * Integer.BYTES);
        DeviceBuffer out = rows(division, rows, dimensions.hiddenSize());
        DeviceBuffer room = rows(division, rows, dimensions.hiddenSize());
        if (!division.fits()) {
            return List.of();
        }
        scratch.upload(ints(new int[rows]), tokens);
        EmbedBuffers buffers = new EmbedBuffers(tokens, tokens, out, room);
        return List.of((stream, repeat) -> model.embed(stream, buffers, rows));
    }

    List<Work> project(LayerGroup group, int rows) {
        return project(scratch.divide(), group, rows);
    }

    private List<Work> project(Scratch.Division division, LayerGroup group, int rows) {
        long keyValueBytes = (long) group.layer().keyValueWidth() * elementBytes;
        long sourceBytes = (long) group.layer().sourceWidth(dimensions.hiddenSize()) * elementBytes;
        DeviceBuffer positions = division.take((long) rows * Integer.BYTES);
        DeviceBuffer offsets = division.take((long) rows * Long.BYTES);
        ProjectBuffers buffers = new ProjectBuffers(
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, group.layer().queryWidth()),
                rows(division, rows, group.layer().keyValueWidth()),
                rows(division, rows, group.layer().queryWidth()));
        DeviceBuffer open = division.take(rows * (keyValueBytes + sourceBytes));
        if (!division.fits()) {
            return List.of();
        }
        scratch.upload(ints(new int[rows]), positions);
        RowPlaces places = new RowPlaces(positions, offsets, offsets);
        scratch.upload(offsets(rows, Math.max(keyValueBytes, sourceBytes)), offsets);
        return List.of((stream, repeat) -> model.project(stream, layer(group, repeat), buffers, places, open, rows));
    }

    /** Recomputation of {@code tokens} tokens, rounded up to whole blocks. */
    List<Work> keyValues(int tokens) {
        return keyValues(scratch.divide(), tokens);
    }

    /** Recomputation in memory that other work does not touch while the scratch memory keeps it. */
    Work keptKeyValues(int tokens) {
        Scratch.Division division = scratch.divide();
        Work work = keyValues(division, tokens).getFirst();
        scratch.keep(division);
        return work;
    }

    /** The cached layers; if none are, any. */
    LayerGroup recomputed() {
        return dimensions.cachedGroup().orElse(dimensions.groups().getFirst());
    }

    private List<Work> keyValues(Scratch.Division division, int tokens) {
        LayerGroup recomputed = recomputed();
        Optional<DeviceBuffer> positions = scratch.zeros((long) geometry.blocks(tokens) * Integer.BYTES);
        DeviceBuffer activations = rows(division, tokens, recomputed.layer().sourceWidth(dimensions.hiddenSize()));
        DeviceBuffer out = rows(division, tokens, recomputed.layer().keyValueWidth());
        if (!division.fits() || positions.isEmpty()) {
            return List.of();
        }
        return List.of((stream, repeat) ->
                model.recompute(stream, layer(recomputed, repeat), activations, out, positions.get(), tokens));
    }

    /** Bytes of a block of activations in one layer, also of a model that caches none. */
    long activationBlockBytes() {
        int width = recomputed().layer().sourceWidth(dimensions.hiddenSize());
        return (long) geometry.blockTokens() * width * geometry.elementBytes();
    }

    /** Gathering of {@code blocks} blocks of activations. */
    List<Work> gather(int blocks) {
        Scratch.Division division = scratch.divide();
        int blockBytes = Math.toIntExact(activationBlockBytes());
        DeviceBuffer offsets = division.take((long) blocks * Long.BYTES);
        DeviceBuffer from = division.take((long) blocks * blockBytes);
        DeviceBuffer to = division.take((long) blocks * blockBytes);
        if (!division.fits()) {
            return List.of();
        }
        long[] backwards = new long[blocks];
        for (int block = 0; block < blocks; block++) {
            backwards[block] = (long) (blocks - 1 - block) * blockBytes;
        }
        scratch.upload(MemorySegment.ofArray(backwards), offsets);
        return List.of((stream, repeat) -> kernels.gatherRows(stream, from, blockBytes, offsets, to, blocks));
    }

    /** Coding of blocks of an encoding, in one layer. */
    List<Work> encode(Encoding encoding, int blocks) {
        return code(encoding, blocks, (stream, coding) -> coding.encode(stream, kernels));
    }

    /** Decoding of blocks of an encoding, in one layer. */
    List<Work> decode(Encoding encoding, int blocks) {
        return code(encoding, blocks, (stream, coding) -> coding.decode(stream, kernels));
    }

    /** Blocks, their codes and what these decode to. */
    private record Coding(
            BlockCode code,
            BlockValues values,
            BlockPlaces plain,
            BlockPlaces coded,
            BlockPlaces decoded,
            DeviceBuffer misfits,
            int blocks) {
        void encode(Stream stream, Kernels kernels) {
            kernels.encodeBlocks(stream, code, values, plain, coded, misfits, blocks);
        }

        void decode(Stream stream, Kernels kernels) {
            kernels.decodeBlocks(stream, code, values, coded, decoded, blocks);
        }
    }

    private List<Work> code(Encoding encoding, int blocks, BiConsumer<Stream, Coding> use) {
        Scratch.Division division = scratch.divide();
        BlockCode code = encoding.code().orElseThrow();
        BlockValues values = geometry.blockValues(encoding.content());
        long plainBytes = values.bytes();
        long codedBytes = code.bytes(values);
        DeviceBuffer plainOffsets = division.take((long) blocks * Long.BYTES);
        DeviceBuffer codedOffsets = division.take((long) blocks * Long.BYTES);
        Coding coding = new Coding(
                code,
                values,
                new BlockPlaces(division.take(blocks * plainBytes), plainOffsets),
                new BlockPlaces(division.take(blocks * codedBytes), codedOffsets),
                new BlockPlaces(division.take(blocks * plainBytes), plainOffsets),
                division.take((long) blocks * Integer.BYTES),
                blocks);
        if (!division.fits()) {
            return List.of();
        }
        scratch.upload(offsets(blocks, plainBytes), plainOffsets);
        scratch.upload(offsets(blocks, codedBytes), codedOffsets);
        scratch.run(stream -> coding.encode(stream, kernels));
        return List.of((stream, repeat) -> use.accept(stream, coding));
    }

    /** Attention of single rows to {@code tokens} tokens in total. */
    List<Work> attentionReads(LayerGroup group, int tokens) {
        int sequences = Math.ceilDiv(tokens, HardwareProfile.sequenceTokens(group.layer()));
        return attentionReads(group, sequences, tokens / sequences);
    }

    /** Attention of one row of each of some sequences to its {@code tokens} tokens. */
    List<Work> attentionReads(LayerGroup group, int sequences, int tokens) {
        return attend(scratch.divide(), group, sequences, tokens, 1);
    }

    /** Attention of the last {@code rows} rows of a sequence to all its {@code tokens} tokens. */
    List<Work> attentionPairs(LayerGroup group, int tokens, int rows) {
        return attend(scratch.divide(), group, 1, tokens, Math.min(rows, tokens));
    }

    /**
     * The pairs of {@link #attentionPairs}: the last row sees all tokens, each row before it one less, and none more
     * than the window.
     */
    static long pairs(int tokens, int rows, int window) {
        int seeing = Math.min(rows, tokens);
        return LayerDimensions.rowTokens(tokens - seeing, seeing, window);
    }

    private List<Work> attend(Scratch.Division division, LayerGroup group, int sequences, int tokens, int rowsEach) {
        AttentionShape attention = architecture.attentionShape(group.layers().getFirst(), geometry);
        long blockBytes = (long) geometry.blockTokens() * group.layer().keyValueWidth() * elementBytes;
        int rows = sequences * rowsEach;
        int blocks = geometry.blocks(tokens);
        DeviceBuffer positions = division.take((long) rows * Integer.BYTES);
        DeviceBuffer table = division.take((long) sequences * blocks * Long.BYTES);
        DeviceBuffer spans = division.take((long) sequences * AttentionWork.SPAN_INTS * Integer.BYTES);
        AttendBuffers buffers = new AttendBuffers(
                rows(division, rows, attention.queryWidth()),
                division.take(rows * attention.stateBytesPerRow()),
                rows(division, rows, attention.queryWidth()));
        long keyValueBytes = (long) sequences * blocks * blockBytes;
        DeviceBuffer keyValues = division.take(keyValueBytes);
        if (!division.fits()) {
            return List.of();
        }
        long copies = 1 + division.restBytes() / keyValueBytes;
        int[] rowPositions = new int[rows];
        int[] spanFields = new int[sequences * AttentionWork.SPAN_INTS];
        long[] entries = new long[sequences * blocks];
        for (int sequence = 0; sequence < sequences; sequence++) {
            for (int row = 0; row < rowsEach; row++) {
                rowPositions[sequence * rowsEach + row] = tokens - rowsEach + row;
            }
            int[] span = {sequence, sequence * rowsEach, rowsEach, 0, tokens};
            System.arraycopy(span, 0, spanFields, sequence * span.length, span.length);
        }
        for (int block = 0; block < entries.length; block++) {
            entries[block] = Base.STAGED.entry(block * blockBytes);
        }
        scratch.upload(ints(rowPositions), positions);
        scratch.upload(ints(spanFields), spans);
        scratch.upload(MemorySegment.ofArray(entries), table);
        AttentionIndex index = new AttentionIndex(positions, table, blocks);
        AttentionWork work = new AttentionWork(spans, sequences, rowsEach, tokens, sequences);
        return List.of((stream, repeat) -> {
            long base = keyValues.address() + readBytes / keyValueBytes % copies * keyValueBytes;
            readBytes += keyValueBytes;
            BlockBases bases = new BlockBases(base, base, base, base);
            model.attend(stream, layer(group, repeat), index, work, bases, buffers);
        });
    }

    List<Work> feedForward(LayerGroup group, int rows) {
        return feedForward(scratch.divide(), group, rows);
    }

    /**
     * Project, attend and feed forward of a layer that decodes one row of each of some sequences, each with
     * {@code tokens} cached tokens. Unlike other work, they do not share memory.
     */
    List<Work> decode(LayerGroup group, int sequences, int tokens) {
        Scratch.Division division = scratch.divide();
        List<Work> stages = new ArrayList<>(project(division, group, sequences));
        List<Work> feedForward = feedForward(division, group, sequences);
        // The last to take memory: its K and V rotate through the rest.
        stages.addAll(attend(division, group, sequences, tokens, 1));
        stages.addAll(feedForward);
        return division.fits() ? stages : List.of();
    }

    private List<Work> feedForward(Scratch.Division division, LayerGroup group, int rows) {
        FeedForwardDimensions network = group.layer().feedForward();
        FeedForwardBuffers buffers = new FeedForwardBuffers(
                rows(division, rows, group.layer().queryWidth()),
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, network.inWidth()),
                rows(division, rows, network.size()),
                experts(division, network, rows));
        if (!division.fits()) {
            return List.of();
        }
        return List.of((stream, repeat) -> model.feedForward(stream, layer(group, repeat), buffers, rows));
    }

    private Optional<ExpertBuffers> experts(Scratch.Division division, FeedForwardDimensions network, int rows) {
        if (network.experts() == 0) {
            return Optional.empty();
        }
        long chosenBytes = (long) rows * network.chosenExperts() * Integer.BYTES;
        return Optional.of(new ExpertBuffers(
                rows(division, rows, network.experts()),
                division.take(chosenBytes),
                division.take(chosenBytes),
                division.take(network.scratchBytes(dimensions.hiddenSize(), rows))));
    }

    /** The head, with the likeliest token of each row. */
    List<Work> head(int rows) {
        Scratch.Division division = scratch.divide();
        int vocabulary = dimensions.vocabularySize();
        DeviceBuffer offsets = division.take((long) rows * Long.BYTES);
        DeviceBuffer choices = division.take((long) rows * TokenChoices.ROW_BYTES);
        DeviceBuffer tokens = division.take((long) rows * Integer.BYTES);
        DeviceBuffer hidden = rows(division, rows, dimensions.hiddenSize());
        DeviceBuffer in = rows(division, rows, dimensions.hiddenSize());
        DeviceBuffer logits = rows(division, rows, vocabulary);
        DeviceBuffer scores = division.take((long) rows * vocabulary * Float.BYTES);
        if (!division.fits()) {
            return List.of();
        }
        scratch.upload(offsets(rows, (long) dimensions.hiddenSize() * elementBytes), offsets);
        // With top-k 1, top-p does not matter, but the stored form of 1 would be NaN to other work on this memory.
        TokenChoices.Row likeliest = new TokenChoices.Row(0, 0, 1, 1, 0.5, 0, 0);
        scratch.upload(TokenChoices.rowArray(Collections.nCopies(rows, likeliest)), choices);
        // No logits leave the device.
        HeadBuffers buffers = new HeadBuffers(hidden, in, logits, logits, scores, tokens);
        HeadWork work = new HeadWork(offsets, new TokenChoices(choices, choices.slice(0, 0)), rows, rows, 0);
        return List.of((stream, repeat) -> {
            model.head(stream, buffers, work);
            model.choose(stream, buffers, work);
        });
    }

    /** The offsets of contiguous rows. */
    private static MemorySegment offsets(int rows, long rowBytes) {
        return MemorySegment.ofArray(
                LongStream.range(0, rows).map(row -> row * rowBytes).toArray());
    }

    private static MemorySegment ints(int[] values) {
        return MemorySegment.ofArray(values);
    }
}
