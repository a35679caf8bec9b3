package io.weft.cli;

import static io.weft.cli.TableLines.NAME_WIDTH;
import static io.weft.cli.TableLines.bytes;
import static io.weft.cli.TableLines.flops;
import static io.weft.cli.TableLines.millis;
import static io.weft.cli.TableLines.rate;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CachePolicy;
import io.weft.plan.whatif.PlanExplanation;
import io.weft.plan.whatif.PlanExplanation.Alternative;
import io.weft.plan.whatif.PlanExplanation.MemoryParts;
import io.weft.plan.whatif.PlanExplanation.MissingMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** An explanation for people. */
final class PlanTable {
    private final TableLines lines = new TableLines();
    private final PlanExplanation plan;

    private PlanTable(PlanExplanation plan) {
        this.plan = plan;
    }

    /**
     * The whole table.
     *
     * @param model name of the model
     * @param policy how true the cache is
     * @param source whence the machine is known, and since when
     * @param remarks remarks beyond those of the plan
     */
    static String of(String model, CachePolicy policy, PlanExplanation plan, String source, List<String> remarks) {
        PlanTable table = new PlanTable(plan);
        table.lines.line("%s, %,d x %,d tokens, on %s", model, plan.batch(), plan.contextTokens(), plan.hardware());
        table.lines.blank();
        table.lines.named("machine", "%s", source);
        table.lines.named("cache encoding", "%s", policy.label());
        table.step();
        table.lines.blank();
        table.layers();
        table.lines.blank();
        table.memory();
        table.lines.blank();
        if (plan.schedule().isPresent()) {
            table.forms();
            table.lines.blank();
            table.prompts();
        }
        table.alternatives();
        table.lines.blank();
        table.largest();
        table.notes(remarks);
        return table.lines.toString();
    }

    private void layers() {
        String format = "%-" + NAME_WIDTH + "s %8s %8s %10s %10s %10s  %s";
        lines.line(format, "layers that see", "number", "heads", "K, V heads", "head size", "token", "");
        for (PlanExplanation.Layers layers : plan.layers()) {
            lines.line(
                    format,
                    layers.windowTokens() > 0
                            ? String.format(Locale.ROOT, "  the newest %,d", layers.windowTokens())
                            : "  all tokens",
                    layers.count(),
                    layers.heads(),
                    layers.keyValueHeads(),
                    layers.headSize(),
                    bytes(layers.keyValueBytesPerToken()),
                    remark(layers));
        }
    }

    private static String remark(PlanExplanation.Layers layers) {
        List<String> remarks = new ArrayList<>();
        if (layers.windowTokens() > 0) {
            remarks.add("always on the device");
        }
        if (layers.experts() > 0) {
            remarks.add(layers.experts() + " experts");
        }
        return String.join("; ", remarks);
    }

    private void step() {
        if (!plan.fits()) {
            for (MissingMemory missing : plan.shortages()) {
                lines.named(
                        "does not fit",
                        "%s more %s would do",
                        bytes(missing.missingBytes()),
                        missing.memory().replace('_', ' '));
            }
            if (plan.shortages().isEmpty()) {
                lines.named("does not fit", "with these forms in any memory");
            }
        }
        if (plan.schedule().isEmpty()) {
            return;
        }
        lines.named(
                "predicted step", "%s, %s tokens/s", millis(plan.predictedStepMillis()), rate(plan.tokensPerSecond()));
        lines.named("no plan is below", "%s", millis(plan.boundMillis()));
        lines.named(
                "bound by",
                "%s (link busy %.0f %%, compute %.0f %% of the step)",
                plan.boundBy().replace('_', ' '),
                100 * plan.linkBusyRatio(),
                100 * plan.computeBusyRatio());
        boolean brings = plan.linkBytesPerStep() > 0 || plan.recomputeFlopsPerStep() > 0;
        lines.named(
                "schedule",
                "%s",
                brings
                        ? String.format(
                                Locale.ROOT,
                                "%s, chunks of %,d tokens",
                                plan.schedule().get(),
                                plan.chunkTokens())
                        : "resident: all of the cache is read where it is");
        lines.named("over the link", "%s a step", bytes(plan.linkBytesPerStep()));
        lines.named("recomputed", "%s a step", flops(plan.recomputeFlopsPerStep()));
    }

    private void memory() {
        MemoryParts memory = plan.memory();
        lines.line("%-" + NAME_WIDTH + "s %12s %12s", "memory", "device", "host");
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
        lines.line("%-" + NAME_WIDTH + "s %12s %12s", name, bytes(device), bytes(host));
    }

    private void forms() {
        long all = plan.tokensByForm().values().stream()
                .mapToLong(tokens -> tokens)
                .sum();
        lines.line("%-" + NAME_WIDTH + "s %12s %12s  %s", "cached tokens", "tokens", "share", "a step");
        for (Map.Entry<String, Long> entry : plan.tokensByForm().entrySet()) {
            String label = entry.getKey();
            CacheForm form = CacheForm.ofLabel(label).orElseThrow();
            long tokens = entry.getValue();
            lines.line(
                    "%-" + NAME_WIDTH + "s %,12d %11.1f%%  %s",
                    "  " + label,
                    tokens,
                    all == 0 ? 0 : 100.0 * tokens / all,
                    meaning(form));
        }
    }

    private void prompts() {
        if (plan.prompts().isEmpty()) {
            return;
        }
        String format = "%-" + NAME_WIDTH + "s %12s %12s %12s  %s";
        lines.line(format, "prompts, one at a time", "alone", "of it cached", "then", "");
        for (PlanExplanation.PromptTime prompt : plan.prompts()) {
            lines.line(
                    format,
                    String.format(Locale.ROOT, "  %,d tokens", prompt.tokens()),
                    millis(prompt.coldMillis()),
                    String.format(Locale.ROOT, "%,d", prompt.cachedTokens()),
                    millis(prompt.hitMillis()),
                    String.format(Locale.ROOT, "%.0f times as fast", prompt.coldMillis() / prompt.hitMillis()));
        }
        lines.blank();
    }

    private static String meaning(CacheForm form) {
        if (form.isReadInPlace()) {
            return "reads K and V where they are";
        }
        List<String> does = new ArrayList<>();
        if (form.place() == Place.HOST) {
            does.add("brings " + form.encoding().description() + " over the link");
        }
        if (form.encoding().isCoded()) {
            does.add(does.isEmpty() ? "decodes " + form.encoding().description() : "decodes");
        }
        if (form.content() == Content.ACTIVATION) {
            does.add("recomputes K and V");
        }
        return String.join(", ", does);
    }

    private void alternatives() {
        String format = "%-" + NAME_WIDTH + "s %12s %12s %12s  %s";
        lines.line(format, "alternatives", "step", "tokens/s", "link", "");
        for (Alternative other : plan.alternatives()) {
            lines.line(
                    format,
                    "  " + other.name(),
                    millis(other.predictedStepMillis()),
                    rate(other.tokensPerSecond()),
                    bytes(other.linkBytesPerStep()),
                    other.description() + (other.fits() ? "" : "; lacks " + bytes(other.missingBytes())));
        }
    }

    private void largest() {
        lines.named("largest context", "%s", fitting(plan.largestContext(), "tokens", plan.batch(), "sequences"));
        lines.named("largest batch", "%s", fitting(plan.largestBatch(), "sequences", plan.contextTokens(), "tokens"));
    }

    private static String fitting(int most, String what, int at, String of) {
        return most == 0
                ? "none: not even one fits"
                : String.format(Locale.ROOT, "%,d %s fit with %,d %s", most, what, at, of);
    }

    private void notes(List<String> remarks) {
        if (!plan.notes().isEmpty() || !remarks.isEmpty()) {
            lines.blank();
        }
        remarks.forEach(remark -> lines.line("note: %s", remark));
        plan.notes().forEach(note -> lines.line("note: %s", note));
    }
}
