package io.weft.plan;

import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;

/**
 * What each stage costs on a machine.
 *
 * @param profile of machine and model
 * @param geometry of the cache
 */
public record CostModel(HardwareProfile profile, CacheGeometry geometry) {
    /** How long a stage takes once it has started. */
    public long nanos(Stage stage) {
        return Math.round(
                switch (stage) {
                    // One small kernel for a few kilobytes, as is an embedding.
                    case Stage.Upload upload -> profile.embed().nanos(1);
                    case Stage.Embed embed -> profile.embed().nanos(embed.rows());
                    case Stage.Transfer transfer -> copies(profile.linkIn(), transfer.bytes(), transfer.copies());
                    case Stage.Gather gather -> profile.deviceCopy().nanos(gather.bytes());
                    case Stage.Project project -> profile.project().nanos(project.rows());
                    case Stage.Recompute recompute -> profile.keyValues().nanos(recompute.tokens());
                    case Stage.Attend attend -> attentionNanos(attend.rowTokens(), attend.tokens(), attend.sequences());
                    case Stage.Complete complete -> profile.complete().nanos(complete.rows());
                    case Stage.Keep keep -> copies(profile.deviceCopy(), keep.bytes(), keep.copies());
                    case Stage.WriteOut writeOut -> copies(profile.linkOut(), writeOut.bytes(), writeOut.copies());
                    case Stage.TakeUp takeUp -> copies(profile.linkIn(), takeUp.bytes(), takeUp.copies());
                    case Stage.Head head -> profile.head().nanos(head.rows());
                    case Stage.Download download -> copyOut(download.tokenBytes()) + copyOut(download.logitBytes());
                });
    }

    /** Attention reads K and V once, and multiplies every pair: whichever takes longer. */
    public double attentionNanos(long rowTokens, long tokens, int sequences) {
        Curve reads = sequences == 1 ? profile.loneReads() : profile.attentionReads();
        return Math.max(reads.nanos(tokens), profile.attentionPairs().nanos(rowTokens));
    }

    /** Link time of a token's content in one layer, in copies of {@code copyTokens} tokens. */
    public double linkNanosPerToken(Content content, long copyTokens) {
        return profile.linkIn().nanos(copyTokens * geometry.tokenLayerBytes(content)) / copyTokens;
    }

    /** Recomputation of a token's K and V in one layer, {@code chunkTokens} at a time. */
    public double recomputeNanosPerToken(long chunkTokens) {
        return profile.keyValues().nanos(chunkTokens) / chunkTokens;
    }

    /** Gathering a token's activations that lie on the device, in one layer, {@code chunkTokens} at a time. */
    public double gatherNanosPerToken(long chunkTokens) {
        return profile.deviceCopy().nanos(chunkTokens * geometry.tokenLayerBytes(Content.ACTIVATION)) / chunkTokens;
    }

    /**
     * Compute that a decode step needs in any case, C0: one new token for each sequence with its index arrays, and
     * attention to all tokens.
     *
     * @param contextTokens cached tokens of all sequences together
     */
    public double baseNanos(int sequences, long contextTokens) {
        double layer = profile.project().nanos(sequences)
                + profile.complete().nanos(sequences)
                + attentionNanos(contextTokens, contextTokens, sequences);
        return geometry.dimensions().layers() * layer
                + nanos(new Stage.Upload())
                + profile.embed().nanos(sequences)
                + profile.head().nanos(sequences);
    }

    private double copyOut(long bytes) {
        return copies(profile.linkOut(), bytes, bytes == 0 ? 0 : 1);
    }

    private static double copies(Curve curve, long bytes, int copies) {
        return copies == 0 ? 0 : copies * curve.nanos(Math.ceilDiv(bytes, copies));
    }

    /** How long a step takes, from the end of the one before. */
    public long stepNanos(StepPlan plan) {
        StepSimulator simulator = simulator();
        return simulator.lanes(plan).totalNanos() - graphGainNanos(plan) + simulator.pauseNanos();
    }

    /** How much shorter a step is as a captured graph than stage by stage; 0 if it is not one. */
    long graphGainNanos(StepPlan plan) {
        if (!plan.isResidentDecode()) {
            return 0;
        }
        double gain = 0;
        for (PlannedStage planned : plan.stages()) {
            if (planned.stage().isOfRows()) {
                // A short stage has no more to gain than it takes.
                gain += Math.min(profile.graphGainNanos(), (double) nanos(planned.stage()));
            }
        }
        return Math.round(gain);
    }

    /** A simulator with these costs of stages that are issued one by one. */
    public StepSimulator simulator() {
        return new StepSimulator(
                this::nanos,
                Math.round(profile.launchNanos()),
                Math.round(profile.handoffNanos()),
                Math.round(profile.pauseNanos()));
    }
}
