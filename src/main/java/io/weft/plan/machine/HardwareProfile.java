package io.weft.plan.machine;

import io.weft.model.Encoding;
import io.weft.model.LayerDimensions;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How long a machine takes for the stages of one model: measured by {@code profile}, or computed from public figures.
 * Curves are in nanoseconds.
 *
 * @param device name of the machine, for people
 * @param linkIn bytes of one piece of many that cross from the host to the device in one call
 * @param linkOut bytes of one copy from the device to the host
 * @param deviceCopy bytes that are gathered within device memory at once
 * @param embed rows
 * @param layers curves of one layer of each group, in the order of the model's groups
 * @param keyValues tokens: K and V of one cached layer from activations, with rotary positions, and the time that other
 *     stages lose by it
 * @param codes curves of coded encodings; those that are missing were not measured
 * @param shortSequenceNanos time that each sequence beyond one in {@value #SEQUENCE_TOKENS} tokens adds to the reads of
 *     attention
 * @param head rows: final norm, logits and the likeliest token
 * @param launchNanos time to issue one stage; no stage starts before it and all earlier ones were issued
 * @param handoffNanos time from the end of a stage to the start of a stage on another lane that waits for it
 * @param pauseNanos time from the end of a step to the start of the next: a thread learns of the end, and issues
 * @param stageNanos time that a stage of kernels takes in a step beyond its curve: it begins only after the one before
 *     it on its lane has ended
 * @param linkContentionFactor factor on the time of project, attention and feed-forward stages while the link is at
 *     work
 * @param graphGain rows: how much less than its curve a stage takes in a captured graph, where the next stage begins
 *     before it ends
 */
public record HardwareProfile(
        String device,
        Curve linkIn,
        Curve linkOut,
        Curve deviceCopy,
        Curve embed,
        List<LayerCurves> layers,
        Curve keyValues,
        List<CodeCurves> codes,
        double shortSequenceNanos,
        Curve head,
        double launchNanos,
        double handoffNanos,
        double pauseNanos,
        double stageNanos,
        double linkContentionFactor,
        Curve graphGain) {
    /** The tokens of each sequence in the measurement of {@link LayerCurves#attentionReads}. */
    public static final int SEQUENCE_TOKENS = 1024;

    /** The tokens of each sequence in the measurement of a layer: no more than a window. */
    public static int sequenceTokens(LayerDimensions layer) {
        return Math.min(SEQUENCE_TOKENS, layer.window());
    }

    public HardwareProfile {
        layers = List.copyOf(layers);
        codes = List.copyOf(codes);
        if (layers.isEmpty()) {
            throw new IllegalArgumentException("a profile needs curves of at least one group of layers");
        }
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

    /** The link's rate to the device, for the largest measured copies. */
    public double linkBytesPerSecond() {
        return linkIn.unitsPerSecond();
    }

    /** The curve over the bytes of blocks to be coded. What was not measured takes as long as copies on the device. */
    public Curve encode(Encoding encoding) {
        CodeCurves measured = measured(encoding);
        return measured == null ? deviceCopy : measured.encode();
    }

    /** The curve over the bytes that blocks decode to; see {@link #encode}. */
    public Curve decode(Encoding encoding) {
        CodeCurves measured = measured(encoding);
        return measured == null ? deviceCopy : measured.decode();
    }

    private @Nullable CodeCurves measured(Encoding encoding) {
        for (int i = 0; i < codes.size(); i++) {
            if (codes.get(i).encoding() == encoding) {
                return codes.get(i);
            }
        }
        return null;
    }

    /** The same machine with another link: both directions take {@code factor} times as long. */
    public HardwareProfile withLinkTimes(double factor) {
        return new HardwareProfile(
                device,
                linkIn.times(factor),
                linkOut.times(factor),
                deviceCopy,
                embed,
                layers,
                keyValues,
                codes,
                shortSequenceNanos,
                head,
                launchNanos,
                handoffNanos,
                pauseNanos,
                stageNanos,
                linkContentionFactor,
                graphGain);
    }

    /** The same machine with kernels that take {@code factor} times as long. */
    public HardwareProfile withComputeTimes(double factor) {
        return new HardwareProfile(
                device,
                linkIn,
                linkOut,
                deviceCopy.times(factor),
                embed.times(factor),
                layers.stream().map(curves -> curves.times(factor)).toList(),
                keyValues.times(factor),
                codes.stream().map(curves -> curves.times(factor)).toList(),
                shortSequenceNanos * factor,
                head.times(factor),
                launchNanos,
                handoffNanos,
                pauseNanos,
                stageNanos * factor,
                linkContentionFactor,
                graphGain.times(factor));
    }
}
