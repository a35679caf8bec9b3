package io.weft.profile;

import io.weft.device.AttentionIndex;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases;
import io.weft.device.BlockBases.Base;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.Kernels;
import io.weft.device.RowPlaces;
import io.weft.device.TokenChoices;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelDimensions;
import io.weft.model.ModelKernels;
import io.weft.model.ModelKernels.AttendBuffers;
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
    private final AttentionShape attention;
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
        this.attention = weights.architecture().attentionShape(geometry);
    }

    private int layer(int repeat) {
        return repeat % dimensions.layers();
    }

    private DeviceBuffer rows(Scratch.Division division, int rows, int width) {
        return division.take((long) rows * width * elementBytes);
    }

    List<Work> embed(int rows) {
        Scratch.Division division = scratch.divide();
        DeviceBuffer tokens = division.take((long) rows * Integer.BYTES);
        DeviceBuffer out = rows(division, rows, dimensions.hiddenSize());
        if (!division.fits()) {
            return List.of();
        }
        scratch.upload(ints(new int[rows]), tokens);
        return List.of((stream, repeat) -> model.embed(stream, tokens, tokens, out, rows));
    }

    List<Work> project(int rows) {
        return project(scratch.divide(), rows);
    }

    private List<Work> project(Scratch.Division division, int rows) {
        DeviceBuffer positions = division.take((long) rows * Integer.BYTES);
        DeviceBuffer offsets = division.take((long) rows * Long.BYTES);
        ProjectBuffers buffers = new ProjectBuffers(
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, dimensions.queryWidth()),
                rows(division, rows, dimensions.keyValueWidth()));
        DeviceBuffer open = division.take(rows * geometry.tokenLayerBytes(Content.KEY_VALUE)
                + rows * geometry.tokenLayerBytes(Content.ACTIVATION));
        if (!division.fits()) {
            return List.of();
        }
        scratch.upload(ints(new int[rows]), positions);
        RowPlaces places = new RowPlaces(positions, offsets, offsets);
        long widestBytes =
                Math.max(geometry.tokenLayerBytes(Content.KEY_VALUE), geometry.tokenLayerBytes(Content.ACTIVATION));
        scratch.upload(offsets(rows, widestBytes), offsets);
        return List.of((stream, repeat) -> model.project(stream, layer(repeat), buffers, places, open, rows));
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

    private List<Work> keyValues(Scratch.Division division, int tokens) {
        Optional<DeviceBuffer> positions = scratch.zeros((long) geometry.blocks(tokens) * Integer.BYTES);
        DeviceBuffer activations = rows(division, tokens, dimensions.hiddenSize());
        DeviceBuffer out = rows(division, tokens, dimensions.keyValueWidth());
        if (!division.fits() || positions.isEmpty()) {
            return List.of();
        }
        return List.of(
                (stream, repeat) -> model.recompute(stream, layer(repeat), activations, out, positions.get(), tokens));
    }

    /** Gathering of {@code blocks} blocks of activations. */
    List<Work> gather(int blocks) {
        Scratch.Division division = scratch.divide();
        int blockBytes = Math.toIntExact(geometry.blockLayerBytes(Content.ACTIVATION));
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

    /** Attention of single rows to {@code tokens} tokens in total. */
    List<Work> attentionReads(int tokens) {
        int sequences = Math.ceilDiv(tokens, HardwareProfile.SEQUENCE_TOKENS);
        return attentionReads(sequences, tokens / sequences);
    }

    /** Attention of one row of each of some sequences to its {@code tokens} tokens. */
    List<Work> attentionReads(int sequences, int tokens) {
        return attend(scratch.divide(), sequences, tokens, 1);
    }

    /** Attention of the last {@code rows} rows of a sequence to all its {@code tokens} tokens. */
    List<Work> attentionPairs(int tokens, int rows) {
        return attend(scratch.divide(), 1, tokens, Math.min(rows, tokens));
    }

    /** The pairs of {@link #attentionPairs}: the last row sees all tokens, each row before it one less. */
    static long pairs(int tokens, int rows) {
        long seen = Math.min(rows, tokens);
        return seen * tokens - seen * (seen - 1) / 2;
    }

    private List<Work> attend(Scratch.Division division, int sequences, int tokens, int rowsEach) {
        int rows = sequences * rowsEach;
        int blocks = geometry.blocks(tokens);
        DeviceBuffer positions = division.take((long) rows * Integer.BYTES);
        DeviceBuffer table = division.take((long) sequences * blocks * Long.BYTES);
        DeviceBuffer spans = division.take((long) sequences * AttentionWork.SPAN_INTS * Integer.BYTES);
        AttendBuffers buffers = new AttendBuffers(
                rows(division, rows, dimensions.queryWidth()),
                division.take(rows * attention.stateBytesPerRow()),
                rows(division, rows, dimensions.queryWidth()));
        long keyValueBytes = (long) sequences * blocks * geometry.blockLayerBytes(Content.KEY_VALUE);
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
            entries[block] = Base.STAGED.entry(block * geometry.blockLayerBytes(Content.KEY_VALUE));
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
            model.attend(stream, index, work, bases, buffers);
        });
    }

    List<Work> feedForward(int rows) {
        return feedForward(scratch.divide(), rows);
    }

    /**
     * Project, attend and feed forward of a layer that decodes one row of each of some sequences, each with
     * {@code tokens} cached tokens. Unlike other work, they do not share memory.
     */
    List<Work> decode(int sequences, int tokens) {
        Scratch.Division division = scratch.divide();
        List<Work> stages = new ArrayList<>(project(division, sequences));
        List<Work> feedForward = feedForward(division, sequences);
        // The last to take memory: its K and V rotate through the rest.
        stages.addAll(attend(division, sequences, tokens, 1));
        stages.addAll(feedForward);
        return division.fits() ? stages : List.of();
    }

    private List<Work> feedForward(Scratch.Division division, int rows) {
        FeedForwardBuffers buffers = new FeedForwardBuffers(
                rows(division, rows, dimensions.queryWidth()),
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, dimensions.hiddenSize()),
                rows(division, rows, dimensions.feedForwardInWidth()),
                rows(division, rows, dimensions.feedForwardSize()));
        if (!division.fits()) {
            return List.of();
        }
        return List.of((stream, repeat) -> model.feedForward(stream, layer(repeat), buffers, rows));
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
