package io.weft.plan.prediction;

import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.step.PlannedStage;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StepPlan;
import java.util.function.DoubleUnaryOperator;

/**
 * The cost of each stage on a machine.
 *
 * @param profile profile of machine and model
 * @param geometry of the cache
 */
public record CostModel(HardwareProfile profile, CacheGeometry geometry) {
    /** The stages of a layer: project, attend, feed forward. */
    public static final int STAGES_OF_A_LAYER = 3;

    /** The time of a stage's kernels or copies according to the curves, which were measured in a row. */
    public long nanos(Stage stage) {
        return Math.round(
                switch (stage) {
                    // One small kernel for a few kilobytes, like an embedding.
                    case Stage.Upload upload -> profile.embed().nanos(1);
                    case Stage.Embed embed -> profile.embed().nanos(embed.rows());
                    case Stage.Transfer transfer -> copies(profile.linkIn(), transfer.bytes(), transfer.copies());
                    case Stage.Gather gather -> profile.deviceCopy().nanos(gather.bytes());
                    case Stage.Project project -> profile.project().nanos(project.rows());
                    case Stage.Recompute recompute -> profile.keyValues().nanos(recompute.tokens());
                    case Stage.Attend attend -> attentionNanos(attend.rowTokens(), attend.tokens(), attend.sequences());
                    case Stage.FeedForward feedForward -> profile.feedForward().nanos(feedForward.rows());
                    case Stage.StoreOnDevice store -> copies(profile.deviceCopy(), store.bytes(), store.copies());
                    case Stage.WriteOut writeOut -> copies(profile.linkOut(), writeOut.bytes(), writeOut.copies());
                    case Stage.Promote promote -> copies(profile.linkIn(), promote.bytes(), promote.copies());
                    case Stage.Head head -> profile.head().nanos(head.rows());
                    case Stage.Download download -> copyOut(download.tokenBytes()) + copyOut(download.logitBytes());
                });
    }

    /** Attention reads K and V once, and multiplies every pair: whichever takes longer. */
    public double attentionNanos(long rowTokens, long tokens, int sequences) {
        return Math.max(readNanos(tokens, sequences), profile.attentionPairs().nanos(rowTokens));
    }

    private double readNanos(long tokens, int sequences) {
        if (sequences == 1) {
            return profile.loneReads().nanos(tokens);
        }
        double measuredSequences = Math.max(1, (double) tokens / HardwareProfile.SEQUENCE_TOKENS);
        double moreSequences = Math.max(0, sequences - measuredSequences);
        return profile.attentionReads().nanos(tokens) + moreSequences * profile.shortSequenceNanos();
    }

    /** The link time of a token's content in one layer, in copies of {@code copyTokens} tokens. */
    public double linkNanosPerToken(Content content, long copyTokens) {
        return profile.linkIn().nanos(copyTokens * geometry.tokenLayerBytes(content)) / copyTokens;
    }

    /** The time to recompute a token's K and V in one layer, {@code chunkTokens} at a time. */
    public double recomputeNanosPerToken(long chunkTokens) {
        return profile.keyValues().nanos(chunkTokens) / chunkTokens;
    }

    /** The time to gather a token's activations on the device in one layer, {@code chunkTokens} at a time. */
    public double gatherNanosPerToken(long chunkTokens) {
        return profile.deviceCopy().nanos(chunkTokens * geometry.tokenLayerBytes(Content.ACTIVATION)) / chunkTokens;
    }

    /**
     * The compute time that a decode step needs in any case, C0: one new token for each sequence with its index arrays,
     * and attention to all tokens.
     *
     * @param contextTokens cached tokens of all sequences together
     */
    public double baseNanos(int sequences, long contextTokens) {
        return baseNanos(sequences, layerNanos(sequences, contextTokens));
    }

    /** {@link #baseNanos} for a step during which the link is at work. */
    public double baseNanosBesideLink(int sequences, long contextTokens) {
        double layer = profile.linkContentionFactor() * layerNanos(sequences, contextTokens);
        return baseNanos(sequences, layer + STAGES_OF_A_LAYER * profile.stageNanos());
    }

    private double layerNanos(int sequences, long contextTokens) {
        return profile.project().nanos(sequences)
                + profile.feedForward().nanos(sequences)
                + attentionNanos(contextTokens, contextTokens, sequences);
    }

    private double baseNanos(int sequences, double layerNanos) {
        return baseNanos(sequences, layerNanos, DoubleUnaryOperator.identity());
    }

    /**
     * The same for a known layer.
     *
     * @param layerNanos project, attention and feed-forward stages of one layer
     * @param stage makes the time of another stage of the rows of what it takes by itself
     */
    public double baseNanos(int sequences, double layerNanos, DoubleUnaryOperator stage) {
        return geometry.dimensions().layers() * layerNanos
                + nanos(new Stage.Upload())
                + stage.applyAsDouble(profile.embed().nanos(sequences))
                + stage.applyAsDouble(profile.head().nanos(sequences));
    }

    private double copyOut(long bytes) {
        return copies(profile.linkOut(), bytes, bytes == 0 ? 0 : 1);
    }

    private static double copies(Curve curve, long bytes, int copies) {
        return copies == 0 ? 0 : copies * curve.nanos(Math.ceilDiv(bytes, copies));
    }

    /** The time of a step, from the end of the one before. */
    public long stepNanos(StepPlan plan) {
        StepSimulator simulator = simulator(plan);
        return simulator.lanes(plan).totalNanos() - graphGainNanos(plan) + simulator.pauseNanos();
    }

    /** The time that a step gains as a captured graph over stage by stage; 0 if it does not run as a graph. */
    public long graphGainNanos(StepPlan plan) {
        if (!plan.isResidentDecode()) {
            return 0;
        }
        double gainNanos = 0;
        double stageGainNanos = profile.graphGain().nanos(plan.shape().rows());
        for (PlannedStage planned : plan.stages()) {
            Stage stage = planned.stage();
            if (stage.computesRows()) {
                long nanos = nanos(stage);
                // A stage cannot gain more than its time.
                gainNanos += issuedNanos(stage, 1) - nanos + Math.min(stageGainNanos, (double) nanos);
            }
        }
        return Math.round(gainNanos);
    }

    /**
     * The time of a stage that is issued by itself.
     *
     * @param linkContentionFactor factor on the time of project, attention and feed-forward stages; 1 if nothing
     *     crosses the link
     */
    public long issuedNanos(Stage stage, double linkContentionFactor) {
        long nanos = nanos(stage);
        return switch (stage) {
            case Stage.Project _, Stage.Attend _, Stage.FeedForward _ ->
                Math.round(nanos * linkContentionFactor + profile.stageNanos());
            // In the measurement, the link was at work or made no difference.
            case Stage.Recompute _, Stage.Gather _ -> Math.round(nanos + profile.stageNanos());
            case Stage.Upload _,
                    Stage.Embed _,
                    Stage.Transfer _,
                    Stage.StoreOnDevice _,
                    Stage.WriteOut _,
                    Stage.Promote _,
                    Stage.Head _,
                    Stage.Download _ -> nanos;
        };
    }

    /** A simulator of a plan with these costs, for stages that are issued one by one. */
    public StepSimulator simulator(StepPlan plan) {
        double linkContentionFactor = plan.linkInBytes() > 0 ? profile.linkContentionFactor() : 1;
        return new StepSimulator(
                stage -> issuedNanos(stage, linkContentionFactor),
                Math.round(profile.launchNanos()),
                Math.round(profile.handoffNanos()),
                Math.round(profile.pauseNanos()));
    }
}
