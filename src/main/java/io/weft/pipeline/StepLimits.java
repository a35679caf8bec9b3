package io.weft.pipeline;

import io.weft.cache.KvCache;
import io.weft.model.CacheGeometry;
import io.weft.plan.step.StepMemory;

/**
 * The largest step; workspace is allocated for it.
 *
 * @param sequences in a batch
 * @param rows new tokens of a batch
 * @param logitRows rows whose logits are needed, on the device or on the host
 * @param draftRows drafted rows of a batch
 * @param contextTokens tokens of a sequence
 */
public record StepLimits(int sequences, int rows, int logitRows, int draftRows, int contextTokens) {
    public StepLimits {
        if (sequences < 1
                || draftRows < 0
                || logitRows < sequences + draftRows
                || logitRows > rows
                || contextTokens < 1) {
            throw new IllegalArgumentException(
                    "step limits are %d sequences, %d rows, %d logit rows, %d draft rows, %d context tokens; must be sequences + draft rows <= logit rows <= rows, all positive but draft rows"
                            .formatted(sequences, rows, logitRows, draftRows, contextTokens));
        }
    }

    /** These limits for fewer or shorter sequences. */
    public StepLimits withLoad(int sequences, int contextTokens) {
        return new StepLimits(sequences, rows, logitRows, draftRows, contextTokens);
    }

    /**
     * The most open blocks that a step may need at once: one or two per sequence, those that prompts fill, and those
     * that hold the accepted drafts of the step before. Every sequence with such drafts has a part in the step.
     */
    public int openBlocks(int blockTokens) {
        return 2 * sequences + Math.ceilDiv(rows + draftRows, blockTokens);
    }

    /** What the largest step needs of the cache. */
    public KvCache.StepNeeds cacheNeeds(int blockTokens) {
        return new KvCache.StepNeeds(openBlocks(blockTokens), rows);
    }

    /** The memory of such a step. */
    public StepMemory memory(CacheGeometry geometry) {
        return new StepMemory(geometry, sequences, rows, logitRows, draftRows, contextTokens);
    }
}
