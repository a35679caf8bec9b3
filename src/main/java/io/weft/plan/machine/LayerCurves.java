package io.weft.plan.machine;

/**
 * How long the stages of one layer of a group take, in nanoseconds.
 *
 * @param project rows: norm, Q, K, V, rotary positions and scatter
 * @param attentionReads tokens to which single rows attend, each reading its own K and V: decoding of several sequences
 * @param loneReads tokens to which the row of a lone sequence attends: it may keep a device less busy
 * @param attentionPairs pairs of a row and a token that it sees, with many rows for each token read: prefill
 * @param feedForward rows: output projection and feed-forward network
 */
public record LayerCurves(
        Curve project, Curve attentionReads, Curve loneReads, Curve attentionPairs, Curve feedForward) {
    /** The same with kernels that take {@code factor} times as long. */
    LayerCurves times(double factor) {
        return new LayerCurves(
                project.times(factor),
                attentionReads.times(factor),
                loneReads.times(factor),
                attentionPairs.times(factor),
                feedForward.times(factor));
    }
}
