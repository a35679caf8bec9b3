package io.weft.pipeline;

import io.weft.cache.BlockHome;
import io.weft.cache.CacheSequence;
import io.weft.cache.KvCache;
import io.weft.device.AttentionIndex;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases.Base;
import io.weft.device.DeviceBuffer;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.RowPlaces;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelWeights.LongRows;
import io.weft.plan.step.BlockRun;
import io.weft.plan.step.Chunk;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepMemory;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.TokenRange;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The index arrays of a step: the positions of tokens, the places of blocks, the spans of attention, and how tokens are
 * chosen. They are written on the host, cross the link at the start of the step, and serve all layers.
 */
final class StepIndex {
    /**
     * The attention of a step's only chunk is launched for a number of tokens that grows by this many at a time, so
     * that the same graph serves.
     */
    private static final int LAUNCH_TOKENS = 256;

    private final KvCache cache;
    private final CacheGeometry geometry;
    private final HostBuffer host;
    private final DeviceBuffer device;
    private final DeviceBuffer masks;
    private final Optional<LongRows> longRows;
    private long usedBytes;

    /** @param longRows where rotary tables have the positions of long sequences, if they differ */
    StepIndex(KvCache cache, Workspace workspace, Optional<LongRows> longRows) {
        this.longRows = longRows;
        this.cache = cache;
        this.geometry = cache.geometry();
        this.host = workspace.hostIndex();
        this.device = workspace.index();
        this.masks = workspace.masks();
    }

    /**
     * The arrays of one step, on the device.
     *
     * @param tokenIds (rows) int32
     * @param places rotary positions of rows, and their places counted from the layer's base of open blocks
     * @param headRows (head rows) int64: offsets in the hidden state, in bytes, of the rows that the head computes, in
     *     the order of {@link HeadRows}
     * @param choices how tokens are chosen, in the same order
     * @param attention index arrays of the attention kernel
     * @param chunks one entry per chunk
     * @param window those of layers with a window; empty without such layers
     */
    record Arrays(
            DeviceBuffer tokenIds,
            RowPlaces places,
            DeviceBuffer headRows,
            TokenChoices choices,
            AttentionIndex attention,
            List<ChunkArrays> chunks,
            Optional<WindowArrays> window) {}

    /**
     * The arrays of the layers with a window.
     *
     * @param places rotary positions of rows, and their places counted from the layer's base of rings
     * @param attention index arrays of the attention kernel
     * @param work spans of attention: whole cells, from the first that a row of the sequence sees
     */
    record WindowArrays(RowPlaces places, AttentionIndex attention, AttentionWork work) {}

    /**
     * The arrays of one chunk.
     *
     * @param work spans of attention
     * @param blockPositions (recomputed blocks) int32: rotary position of each block's first token
     * @param gathered (blocks) int64: offsets of the blocks to gather, in bytes from the device's blocks in the first
     *     layer
     */
    record ChunkArrays(AttentionWork work, DeviceBuffer blockPositions, DeviceBuffer gathered) {}

    /** Writes the arrays of a step on the host; they are on the device once {@link #upload} has run. */
    Arrays write(StepBatch batch, StepPlan plan, HeadRows head) {
        usedBytes = 0;
        int rows = batch.rows();
        Section tokenIds = section((long) rows * Integer.BYTES);
        Section positions = section((long) rows * Integer.BYTES);
        Section rotary = longRows.isPresent() ? section((long) rows * Integer.BYTES) : positions;
        Section keyValueOffsets = section((long) rows * Long.BYTES);
        Section activationOffsets = section((long) rows * Long.BYTES);
        int row = 0;
        for (StepSequence sequence : batch.sequences()) {
            List<DeviceBuffer> open = sequence.cache().openBlocks();
            int newTokens = sequence.newTokens().size();
            int firstRow = rotaryRow(sequence.cache());
            for (int i = 0; i < newTokens; i++, row++) {
                int openToken = sequence.cache().openTokens() + i;
                long block = open.get(openToken / geometry.blockTokens()).address()
                        - cache.openMemory().address();
                int slot = openToken % geometry.blockTokens();
                tokenIds.setInt(row, sequence.newTokens().get(i));
                positions.setInt(row, sequence.cache().tokens() + i);
                rotary.setInt(row, firstRow + sequence.cache().tokens() + i);
                keyValueOffsets.setLong(row, block + slot * geometry.tokenLayerBytes(Content.KEY_VALUE));
                activationOffsets.setLong(
                        row,
                        block
                                + geometry.blockLayerBytes(Content.KEY_VALUE)
                                + slot * geometry.tokenLayerBytes(Content.ACTIVATION));
            }
        }
        int[] firstRows = firstRows(batch);
        DeviceBuffer headRows = writeHeadRows(batch, head, firstRows);
        Section choices = section((long) head.shape().tokens() * TokenChoices.ROW_BYTES);
        AttentionIndex attention = writeBlockTable(batch, plan, positions.onDevice());
        List<ChunkArrays> chunks = new ArrayList<>(plan.chunks().size());
        for (Chunk chunk : plan.chunks()) {
            chunks.add(new ChunkArrays(
                    work(batch, chunk, firstRows), writeBlockPositions(batch, chunk), writeGathered(batch, chunk)));
        }
        Optional<WindowArrays> window = geometry.windowLayerCount() == 0
                ? Optional.empty()
                : Optional.of(writeWindow(batch, plan, positions.onDevice(), rotary.onDevice(), firstRows));
        DeviceBuffer edits = writeChoices(batch, head, choices);
        return new Arrays(
                tokenIds.onDevice(),
                new RowPlaces(rotary.onDevice(), keyValueOffsets.onDevice(), activationOffsets.onDevice()),
                headRows,
                new TokenChoices(choices.onDevice(), edits, masks),
                attention,
                chunks,
                window);
    }

    private int rotaryRow(CacheSequence sequence) {
        return longRows.map(rows -> rows.of(sequence.maxTokens())).orElse(0);
    }

    private WindowArrays writeWindow(
            StepBatch batch, StepPlan plan, DeviceBuffer positions, DeviceBuffer rotary, int[] firstRows) {
        Section offsets = section((long) batch.rows() * Long.BYTES);
        int columns = columns(batch);
        Section table = section((long) batch.sequences().size() * columns * Long.BYTES);
        List<TokenRange> ranges = new ArrayList<>();
        int row = 0;
        for (int i = 0; i < batch.sequences().size(); i++) {
            CacheSequence sequence = batch.sequences().get(i).cache();
            int newTokens = batch.sequences().get(i).newTokens().size();
            for (int token = 0; token < newTokens; token++, row++) {
                offsets.setLong(row, sequence.ring().tokenAddress(sequence.tokens() + token) - cache.deviceAddress());
            }
            int total = sequence.tokens() + newTokens;
            int firstSeen = plan.shape().sequences().get(i).firstSeenToken(geometry.blockTokens(), geometry.window());
            for (int block = firstSeen / geometry.blockTokens(); block < geometry.blocks(total); block++) {
                long offset = sequence.ring().blockAddress(block) - cache.deviceAddress();
                // Kernels write to rings, and nobody else.
                table.setLong((long) i * columns + block, Base.OPEN.entry(offset));
            }
            ranges.add(new TokenRange(i, firstSeen / geometry.cellTokens() * geometry.cellTokens(), total));
        }
        return new WindowArrays(
                new RowPlaces(rotary, offsets.onDevice(), offsets.onDevice()),
                new AttentionIndex(positions, table.onDevice(), columns),
                windowWork(batch, ranges, firstRows));
    }

    /**
     * A range that is longer than the window varies within a cell. The launch should not, so it is for the window and a
     * cell.
     */
    private AttentionWork windowWork(StepBatch batch, List<TokenRange> ranges, int[] firstRows) {
        int window = geometry.window();
        int longest = longest(ranges);
        int launchTokens = longest > window ? Math.max(longest, window + geometry.cellTokens()) : longest;
        long countedTokens = 0;
        for (TokenRange range : ranges) {
            countedTokens += Math.min(window, range.toToken() - range.fromToken());
        }
        int fullSpans = AttentionWork.fullSpans(countedTokens, Math.min(window, longest));
        return new AttentionWork(
                writeSpans(batch, ranges, firstRows),
                ranges.size(),
                maxRows(batch, ranges),
                roundUp(launchTokens),
                fullSpans);
    }

    private static int longest(List<TokenRange> ranges) {
        int longest = 0;
        for (TokenRange range : ranges) {
            longest = Math.max(longest, range.toToken() - range.fromToken());
        }
        return longest;
    }

    private static int roundUp(int tokens) {
        return Math.ceilDiv(tokens, LAUNCH_TOKENS) * LAUNCH_TOKENS;
    }

    /** Sends the written arrays to the device. */
    void upload(Kernels kernels, Stream stream) {
        kernels.readHost(stream, host.slice(0, usedBytes), device.slice(0, usedBytes));
    }

    private DeviceBuffer writeHeadRows(StepBatch batch, HeadRows head, int[] firstRows) {
        Section headRows = section((long) head.shape().rows() * Long.BYTES);
        long rowBytes = (long) geometry.dimensions().hiddenSize() * geometry.elementBytes();
        for (int i = 0; i < firstRows.length; i++) {
            StepSequence sequence = batch.sequences().get(i);
            int first = firstRows[i] + sequence.newTokens().size() - sequence.headRows();
            for (int j = 0; j < sequence.headRows(); j++) {
                headRows.setLong(head.row(i, j), (first + j) * rowBytes);
            }
        }
        return headRows.onDevice();
    }

    /**
     * Writes {@code rows} and, after everything else, the edits of this step. These have the rest of the memory, which
     * is the same in every step with the same layout.
     */
    private DeviceBuffer writeChoices(StepBatch batch, HeadRows head, Section rows) {
        DeviceBuffer left = device.from(usedBytes);
        Section edits = section((long) batch.edits() * TokenChoices.EDIT_BYTES);
        int edit = 0;
        int mask = 0;
        for (int i = 0; i < batch.sequences().size(); i++) {
            StepSequence sequence = batch.sequences().get(i);
            if (sequence.choice().isPresent()) {
                TokenChoice choice = sequence.choice().get();
                int maskOfRow = choice.mask().isPresent() ? mask++ : TokenChoices.NO_MASK;
                choice.write(rows.onHost(), head.token(i), edits.onHost(), edit, maskOfRow);
                edit += choice.edits().size();
            }
        }
        return left;
    }

    private AttentionIndex writeBlockTable(StepBatch batch, StepPlan plan, DeviceBuffer positions) {
        int sequences = batch.sequences().size();
        int columns = columns(batch);
        Section table = section((long) sequences * columns * Long.BYTES);
        for (int i = 0; i < sequences; i++) {
            CacheSequence sequence = batch.sequences().get(i).cache();
            for (int block = 0; block < sequence.closedBlocks(); block++) {
                if (sequence.place(block) instanceof BlockHome.OnDevice home
                        && home.form().content() == Content.KEY_VALUE) {
                    long offset = home.memory().address() - cache.deviceAddress();
                    table.setLong((long) i * columns + block, Base.CLOSED.entry(offset));
                }
            }
            int block = sequence.closedBlocks();
            for (DeviceBuffer open : sequence.openBlocks()) {
                table.setLong(
                        (long) i * columns + block++,
                        Base.OPEN.entry(open.address() - cache.openMemory().address()));
            }
        }
        for (Chunk chunk : plan.chunks()) {
            long keyValueBytes = geometry.blockLayerBytes(Content.KEY_VALUE);
            long recomputed = 0;
            for (List<BlockRun> runs : List.of(chunk.hostActivations(), chunk.deviceActivations())) {
                recomputed = enter(table, columns, runs, Base.RECOMPUTED, recomputed, keyValueBytes);
            }
            long staged = StagingLayout.keyValueOffset(geometry, chunk);
            enter(table, columns, chunk.hostKeyValues(), Base.STAGED, staged, keyValueBytes);
        }
        return new AttentionIndex(positions, table.onDevice(), columns);
    }

    private int columns(StepBatch batch) {
        int blocks = 1;
        for (StepSequence sequence : batch.sequences()) {
            int tokens = sequence.cache().tokens() + sequence.newTokens().size();
            blocks = Math.max(blocks, geometry.blocks(tokens));
        }
        return StepMemory.tableBlocks(blocks);
    }

    private static long enter(
            Section table, int columns, List<BlockRun> runs, Base base, long firstOffset, long blockBytes) {
        long offset = firstOffset;
        for (BlockRun run : runs) {
            for (int i = 0; i < run.blocks(); i++) {
                table.setLong((long) run.sequence() * columns + run.firstBlock() + i, base.entry(offset));
                offset += blockBytes;
            }
        }
        return offset;
    }

    private AttentionWork work(StepBatch batch, Chunk chunk, int[] firstRows) {
        List<TokenRange> ranges = chunk.ranges();
        long totalTokens = 0;
        for (TokenRange range : ranges) {
            totalTokens += range.toToken() - range.fromToken();
        }
        int longest = longest(ranges);
        return new AttentionWork(
                writeSpans(batch, ranges, firstRows),
                ranges.size(),
                maxRows(batch, ranges),
                chunk.isStaged() ? longest : roundUp(longest),
                AttentionWork.fullSpans(totalTokens, longest));
    }

    private static int maxRows(StepBatch batch, List<TokenRange> ranges) {
        int maxRows = 0;
        for (TokenRange range : ranges) {
            maxRows = Math.max(
                    maxRows, batch.sequences().get(range.sequence()).newTokens().size());
        }
        return maxRows;
    }

    private DeviceBuffer writeSpans(StepBatch batch, List<TokenRange> ranges, int[] firstRows) {
        Section spans = section((long) ranges.size() * AttentionWork.SPAN_INTS * Integer.BYTES);
        int at = 0;
        for (TokenRange range : ranges) {
            spans.setInt(at++, range.sequence());
            spans.setInt(at++, firstRows[range.sequence()]);
            spans.setInt(
                    at++, batch.sequences().get(range.sequence()).newTokens().size());
            spans.setInt(at++, range.fromToken());
            spans.setInt(at++, range.toToken());
        }
        return spans.onDevice();
    }

    private DeviceBuffer writeBlockPositions(StepBatch batch, Chunk chunk) {
        Section positions = section((long) chunk.recomputedBlocks() * Integer.BYTES);
        int at = 0;
        for (List<BlockRun> runs : List.of(chunk.hostActivations(), chunk.deviceActivations())) {
            for (BlockRun run : runs) {
                int firstRow = rotaryRow(batch.sequences().get(run.sequence()).cache());
                for (int i = 0; i < run.blocks(); i++) {
                    positions.setInt(at++, firstRow + (run.firstBlock() + i) * geometry.blockTokens());
                }
            }
        }
        return positions.onDevice();
    }

    private DeviceBuffer writeGathered(StepBatch batch, Chunk chunk) {
        Section gathered = section((long) Chunk.blocks(chunk.deviceActivations()) * Long.BYTES);
        int at = 0;
        for (BlockRun run : chunk.deviceActivations()) {
            CacheSequence sequence = batch.sequences().get(run.sequence()).cache();
            for (int block = run.firstBlock(); block < run.firstBlock() + run.blocks(); block++) {
                gathered.setLong(at++, onDevice(sequence, block).memory().address() - cache.deviceAddress());
            }
        }
        return gathered.onDevice();
    }

    private static BlockHome.OnDevice onDevice(CacheSequence sequence, int block) {
        if (sequence.place(block) instanceof BlockHome.OnDevice home) {
            return home;
        }
        throw new IllegalArgumentException("the plan gathers block " + block + ", which is not on the device");
    }

    private static int[] firstRows(StepBatch batch) {
        int[] firstRows = new int[batch.sequences().size()];
        int row = 0;
        for (int i = 0; i < firstRows.length; i++) {
            firstRows[i] = row;
            row += batch.sequences().get(i).newTokens().size();
        }
        return firstRows;
    }

    /** An array of the step, in both memories. */
    private record Section(MemorySegment onHost, DeviceBuffer onDevice) {
        void setInt(long index, int value) {
            onHost.setAtIndex(ValueLayout.JAVA_INT, index, value);
        }

        void setLong(long index, long value) {
            onHost.setAtIndex(ValueLayout.JAVA_LONG, index, value);
        }
    }

    private Section section(long bytes) {
        long offset = usedBytes;
        usedBytes = Math.ceilDiv(offset + bytes, StepMemory.INDEX_ALIGNMENT_BYTES) * StepMemory.INDEX_ALIGNMENT_BYTES;
        return new Section(host.segment().asSlice(offset, bytes), device.slice(offset, bytes));
    }
}
