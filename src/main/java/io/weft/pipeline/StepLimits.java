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
 * @param contextTokens tokens of a sequence
 */
public record StepLimits(int sequences, int rows, int logitRows, int contextTokens) {
    public StepLimits {
        if (sequences < 1 || rows < sequences || logitRows < sequences || logitRows > rows || contextTokens < 1) {
            throw new IllegalArgumentException(
                    "step limits are %d sequences, %d rows, %d logit rows, %d context tokens; must be sequences <= logit rows <= rows, all positive"
                            .formatted(sequences, rows, logitRows, contextTokens));
        }
    }

    /** These limits for fewer or shorter sequences. */
    public StepLimits withLoad(int sequences, int contextTokens) {
        return new StepLimits(sequences, rows, logitRows, contextTokens);
    }

    /** The most open blocks that a step may need at once: one per sequence, and those that prompts fill. */
    public int openBlocks(int blockTokens) {
        return 2 * sequences + Math.ceilDiv(rows, blockTokens);
    }

    /** What the largest step needs of the cache. */
    public KvCache.StepNeeds cacheNeeds(int blockTokens) {
        return new KvCache.StepNeeds(openBlocks(blockTokens), rows);
    }

    /** The memory of such a step. */
    public StepMemory memory(CacheGeometry geometry) {
        return new StepMemory(geometry, sequences, rows, logitRows, contextTokens);
    }
}
