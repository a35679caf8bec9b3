package io.weft.plan.prediction;

import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.model.LayerGroup;
import io.weft.model.ModelDimensions;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.LayerCurves;
import io.weft.plan.step.PlannedStage;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StepPlan;
import java.util.function.DoubleUnaryOperator;
import java.util.function.ToDoubleFunction;

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
                    case Stage.Decode decode -> decodeNanos(decode.encoding(), decode.tokens());
                    case Stage.Encode encode ->
                        profile.encode(encode.encoding())
                                .nanos(encode.blocks()
                                        * geometry.blockLayerBytes(
                                                encode.encoding().raw()));
                    case Stage.Project project ->
                        curves(project.layer()).project().nanos(project.rows());
                    case Stage.Recompute recompute -> profile.keyValues().nanos(recompute.tokens());
                    case Stage.Attend attend ->
                        attentionNanos(group(attend.layer()), attend.rowTokens(), attend.tokens(), attend.sequences());
                    case Stage.AttendWindow attend ->
                        attentionNanos(group(attend.layer()), attend.rowTokens(), attend.tokens(), attend.sequences());
                    case Stage.FeedForward feedForward ->
                        curves(feedForward.layer()).feedForward().nanos(feedForward.rows());
                    case Stage.StoreOnDevice store -> copies(profile.deviceCopy(), store.bytes(), store.copies());
                    case Stage.WriteOut writeOut -> copies(profile.linkOut(), writeOut.bytes(), writeOut.copies());
                    case Stage.Promote promote -> copies(profile.linkIn(), promote.bytes(), promote.copies());
                    case Stage.Head head -> profile.head().nanos(head.rows());
                    case Stage.Download download ->
                        copyOut(download.tokenBytes())
                                + copyOut(download.logitBytes())
                                + copyOut(download.misfitBytes());
                });
    }

    private LayerCurves curves(int layer) {
        return profile.layers().get(geometry.dimensions().groupOf(layer));
    }

    /** The curves of a layer of a group. */
    public LayerCurves curves(LayerGroup group) {
        return curves(group.layers().getFirst());
    }

    private LayerGroup group(int layer) {
        ModelDimensions dimensions = geometry.dimensions();
        return dimensions.groups().get(dimensions.groupOf(layer));
    }

    /** Attention reads K and V once, and multiplies every pair: whichever takes longer. */
    private double attentionNanos(LayerGroup group, long rowTokens, long tokens, int sequences) {
        return Math.max(
                readNanos(group, tokens, sequences),
                curves(group).attentionPairs().nanos(rowTokens));
    }

    private double readNanos(LayerGroup group, long tokens, int sequences) {
        LayerCurves curves = curves(group);
        if (sequences == 1) {
            return curves.loneReads().nanos(tokens);
        }
        double measuredSequences = Math.max(1, (double) tokens / HardwareProfile.sequenceTokens(group.layer()));
        double moreSequences = Math.max(0, sequences - measuredSequences);
        return curves.attentionReads().nanos(tokens) + moreSequences * profile.shortSequenceNanos();
    }

    /** The link time of a token in one layer, in copies of {@code copyTokens} tokens. */
    public double linkNanosPerToken(Encoding encoding, long copyTokens) {
        long bytes = Math.ceilDiv(copyTokens * geometry.blockLayerBytes(encoding), geometry.blockTokens());
        return profile.linkIn().nanos(bytes) / copyTokens;
    }

    /** The time to decode a token in one layer, {@code chunkTokens} at a time; 0 if it is stored as it is. */
    public double decodeNanosPerToken(Encoding encoding, long chunkTokens) {
        return encoding.isCoded() ? decodeNanos(encoding, chunkTokens) / chunkTokens : 0;
    }

    /** The same at the best rate of up to {@code tokens} tokens. */
    public double leastDecodeNanosPerToken(Encoding encoding, long tokens) {
        long layerBytes = geometry.tokenLayerBytes(encoding.content());
        return layerBytes * profile.decode(encoding).leastNanosPerUnit(tokens * layerBytes);
    }

    private double decodeNanos(Encoding encoding, long tokens) {
        return profile.decode(encoding).nanos(tokens * geometry.tokenLayerBytes(encoding.content()));
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
        return baseNanos(sequences, groupNanos(sequences, contextTokens), DoubleUnaryOperator.identity());
    }

    /** {@link #baseNanos} for a step during which the link is at work. */
    public double baseNanosBesideLink(int sequences, long contextTokens) {
        ToDoubleFunction<LayerGroup> alone = groupNanos(sequences, contextTokens);
        return baseNanos(
                sequences,
                group -> profile.linkContentionFactor() * alone.applyAsDouble(group)
                        + STAGES_OF_A_LAYER * profile.stageNanos(),
                DoubleUnaryOperator.identity());
    }

    private ToDoubleFunction<LayerGroup> groupNanos(int sequences, long contextTokens) {
        return group -> {
            LayerCurves curves = curves(group);
            return curves.project().nanos(sequences)
                    + curves.feedForward().nanos(sequences)
                    + attentionNanos(group, sequences, contextTokens);
        };
    }

    /**
     * The attention of a decode step in one layer of a group, in one piece.
     *
     * @param contextTokens cached tokens of all sequences together
     */
    public double attentionNanos(LayerGroup group, int sequences, long contextTokens) {
        long tokens = seenTokens(group, sequences, contextTokens);
        return attentionNanos(group, tokens, tokens, sequences);
    }

    /**
     * The least time of attention to {@code tokens} in one layer, in chunks of any size, each perhaps of one sequence.
     */
    public double leastAttentionNanos(LayerGroup group, int sequences, long tokens) {
        LayerCurves curves = curves(group);
        double lone = curves.loneReads().leastNanosPerUnit(tokens);
        double reads =
                sequences == 1 ? lone : Math.min(lone, curves.attentionReads().leastNanosPerUnit(tokens));
        return tokens * Math.max(reads, curves.attentionPairs().leastNanosPerUnit(tokens));
    }

    /** The tokens that the rows of a decode step see in a layer of a group. */
    public static long seenTokens(LayerGroup group, int sequences, long contextTokens) {
        return Math.min(contextTokens, (long) sequences * group.layer().window());
    }

    /**
     * The same for known layers.
     *
     * @param layerNanos project, attention and feed-forward stages of one layer of a group
     * @param stage makes the time of another stage of the rows of what it takes by itself
     */
    public double baseNanos(int sequences, ToDoubleFunction<LayerGroup> layerNanos, DoubleUnaryOperator stage) {
        return layersNanos(layerNanos)
                + nanos(new Stage.Upload())
                + stage.applyAsDouble(profile.embed().nanos(sequences))
                + stage.applyAsDouble(profile.head().nanos(sequences));
    }

    /** The sum over all layers. */
    public double layersNanos(ToDoubleFunction<LayerGroup> layerNanos) {
        double nanos = 0;
        for (LayerGroup group : geometry.dimensions().groups()) {
            nanos += group.layers().size() * layerNanos.applyAsDouble(group);
        }
        return nanos;
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
            case Stage.Project _, Stage.Attend _, Stage.AttendWindow _, Stage.FeedForward _ ->
                Math.round(nanos * linkContentionFactor + profile.stageNanos());
            // In the measurement, the link was at work or made no difference.
            case Stage.Recompute _, Stage.Gather _, Stage.Decode _, Stage.Encode _ ->
                Math.round(nanos + profile.stageNanos());
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
