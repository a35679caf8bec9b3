package io.weft.plan.machine;

/**
 * What a machine needs for the stages of one model: measured by {@code profile}, or put together from public figures.
 * Curves are in nanoseconds.
 *
 * @param device which machine, for people
 * @param linkIn bytes of one piece of many that cross from the host to the device in one call
 * @param linkOut bytes of one copy from the device to the host
 * @param deviceCopy bytes that are gathered within device memory at once
 * @param embed rows
 * @param project rows: norm, Q, K, V, rotary positions and scatter of one layer
 * @param keyValues tokens: K and V of one layer from activations, rotary positions included, and what other stages take
 *     longer because of it
 * @param attentionReads tokens that single rows attend to, each reading its own K and V, in one layer: decoding of
 *     several sequences
 * @param loneReads tokens that one row attends to: the only sequence of a step may keep a device less busy
 * @param shortSequenceNanos what each sequence beyond one in {@value #SEQUENCE_TOKENS} tokens adds to
 *     {@code attentionReads}
 * @param attentionPairs pairs of a row and a token that it sees, with many rows for each token read: prefill
 * @param feedForward rows: output projection and feed-forward network of one layer
 * @param head rows: final norm, logits and the likeliest token
 * @param launchNanos that issuing one stage takes; no stage starts before it and all in front of it were issued
 * @param handoffNanos from the end of a stage to the start of one on another lane that waits for it
 * @param pauseNanos from the end of a step to the start of the next: whoever waits for the end is told, and issues
 * @param stageNanos that a stage of kernels takes more in a step than the curves say: it begins once the one before it
 *     on its lane has ended
 * @param linkContentionFactor how many times as long project, attention and feed-forward stages take while the link is
 *     at work
 * @param graphGain rows: what a stage of them takes less in a captured graph, where the next begins beside it, than the
 *     curves say
 */
public record HardwareProfile(
        String device,
        Curve linkIn,
        Curve linkOut,
        Curve deviceCopy,
        Curve embed,
        Curve project,
        Curve keyValues,
        Curve attentionReads,
        Curve loneReads,
        double shortSequenceNanos,
        Curve attentionPairs,
        Curve feedForward,
        Curve head,
        double launchNanos,
        double handoffNanos,
        double pauseNanos,
        double stageNanos,
        double linkContentionFactor,
        Curve graphGain) {
    /** Tokens of one of several sequences in {@code attentionReads}. */
    public static final int SEQUENCE_TOKENS = 1024;

    public HardwareProfile {
        requireCost("shortSequenceNanos", shortSequenceNanos);
        requireCost("launchNanos", launchNanos);
        requireCost("handoffNanos", handoffNanos);
        requireCost("pauseNanos", pauseNanos);
        requireCost("stageNanos", stageNanos);
        if (!(linkContentionFactor >= 1) || Double.isInfinite(linkContentionFactor)) {
            throw new IllegalArgumentException(
                    "linkContentionFactor is " + linkContentionFactor + ", must be finite and at least 1");
        }
    }

    private static void requireCost(String name, double nanos) {
        if (!(nanos >= 0) || Double.isInfinite(nanos)) {
            throw new IllegalArgumentException(name + " is " + nanos + ", must be finite and not negative");
        }
    }

    /** The link's rate to the device, for the largest copies that were measured. */
    public double linkBytesPerSecond() {
        return linkIn.unitsPerSecond();
    }

    /** The same machine with another link: both directions take {@code factor} times as long. */
    public HardwareProfile withLinkTimes(double factor) {
        return new HardwareProfile(
                device,
                linkIn.times(factor),
                linkOut.times(factor),
                deviceCopy,
                embed,
                project,
                keyValues,
                attentionReads,
                loneReads,
                shortSequenceNanos,
                attentionPairs,
                feedForward,
                head,
                launchNanos,
                handoffNanos,
                pauseNanos,
                stageNanos,
                linkContentionFactor,
                graphGain);
    }

    /** The same machine with slower or faster kernels: they take {@code factor} times as long. */
    public HardwareProfile withComputeTimes(double factor) {
        return new HardwareProfile(
                device,
                linkIn,
                linkOut,
                deviceCopy.times(factor),
                embed.times(factor),
                project.times(factor),
                keyValues.times(factor),
                attentionReads.times(factor),
                loneReads.times(factor),
                shortSequenceNanos * factor,
                attentionPairs.times(factor),
                feedForward.times(factor),
                head.times(factor),
                launchNanos,
                handoffNanos,
                pauseNanos,
                stageNanos * factor,
                linkContentionFactor,
                graphGain.times(factor));
    }
}
