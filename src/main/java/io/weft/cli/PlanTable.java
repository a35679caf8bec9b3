package io.weft.cli;

import com.google.errorprone.annotations.FormatMethod;
import com.google.errorprone.annotations.FormatString;
import io.weft.model.CacheForm;
import io.weft.plan.whatif.PlanExplanation;
import io.weft.plan.whatif.PlanExplanation.Alternative;
import io.weft.plan.whatif.PlanExplanation.MemoryParts;
import io.weft.plan.whatif.PlanExplanation.MissingMemory;
import io.weft.plan.whatif.PlanQuestion;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/** An explanation for people. */
final class PlanTable {
    private static final int NAME_WIDTH = 22;

    private final StringBuilder lines = new StringBuilder();
    private final PlanExplanation plan;

    private PlanTable(PlanExplanation plan) {
        this.plan = plan;
    }

    /**
     * The whole table.
     *
     * @param model name of the model
     * @param source whence the machine is known, and since when
     * @param remarks remarks beyond those of the plan
     */
    static String of(String model, PlanExplanation plan, String source, List<String> remarks) {
        PlanTable table = new PlanTable(plan);
        table.line("%s, %,d x %,d tokens, on %s", model, plan.batch(), plan.contextTokens(), plan.hardware());
        table.line("");
        table.named("machine", "%s", source);
        table.layers();
        table.step();
        table.line("");
        table.memory();
        table.line("");
        if (plan.schedule().isPresent()) {
            table.forms();
            table.line("");
        }
        table.alternatives();
        table.line("");
        table.largest();
        table.notes(remarks);
        return table.lines.toString();
    }

    @FormatMethod
    private void line(String format, Object... values) {
        lines.append(String.format(Locale.ROOT, format, values).stripTrailing()).append(System.lineSeparator());
    }

    @FormatMethod
    private void named(String name, @FormatString String format, Object... values) {
        line("%-" + NAME_WIDTH + "s %s", name, String.format(Locale.ROOT, format, values));
    }

    private void layers() {
        for (PlanExplanation.Layers layers : plan.layers()) {
            named(
                    layers.windowTokens() > 0 ? "layers, windowed" : "layers, cached",
                    "%d of %d heads of %d, %d of K and V: %s a token%s%s",
                    layers.count(),
                    layers.heads(),
                    layers.headSize(),
                    layers.keyValueHeads(),
                    bytes(layers.keyValueBytesPerToken()),
                    layers.experts() > 0 ? ", " + layers.experts() + " experts" : "",
                    layers.windowTokens() > 0
                            ? String.format(Locale.ROOT, "; the newest %,d stay on the device", layers.windowTokens())
                            : "");
        }
    }

    private void step() {
        if (!plan.fits()) {
            for (MissingMemory missing : plan.shortages()) {
                named(
                        "does not fit",
                        "%s more %s would do",
                        bytes(missing.missingBytes()),
                        missing.memory().replace('_', ' '));
            }
            if (plan.shortages().isEmpty()) {
                named("does not fit", "with these forms in any memory");
            }
        }
        if (plan.schedule().isEmpty()) {
            return;
        }
        named("predicted step", "%s, %s tokens/s", millis(plan.predictedStepMillis()), rate(plan.tokensPerSecond()));
        named("no plan is below", "%s", millis(plan.boundMillis()));
        named(
                "bound by",
                "%s (link busy %.0f %%, compute %.0f %% of the step)",
                plan.boundBy().replace('_', ' '),
                100 * plan.linkBusyRatio(),
                100 * plan.computeBusyRatio());
        boolean brings = plan.linkBytesPerStep() > 0 || plan.recomputeFlopsPerStep() > 0;
        named(
                "schedule",
                "%s",
                brings
                        ? String.format(
                                Locale.ROOT,
                                "%s, chunks of %,d tokens",
                                plan.schedule().get(),
                                plan.chunkTokens())
                        : "resident: all of the cache is read where it is");
        named("over the link", "%s a step", bytes(plan.linkBytesPerStep()));
        named("recomputed", "%s a step", flops(plan.recomputeFlopsPerStep()));
    }

    private void memory() {
        MemoryParts memory = plan.memory();
        line("%-" + NAME_WIDTH + "s %12s %12s", "memory", "device", "host");
        part("all", memory.deviceBytes(), memory.hostBytes());
        part("  weights", memory.weightsBytes(), memory.streamedWeightBytes());
        part("  workspace", memory.workspaceBytes(), memory.hostWorkspaceBytes());
        part("  staging", memory.stagingBytes(), 0);
        part("  open blocks", memory.openBlockBytes(), 0);
        if (memory.windowBytes() > 0) {
            part("  windows", memory.windowBytes(), 0);
        }
        part("  left for the cache", memory.deviceCacheBytes(), memory.hostCacheBytes());
        part("    used by it", memory.deviceCacheUsedBytes(), memory.hostCacheUsedBytes());
    }

    private void part(String name, long device, long host) {
        line("%-" + NAME_WIDTH + "s %12s %12s", name, bytes(device), bytes(host));
    }

    private void forms() {
        long all = plan.tokensByForm().values().stream()
                .mapToLong(tokens -> tokens)
                .sum();
        line("%-" + NAME_WIDTH + "s %12s %12s  %s", "cached tokens", "tokens", "share", "a step");
        for (CacheForm form : CacheForm.values()) {
            String label = PlanQuestion.label(form);
            long tokens = Objects.requireNonNull(plan.tokensByForm().get(label));
            line(
                    "%-" + NAME_WIDTH + "s %,12d %11.1f%%  %s",
                    "  " + label,
                    tokens,
                    all == 0 ? 0 : 100.0 * tokens / all,
                    meaning(form));
        }
    }

    private static String meaning(CacheForm form) {
        return switch (form) {
            case DEVICE_KV -> "reads K and V where they are";
            case DEVICE_ACT -> "recomputes K and V";
            case HOST_KV -> "brings K and V over the link";
            case HOST_ACT -> "brings activations over the link and recomputes K and V";
        };
    }

    private void alternatives() {
        String format = "%-" + NAME_WIDTH + "s %12s %12s %12s  %s";
        line(format, "alternatives", "step", "tokens/s", "link", "");
        for (Alternative other : plan.alternatives()) {
            line(
                    format,
                    "  " + other.name(),
                    millis(other.predictedStepMillis()),
                    rate(other.tokensPerSecond()),
                    bytes(other.linkBytesPerStep()),
                    other.description() + (other.fits() ? "" : "; lacks " + bytes(other.missingBytes())));
        }
    }

    private void largest() {
        named("largest context", "%s", fitting(plan.largestContext(), "tokens", plan.batch(), "sequences"));
        named("largest batch", "%s", fitting(plan.largestBatch(), "sequences", plan.contextTokens(), "tokens"));
    }

    private static String fitting(int most, String what, int at, String of) {
        return most == 0
                ? "none: not even one fits"
                : String.format(Locale.ROOT, "%,d %s fit with %,d %s", most, what, at, of);
    }

    private void notes(List<String> remarks) {
        if (!plan.notes().isEmpty() || !remarks.isEmpty()) {
            line("");
        }
        remarks.forEach(remark -> line("note: %s", remark));
        plan.notes().forEach(note -> line("note: %s", note));
    }

    private static String millis(double millis) {
        return String.format(Locale.ROOT, millis < 10 ? "%.3f ms" : millis < 1000 ? "%.1f ms" : "%,.0f ms", millis);
    }

    private static String rate(double perSecond) {
        return String.format(Locale.ROOT, perSecond < 100 ? "%.1f" : "%,.0f", perSecond);
    }

    /** In powers of ten, in which links and memory are sold. */
    static String bytes(long bytes) {
        return scaled((double) bytes, "", "k", "M", "G", "T", "P") + "B";
    }

    private static String flops(double flops) {
        return scaled(flops, "", "k", "M", "G", "T", "P") + "FLOP";
    }

    private static String scaled(double value, String... prefixes) {
        int power = 0;
        double rest = value;
        while (Math.abs(rest) >= 1000 && power < prefixes.length - 1) {
            rest /= 1000;
            power++;
        }
        return String.format(Locale.ROOT, power == 0 ? "%.0f %s" : "%.2f %s", rest, prefixes[power]);
    }
}
