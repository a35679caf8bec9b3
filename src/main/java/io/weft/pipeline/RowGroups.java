package io.weft.pipeline;

import io.weft.cache.CacheSequence;
import io.weft.model.CacheGeometry;
import io.weft.plan.step.TokenRange;
import java.util.ArrayList;
import java.util.List;

/**
 * The rows of a step in groups that attend to the same memory: each group has its own row of the block table, and its
 * own spans.
 *
 * <p>Of an exact cache, the rows of a sequence are one group. Under a lossy policy there is one for each block in which
 * a row lies: such rows see that block as it was computed, and all earlier ones as they are stored.
 */
final class RowGroups {
    private final List<RowGroup> groups;
    /** By sequence: its first group; after the last one, all groups. */
    private final int[] firstGroups;

    private RowGroups(List<RowGroup> groups, int[] firstGroups) {
        this.groups = List.copyOf(groups);
        this.firstGroups = firstGroups;
    }

    /** What makes a group. */
    enum Grouping {
        BY_SEQUENCE,
        BY_BLOCK;

        static Grouping of(CacheGeometry geometry) {
            return geometry.policy().isLossy() ? BY_BLOCK : BY_SEQUENCE;
        }
    }

    /**
     * Rows with consecutive positions.
     *
     * @param sequence index in the batch
     * @param firstRow index in the step
     * @param rows number of rows
     * @param lastBlock the block of the last row
     * @param seenTokens tokens that the last row may see, whole blocks but for the sequence's last
     */
    record RowGroup(int sequence, int firstRow, int rows, int lastBlock, int seenTokens) {}

    static RowGroups of(StepBatch batch, int blockTokens, Grouping grouping) {
        List<RowGroup> groups = new ArrayList<>();
        int[] firstGroups = new int[batch.sequences().size() + 1];
        int row = 0;
        for (int sequence = 0; sequence < batch.sequences().size(); sequence++) {
            CacheSequence cached = batch.sequences().get(sequence).cache();
            int total = cached.tokens()
                    + batch.sequences().get(sequence).newTokens().size();
            int position = cached.tokens();
            while (position < total) {
                int end = switch (grouping) {
                    case BY_SEQUENCE -> total;
                    case BY_BLOCK -> Math.min(total, (position / blockTokens + 1) * blockTokens);
                };
                groups.add(new RowGroup(sequence, row, end - position, (end - 1) / blockTokens, end));
                row += end - position;
                position = end;
            }
            firstGroups[sequence + 1] = groups.size();
        }
        return new RowGroups(groups, firstGroups);
    }

    /** All groups; the index of one is its row of the block table. */
    List<RowGroup> all() {
        return groups;
    }

    /** The index of the first group of a sequence; of all sequences together, the number of groups. */
    int first(int sequence) {
        return firstGroups[sequence];
    }

    /** The groups of sequences that see some of their ranges, and what they see of them. */
    List<Span> spans(List<TokenRange> ranges) {
        List<Span> spans = new ArrayList<>(ranges.size());
        for (TokenRange range : ranges) {
            for (int group = first(range.sequence()); group < first(range.sequence() + 1); group++) {
                int to = Math.min(range.toToken(), groups.get(group).seenTokens());
                if (to > range.fromToken()) {
                    spans.add(new Span(group, range.fromToken(), to));
                }
            }
        }
        return spans;
    }

    /**
     * What a group attends to in one call.
     *
     * @param group index of the group
     * @param fromToken first token
     * @param toToken index after the last token
     */
    record Span(int group, int fromToken, int toToken) {
        int tokens() {
            return toToken - fromToken;
        }
    }
}
