package io.weft.device.cuda;

import io.weft.device.AttentionShape;
import io.weft.device.AttentionWork;

/**
 * How an attention call is divided into launches. None of it changes a result: a row gets the same bits from any kernel
 * and in any number of launches.
 *
 * @param fewRows the most rows of a span of few rows: their queries fill one tile at most, unless multiprocessors would
 *     be idle
 * @param fewQueries the most queries of a span of few rows for one K/V head
 * @param manyQueryTiles query tiles of the largest span of many rows; 0 if there is none
 * @param tiles token tiles of the longest span
 * @param spansAtOnce spans whose partial results fit the workspace at the same time
 * @param tilesAtOnce tiles of each of these spans that fit at the same time
 * @param headSize elements of a head
 * @param keyValueHeads heads of K and V
 * @param hasFew whether a span of few rows is possible
 * @param spansFillDevice whether a block should take all tiles of a span of few rows, which needs no partial results
 */
record AttentionLaunch(
        int fewRows,
        int fewQueries,
        int manyQueryTiles,
        int tiles,
        int spansAtOnce,
        int tilesAtOnce,
        int headSize,
        int keyValueHeads,
        boolean hasFew,
        boolean spansFillDevice) {
    // As in attention.cuh.
    static final int TILE_TOKENS = 64;
    static final int TILE_QUERIES = 16;
    static final int WARPS = 4;
    static final int THREADS = 32 * WARPS;

    /**
     * A decoding sequence has no more rows, with drafts. If these are all that there are, and too few to occupy the
     * device, they are divided by tiles of tokens, however many query tiles then read the same tokens: that costs less
     * than multiprocessors without work.
     */
    private static final int DRAFTED_ROWS_MOST = 16;

    private static final int SUMS_BYTES = 2 * Float.BYTES;
    private static final int ALIGNMENT_BYTES = 16;
    /** The most blocks of a grid in y, and in z. */
    private static final int BLOCKS_MOST = 65_535;

    static AttentionLaunch of(AttentionShape shape, AttentionWork work, long workspaceBytes, int multiprocessors) {
        if (work.spanCount() > BLOCKS_MOST) {
            throw new IllegalArgumentException("spanCount is " + work.spanCount() + ", must be at most " + BLOCKS_MOST);
        }
        int group = shape.heads() / shape.keyValueHeads();
        // The longest span takes a multiprocessor no longer than its share of all spans.
        boolean spansFillDevice = (long) work.fullSpans() * shape.keyValueHeads() >= multiprocessors;
        boolean dividesDrafts = !spansFillDevice && work.maxRows() <= DRAFTED_ROWS_MOST;
        int fewRows = dividesDrafts ? DRAFTED_ROWS_MOST : Math.max(1, TILE_QUERIES / group);
        int fewQueries = Math.min(work.maxRows(), fewRows) * group;
        boolean many = work.maxRows() > fewRows;
        int tiles = tiles(work.maxTokens(), shape.cellTokens());
        long tileBytes =
                (long) shape.keyValueHeads() * fewQueries * ((long) shape.headSize() * Float.BYTES + SUMS_BYTES);
        long slots = (workspaceBytes - ALIGNMENT_BYTES) / tileBytes;
        if (slots < 1) {
            throw new IllegalArgumentException("a workspace of %,d bytes does not hold the %,d bytes of one tile"
                    .formatted(workspaceBytes, tileBytes));
        }
        int spansAtOnce = (int) Math.min(slots, work.spanCount());
        return new AttentionLaunch(
                fewRows,
                fewQueries,
                many ? Math.ceilDiv(work.maxRows() * group, TILE_QUERIES) : 0,
                tiles,
                spansAtOnce,
                (int) Math.min(Math.min(slots / spansAtOnce, tiles), BLOCKS_MOST),
                shape.headSize(),
                shape.keyValueHeads(),
                // A lone span is the largest one.
                !many || work.spanCount() > 1,
                spansFillDevice);
    }

    /** Tiles of the first {@code tokens} tokens of a grid: tiles start anew at each cell. */
    static int tiles(int tokens, int cellTokens) {
        int perCell = Math.ceilDiv(cellTokens, TILE_TOKENS);
        return tokens / cellTokens * perCell + Math.ceilDiv(tokens % cellTokens, TILE_TOKENS);
    }

    boolean hasMany() {
        return manyQueryTiles > 0;
    }

    /** Query tiles of a span of few rows. */
    int fewQueryTiles() {
        return Math.ceilDiv(fewQueries, TILE_QUERIES);
    }

    /** Bytes of the accumulators of one launch; their sums follow them. */
    long accumulatorBytes(int spans, int tilesOfEach) {
        long bytes = (long) spans * keyValueHeads * fewQueries * tilesOfEach * headSize * Float.BYTES;
        return Math.ceilDiv(bytes, (long) ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }
}
