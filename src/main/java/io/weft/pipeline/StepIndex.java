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
import io.weft.model.Encoding;
import io.weft.model.ModelWeights.LongRows;
import io.weft.pipeline.RowGroups.Grouping;
import io.weft.pipeline.RowGroups.RowGroup;
import io.weft.pipeline.RowGroups.Span;
import io.weft.plan.step.BlockRun;
import io.weft.plan.step.Chunk;
import io.weft.plan.step.ChunkLayout;
import io.weft.plan.step.StepMemory;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.TokenRange;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
    private final Grouping grouping;
    private long usedBytes;

    /**
     * @param longRows where rotary tables have the positions of long sequences, if they differ
     * @param grouping which rows attend to the same memory, in layers that see all tokens
     */
    StepIndex(KvCache cache, Workspace workspace, Optional<LongRows> longRows, Grouping grouping) {
        this.longRows = longRows;
        this.grouping = grouping;
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
     * @param coded of the blocks that the step fills and codes, by encoding
     * @param window those of layers with a window; empty without such layers
     */
    record Arrays(
            DeviceBuffer tokenIds,
            RowPlaces places,
            DeviceBuffer headRows,
            TokenChoices choices,
            AttentionIndex attention,
            List<ChunkArrays> chunks,
            Map<Encoding, CodedArrays> coded,
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
     * @param sources by part, (blocks) int64: what is gathered or decoded, in bytes from the device's blocks in the
     *     first layer, or from where the part arrives in the slot; empty if a part is neither
     * @param decoded by part, (blocks) int64: where blocks are decoded to, in bytes from the part's place in the slot
     *     or the workspace; empty if it is not coded
     */
    record ChunkArrays(
            AttentionWork work, DeviceBuffer blockPositions, List<DeviceBuffer> sources, List<DeviceBuffer> decoded) {}

    /**
     * The arrays of the blocks of one encoding that the step fills and codes.
     *
     * @param blocks (blocks) int64: open blocks, in bytes from the first
     * @param misfits (blocks) int32: becomes 1 where a block does not fit its codes in some layer
     * @param hostMisfits the same on the host
     */
    record CodedArrays(DeviceBuffer blocks, DeviceBuffer misfits, HostBuffer hostMisfits) {}

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
        RowGroups groups = RowGroups.of(batch, geometry.blockTokens(), grouping);
        AttentionIndex attention = writeBlockTable(batch, plan, groups, positions.onDevice());
        List<ChunkArrays> chunks = new ArrayList<>(plan.chunks().size());
        for (Chunk chunk : plan.chunks()) {
            chunks.add(writeChunk(batch, chunk, groups));
        }
        Map<Encoding, CodedArrays> coded = writeCoded(batch, plan);
        Optional<WindowArrays> window = geometry.windowLayerCount() == 0
                ? Optional.empty()
                : Optional.of(writeWindow(batch, plan, positions.onDevice(), rotary.onDevice()));
        DeviceBuffer edits = writeChoices(batch, head, choices);
        return new Arrays(
                tokenIds.onDevice(),
                new RowPlaces(rotary.onDevice(), keyValueOffsets.onDevice(), activationOffsets.onDevice()),
                headRows,
                new TokenChoices(choices.onDevice(), edits, masks),
                attention,
                chunks,
                coded,
                window);
    }

    private int rotaryRow(CacheSequence sequence) {
        return longRows.map(rows -> rows.of(sequence.maxTokens())).orElse(0);
    }

    private WindowArrays writeWindow(StepBatch batch, StepPlan plan, DeviceBuffer positions, DeviceBuffer rotary) {
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
                windowWork(RowGroups.of(batch, geometry.blockTokens(), Grouping.BY_SEQUENCE), ranges));
    }

    /**
     * A range that is longer than the window varies within a cell. The launch should not, so it is for the window and a
     * cell.
     */
    private AttentionWork windowWork(RowGroups sequences, List<TokenRange> ranges) {
        List<Span> spans = sequences.spans(ranges);
        int window = geometry.window();
        int longest = longest(spans);
        int launchTokens = longest > window ? Math.max(longest, window + geometry.cellTokens()) : longest;
        long countedTokens = 0;
        for (Span span : spans) {
            countedTokens += Math.min(window, span.tokens());
        }
        int fullSpans = AttentionWork.fullSpans(countedTokens, Math.min(window, longest));
        return new AttentionWork(
                writeSpans(sequences, spans),
                spans.size(),
                maxRows(sequences, spans),
                roundUp(launchTokens),
                fullSpans);
    }

    private static int longest(List<Span> spans) {
        int longest = 0;
        for (Span span : spans) {
            longest = Math.max(longest, span.tokens());
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
            for (int row = 0; row < sequence.choices().size(); row++) {
                TokenChoice choice = sequence.choices().get(row);
                int maskOfRow = choice.mask().isPresent() ? mask++ : TokenChoices.NO_MASK;
                choice.write(rows.onHost(), head.token(i, row), edits.onHost(), edit, maskOfRow);
                edit += choice.edits().size();
            }
        }
        return left;
    }

    private AttentionIndex writeBlockTable(StepBatch batch, StepPlan plan, RowGroups groups, DeviceBuffer positions) {
        int columns = columns(batch);
        long keyValueBytes = geometry.blockLayerBytes(Content.KEY_VALUE);
        BlockTable table = new BlockTable(section((long) groups.all().size() * columns * Long.BYTES), columns, groups);
        for (int i = 0; i < batch.sequences().size(); i++) {
            CacheSequence sequence = batch.sequences().get(i).cache();
            for (int block = 0; block < sequence.closedBlocks(); block++) {
                if (sequence.place(block) instanceof BlockHome.OnDevice home
                        && home.form().isReadInPlace()) {
                    long offset = home.memory().address() - cache.deviceAddress();
                    table.enter(i, block, Base.CLOSED.entry(offset));
                }
            }
            int block = sequence.closedBlocks();
            for (DeviceBuffer open : sequence.openBlocks()) {
                long offset = open.address() - cache.openMemory().address();
                if (geometry.policy().isLossy()) {
                    table.enterOpen(i, block++, offset, offset + geometry.openDecodedOffset());
                } else {
                    table.enter(i, block++, Base.OPEN.entry(offset));
                }
            }
        }
        for (Chunk chunk : plan.chunks()) {
            ChunkLayout layout = new ChunkLayout(geometry, chunk);
            for (int part = 0; part < chunk.parts().size(); part++) {
                Base base = layout.isInWorkspace(part) ? Base.RECOMPUTED : Base.STAGED;
                table.enter(chunk.parts().get(part).runs(), base, layout.keyValueOffset(part), keyValueBytes);
            }
        }
        return new AttentionIndex(positions, table.entries().onDevice(), columns);
    }

    private int columns(StepBatch batch) {
        int blocks = 1;
        for (StepSequence sequence : batch.sequences()) {
            int tokens = sequence.cache().tokens() + sequence.newTokens().size();
            blocks = Math.max(blocks, geometry.blocks(tokens));
        }
        return StepMemory.tableBlocks(blocks);
    }

    /** The block table: (groups, columns) int64. All groups of a sequence see its full blocks in the same places. */
    private record BlockTable(Section entries, int columns, RowGroups groups) {
        void enter(int sequence, int block, long entry) {
            for (int group = groups.first(sequence); group < groups.first(sequence + 1); group++) {
                entries.setLong((long) group * columns + block, entry);
            }
        }

        /** A group sees its own block as it was computed, and those before it as they are stored. */
        void enterOpen(int sequence, int block, long computed, long stored) {
            for (int group = groups.first(sequence); group < groups.first(sequence + 1); group++) {
                boolean isOwn = groups.all().get(group).lastBlock() == block;
                entries.setLong((long) group * columns + block, Base.OPEN.entry(isOwn ? computed : stored));
            }
        }

        void enter(List<BlockRun> runs, Base base, long firstOffset, long blockBytes) {
            long offset = firstOffset;
            for (BlockRun run : runs) {
                for (int i = 0; i < run.blocks(); i++) {
                    enter(run.sequence(), run.firstBlock() + i, base.entry(offset));
                    offset += blockBytes;
                }
            }
        }
    }

    private AttentionWork work(Chunk chunk, RowGroups groups) {
        List<Span> spans = groups.spans(chunk.ranges());
        long totalTokens = 0;
        for (Span span : spans) {
            totalTokens += span.tokens();
        }
        int longest = longest(spans);
        return new AttentionWork(
                writeSpans(groups, spans),
                spans.size(),
                maxRows(groups, spans),
                chunk.isStaged() ? longest : roundUp(longest),
                AttentionWork.fullSpans(totalTokens, longest));
    }

    private static int maxRows(RowGroups groups, List<Span> spans) {
        int maxRows = 0;
        for (Span span : spans) {
            maxRows = Math.max(maxRows, groups.all().get(span.group()).rows());
        }
        return maxRows;
    }

    private DeviceBuffer writeSpans(RowGroups groups, List<Span> spans) {
        Section written = section((long) spans.size() * AttentionWork.SPAN_INTS * Integer.BYTES);
        int at = 0;
        for (Span span : spans) {
            RowGroup group = groups.all().get(span.group());
            written.setInt(at++, span.group());
            written.setInt(at++, group.firstRow());
            written.setInt(at++, group.rows());
            written.setInt(at++, span.fromToken());
            written.setInt(at++, span.toToken());
        }
        return written.onDevice();
    }

    private DeviceBuffer writeBlockPositions(StepBatch batch, Chunk chunk) {
        Section positions = section((long) chunk.recomputedBlocks() * Integer.BYTES);
        int at = 0;
        for (Chunk.Part part : chunk.parts()) {
            for (BlockRun run : part.isRecomputed() ? part.runs() : List.<BlockRun>of()) {
                int firstRow = rotaryRow(batch.sequences().get(run.sequence()).cache());
                for (int i = 0; i < run.blocks(); i++) {
                    positions.setInt(at++, firstRow + (run.firstBlock() + i) * geometry.blockTokens());
                }
            }
        }
        return positions.onDevice();
    }

    private ChunkArrays writeChunk(StepBatch batch, Chunk chunk, RowGroups groups) {
        AttentionWork work = work(chunk, groups);
        DeviceBuffer positions = writeBlockPositions(batch, chunk);
        List<DeviceBuffer> sources = new ArrayList<>(chunk.parts().size());
        List<DeviceBuffer> decoded = new ArrayList<>(chunk.parts().size());
        for (Chunk.Part part : chunk.parts()) {
            Encoding encoding = part.form().encoding();
            boolean isCoded = encoding.isCoded();
            if (part.isOnHost()) {
                sources.add(writeNeighbours(isCoded ? part.blocks() : 0, geometry.blockLayerBytes(encoding)));
            } else {
                sources.add(writeOnDevice(batch, part));
            }
            decoded.add(writeNeighbours(isCoded ? part.blocks() : 0, geometry.blockLayerBytes(encoding.raw())));
        }
        return new ChunkArrays(work, positions, sources, decoded);
    }

    /** Where blocks on the device are. */
    private DeviceBuffer writeOnDevice(StepBatch batch, Chunk.Part part) {
        Section offsets = section((long) part.blocks() * Long.BYTES);
        int at = 0;
        for (BlockRun run : part.runs()) {
            CacheSequence sequence = batch.sequences().get(run.sequence()).cache();
            for (int block = run.firstBlock(); block < run.firstBlock() + run.blocks(); block++) {
                offsets.setLong(at++, onDevice(sequence, block).memory().address() - cache.deviceAddress());
            }
        }
        return offsets.onDevice();
    }

    /** Blocks that follow each other. */
    private DeviceBuffer writeNeighbours(int blocks, long blockBytes) {
        Section offsets = section((long) blocks * Long.BYTES);
        for (int i = 0; i < blocks; i++) {
            offsets.setLong(i, i * blockBytes);
        }
        return offsets.onDevice();
    }

    private Map<Encoding, CodedArrays> writeCoded(StepBatch batch, StepPlan plan) {
        Map<Encoding, CodedArrays> coded = new EnumMap<>(Encoding.class);
        Map<Encoding, Section> blocks = new EnumMap<>(Encoding.class);
        Map<Encoding, Integer> written = new EnumMap<>(Encoding.class);
        plan.shape().codedBlocks(geometry).forEach((encoding, count) -> {
            Section offsets = section((long) count * Long.BYTES);
            Section misfits = section((long) count * Integer.BYTES);
            misfits.onHost().fill((byte) 0);
            blocks.put(encoding, offsets);
            written.put(encoding, 0);
            coded.put(encoding, new CodedArrays(offsets.onDevice(), misfits.onDevice(), misfits.hostBuffer()));
        });
        if (coded.isEmpty()) {
            return coded;
        }
        for (StepSequence part : batch.sequences()) {
            CacheSequence sequence = part.cache();
            List<DeviceBuffer> open = sequence.openBlocks();
            if (geometry.policy().isLossy()) {
                Encoding encoding = geometry.encodings().getFirst();
                int filled = (sequence.openTokens() + part.newTokens().size()) / geometry.blockTokens();
                for (int i = 0; i < filled; i++) {
                    int at = Objects.requireNonNull(written.merge(encoding, 1, Integer::sum)) - 1;
                    long offset = open.get(i).address() - cache.openMemory().address();
                    Objects.requireNonNull(blocks.get(encoding)).setLong(at, offset);
                }
                continue;
            }
            List<MemorySegment> misfits = new ArrayList<>();
            for (int i = 0; i < sequence.closingBlocks(); i++) {
                Encoding encoding =
                        sequence.home(sequence.closedBlocks() + i).form().encoding();
                if (encoding.isCoded()) {
                    int at = Objects.requireNonNull(written.merge(encoding, 1, Integer::sum)) - 1;
                    long offset = open.get(i).address() - cache.openMemory().address();
                    Objects.requireNonNull(blocks.get(encoding)).setLong(at, offset);
                    misfits.add(Objects.requireNonNull(coded.get(encoding))
                            .hostMisfits()
                            .segment()
                            .asSlice((long) at * Integer.BYTES, Integer.BYTES));
                } else {
                    misfits.add(MemorySegment.NULL);
                }
            }
            sequence.findMisfits(i -> misfits.get(i).get(ValueLayout.JAVA_INT, 0) != 0);
        }
        return coded;
    }

    private static BlockHome.OnDevice onDevice(CacheSequence sequence, int block) {
        if (sequence.place(block) instanceof BlockHome.OnDevice home) {
            return home;
        }
        throw new IllegalArgumentException("the plan reads block " + block + ", which is not on the device");
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
    private record Section(HostBuffer hostBuffer, DeviceBuffer onDevice) {
        MemorySegment onHost() {
            return hostBuffer.segment();
        }

        void setInt(long index, int value) {
            onHost().setAtIndex(ValueLayout.JAVA_INT, index, value);
        }

        void setLong(long index, long value) {
            onHost().setAtIndex(ValueLayout.JAVA_LONG, index, value);
        }
    }

    private Section section(long bytes) {
        long offset = usedBytes;
        usedBytes = Math.ceilDiv(offset + bytes, StepMemory.INDEX_ALIGNMENT_BYTES) * StepMemory.INDEX_ALIGNMENT_BYTES;
        return new Section(host.slice(offset, bytes), device.slice(offset, bytes));
    }
}
