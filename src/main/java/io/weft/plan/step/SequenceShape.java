package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.LayerDimensions;
import java.util.List;

/**
 * One sequence of a step, as far as its plan depends on it.
 *
 * @param closed forms of its full blocks, in token order
 * @param openTokens cached tokens after the full blocks; they lie in open blocks on the device
 * @param newTokens tokens that this step runs: 1 when decoding, more in prefill or with drafts
 * @param drafted the last of these, which may turn out to be other tokens and so fill no block
 * @param closing forms of the blocks that tokens before the drafted ones fill, in token order
 * @param promoted forms, all on the host, of the full blocks that are copied to the device for later steps
 */
public record SequenceShape(
        List<CacheForm> closed,
        int openTokens,
        int newTokens,
        int drafted,
        List<CacheForm> closing,
        List<CacheForm> promoted) {
    public SequenceShape {
        closed = List.copyOf(closed);
        closing = List.copyOf(closing);
        promoted = List.copyOf(promoted);
        if (openTokens < 0) {
            throw new IllegalArgumentException("openTokens is " + openTokens + ", must not be negative");
        }
        if (newTokens < 1) {
            throw new IllegalArgumentException("newTokens is " + newTokens + ", must be at least 1");
        }
        if (drafted < 0 || drafted >= newTokens) {
            throw new IllegalArgumentException("drafted is " + drafted + " of " + newTokens
                    + " new tokens, must not be negative and leave at least one");
        }
    }

    /** A sequence without drafts, whose blocks stay where they are. */
    public SequenceShape(List<CacheForm> closed, int openTokens, int newTokens, List<CacheForm> closing) {
        this(closed, openTokens, newTokens, 0, closing, List.of());
    }

    /** The cached tokens before the step. */
    public int cachedTokens(int blockTokens) {
        return closed.size() * blockTokens + openTokens;
    }

    /** The blocks that the step fills. */
    int closingBlocks(int blockTokens) {
        return (openTokens + newTokens - drafted) / blockTokens;
    }

    /** The open blocks that are full after the step, drafts included. */
    int filledBlocks(int blockTokens) {
        return (openTokens + newTokens) / blockTokens;
    }

    /** The first token that a new row sees in a layer with this window. */
    public int firstSeenToken(int blockTokens, int window) {
        return (int) Math.max(0, cachedTokens(blockTokens) + 1L - window);
    }

    /** The tokens that new rows see in a layer with this window, each counted once. */
    long seenTokens(int blockTokens, int window) {
        return (long) totalTokens(blockTokens) - firstSeenToken(blockTokens, window);
    }

    /** Pairs of a new row and a token that it sees in a layer with this window. */
    long rowTokens(int blockTokens, int window) {
        return LayerDimensions.rowTokens(cachedTokens(blockTokens), newTokens, window);
    }

    /** The tokens after the step, which are those that the last new token sees. */
    public int totalTokens(int blockTokens) {
        return cachedTokens(blockTokens) + newTokens;
    }
}
