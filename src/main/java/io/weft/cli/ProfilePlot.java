package io.weft.cli;

import com.google.errorprone.annotations.FormatMethod;
import io.weft.model.LayerDimensions;
import io.weft.model.LayerGroup;
import io.weft.model.ModelDimensions;
import io.weft.plan.machine.CodeCurves;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.Curve.Point;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.LayerCurves;
import io.weft.profile.ProfileStore.StoredProfile;
import java.util.Locale;
import java.util.function.LongFunction;

/** A profile for people: rates by size, as bars. */
final class ProfilePlot {
    private static final int BAR_WIDTH = 40;

    private final StringBuilder lines = new StringBuilder();

    private ProfilePlot() {}

    /** The whole plot. */
    static String of(StoredProfile stored) {
        HardwareProfile profile = stored.profile();
        ModelDimensions dimensions = stored.geometry().dimensions();
        ProfilePlot plot = new ProfilePlot();
        plot.line("%s", profile.device());
        plot.line(
                "%d layers of %,d; %d bytes an element",
                dimensions.layerCount(),
                dimensions.hiddenSize(),
                stored.geometry().elementBytes());
        plot.line("");
        plot.bars("host to device, by size of a copy", profile.linkIn(), ProfilePlot::binaryBytes, 1e-9, "GB/s");
        plot.bars("device to host, by size of a copy", profile.linkOut(), ProfilePlot::binaryBytes, 1e-9, "GB/s");
        plot.bars(
                "K and V from activations, one layer, by tokens",
                profile.keyValues(),
                ProfilePlot::count,
                stored.geometry().recomputeFlopsPerToken()
                        * 1e-12
                        / Math.max(1, stored.geometry().cachedLayerCount()),
                "TFLOP/s");
        for (CodeCurves code : profile.codes()) {
            String what = code.encoding().description() + ", one layer, by size before coding";
            plot.bars("coding " + what, code.encode(), ProfilePlot::binaryBytes, 1e-9, "GB/s");
            plot.bars("decoding " + what, code.decode(), ProfilePlot::binaryBytes, 1e-9, "GB/s");
        }
        for (int group = 0; group < profile.layers().size(); group++) {
            plot.group(dimensions.groups().get(group), profile.layers().get(group));
        }
        plot.line(
                "issuing a stage takes %.1f us, handing over to another lane %.1f us, the pause between two steps %.1f us",
                profile.launchNanos() / 1e3, profile.handoffNanos() / 1e3, profile.pauseNanos() / 1e3);
        plot.line(
                "a stage takes %.1f us more on its own, and %.2f times as long while the link is busy",
                profile.stageNanos() / 1e3, profile.linkContentionFactor());
        plot.line(
                "attention takes %.2f us more for each sequence beyond one in %d tokens",
                profile.shortSequenceNanos() / 1e3, HardwareProfile.SEQUENCE_TOKENS);
        plot.line(
                "a stage of one row takes %.1f us less in a captured graph, of several rows %.1f us",
                profile.graphGain().nanos(1) / 1e3,
                profile.graphGain().points().getLast().nanos() / 1e3);
        return plot.lines.toString();
    }

    private void group(LayerGroup group, LayerCurves curves) {
        LayerDimensions layer = group.layer();
        line(
                "%d layers with %d heads, %d of K and V%s",
                group.layers().size(),
                layer.heads(),
                layer.keyValueHeads(),
                layer.hasWindow() ? ", a window of " + layer.window() + " tokens" : "");
        bars(
                "attention when decoding, one layer, by tokens read",
                curves.attentionReads(),
                ProfilePlot::count,
                1e-6,
                "M tokens/s");
        line("time of the rest of a layer, by rows");
        line("%12s %14s %14s", "rows", "project", "feed forward");
        for (Point point : curves.project().points()) {
            line(
                    "%,12d %11.1f us %11.1f us",
                    point.size(), point.nanos() / 1e3, curves.feedForward().nanos(point.size()) / 1e3);
        }
        line("");
    }

    @FormatMethod
    private void line(String format, Object... values) {
        lines.append(String.format(Locale.ROOT, format, values).stripTrailing()).append(System.lineSeparator());
    }

    /** The rate at every size, against the best one. */
    private void bars(String title, Curve curve, LongFunction<String> size, double unit, String unitName) {
        double best =
                curve.points().stream().mapToDouble(ProfilePlot::rate).max().orElseThrow();
        line("%s", title);
        for (Point point : curve.points()) {
            int width = (int) Math.round(BAR_WIDTH * rate(point) / best);
            line(
                    "%12s %-" + BAR_WIDTH + "s %10.3f %s",
                    size.apply(point.size()),
                    "#".repeat(width),
                    rate(point) * unit,
                    unitName);
        }
        line("");
    }

    /** The units per second; a measurement of 0 counts as a nanosecond. */
    private static double rate(Point point) {
        return 1e9 * point.size() / Math.max(1, point.nanos());
    }

    private static String count(long count) {
        return String.format(Locale.ROOT, "%,d", count);
    }

    private static String binaryBytes(long bytes) {
        return bytes < 1 << 20 ? (bytes >> 10) + " KiB" : (bytes >> 20) + " MiB";
    }
}
