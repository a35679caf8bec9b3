package io.weft.cli;

import static io.weft.cli.TableLines.NAME_WIDTH;
import static io.weft.cli.TableLines.bytes;
import static io.weft.cli.TableLines.count;
import static io.weft.cli.TableLines.millis;
import static io.weft.cli.TableLines.rate;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CachePolicy;
import io.weft.model.ModelSummary;
import io.weft.model.ModelSummary.Layers;
import io.weft.model.ModelSummary.StoredWeights;
import io.weft.plan.whatif.PlanExplanation;
import io.weft.plan.whatif.PlanExplanation.MissingMemory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/** A model for people. */
final class ModelTable {
    /** A line of the table of groups. */
    private static final String GROUP = "%s %8s %8s %10s %10s %10s  %s";

    private final TableLines lines = new TableLines();
    private final ModelReport report;
    private final ModelSummary model;

    private ModelTable(ModelReport report) {
        this.report = report;
        this.model = report.model();
    }

    /**
     * The whole table.
     *
     * @param remarks on what the plans assume
     */
    static String of(ModelReport report, List<String> remarks) {
        ModelTable table = new ModelTable(report);
        table.lines.line("%s, of type %s", report.name(), report.model().modelType());
        table.lines.blank();
        table.sizes();
        table.weights();
        table.lines.blank();
        table.layers();
        table.lines.blank();
        table.cache();
        table.lines.blank();
        table.plans();
        table.lines.blank();
        remarks.forEach(remark -> table.lines.line("note: %s", remark));
        report.plans().stream()
                .filter(plan -> !plan.fits())
                .flatMap(plan -> plan.notes().stream())
                .distinct()
                .forEach(note -> table.lines.line("note: %s", note));
        table.lines.line("note: weft plan explains any load on any machine");
        return table.lines.toString();
    }

    private void sizes() {
        boolean hasExperts = model.activeParameters() < model.parameters();
        lines.named(
                "parameters",
                "%s%s",
                count(model.parameters()),
                hasExperts ? ", of which a token uses " + count(model.activeParameters()) : "");
        lines.named("hidden size", "%,d", model.hiddenSize());
        lines.named("vocabulary", "%,d", model.vocabularySize());
        lines.named("positions", "%,d", model.maxPositions());
    }

    private void weights() {
        model.missingWeights().ifPresent(why -> lines.named("weights", "missing: %s", why));
        if (model.missingWeights().isPresent()) {
            return;
        }
        long all = model.weights().stream().mapToLong(StoredWeights::bytes).sum();
        if (model.weights().size() == 1 && model.unusedBytes() == 0) {
            lines.named(
                    "weights", "%s, %s", bytes(all), model.weights().getFirst().encoding());
            return;
        }
        lines.named("weights", "%s", bytes(all));
        model.weights().forEach(part -> lines.named("  " + part.encoding(), "%s", bytes(part.bytes())));
        if (model.unusedBytes() > 0) {
            lines.named("  not used", "%s more", bytes(model.unusedBytes()));
        }
    }

    private void layers() {
        lines.line(
                GROUP, padded("layers"), "number", "heads", "K, V heads", "head size", "see", "feed-forward network");
        for (Layers group : model.layers()) {
            lines.line(
                    GROUP,
                    padded(name(group)),
                    group.layers().size(),
                    group.heads(),
                    group.keyValueHeads(),
                    group.headSize(),
                    group.windowTokens() == 0 ? "all" : String.format(Locale.ROOT, "%,d", group.windowTokens()),
                    feedForward(group));
        }
        common(model.norm().equals("rms") ? "RMS norms" : "layer norms", group -> String.join(", ", group.norms()));
        common("positions", Layers::positions);
        common("attention", ModelTable::attention);
        common("wiring", ModelTable::wiring);
        if (model.logitCap() > 0) {
            lines.named("logits", "capped at %s", number(model.logitCap()));
        }
    }

    /** A name in the column of names. */
    private String padded(String name) {
        return name + " ".repeat(Math.max(0, nameWidth() - name.length()));
    }

    private int nameWidth() {
        return model.layers().stream().mapToInt(group -> name(group).length()).reduce(NAME_WIDTH, Math::max);
    }

    private static String name(Layers group) {
        return "  " + ranges(group.layers());
    }

    /** Runs of neighbours; of more than three the first two and the last. */
    static String ranges(List<Integer> layers) {
        List<String> ranges = new ArrayList<>();
        int from = 0;
        for (int i = 1; i <= layers.size(); i++) {
            if (i == layers.size() || layers.get(i) != layers.get(i - 1) + 1) {
                ranges.add(i - from == 1 ? "" + layers.get(from) : layers.get(from) + "-" + layers.get(i - 1));
                from = i;
            }
        }
        return ranges.size() <= 3
                ? String.join(", ", ranges)
                : ranges.get(0) + ", " + ranges.get(1) + ", ... " + ranges.getLast();
    }

    private static String feedForward(Layers group) {
        List<String> parts = new ArrayList<>();
        if (group.experts() > 0) {
            parts.add(String.format(
                    Locale.ROOT,
                    "%,d experts of %,d, %d a token",
                    group.experts(),
                    group.expertSize(),
                    group.chosenExperts()));
        }
        if (group.feedForwardSize() > 0) {
            String shared = group.experts() > 0 ? "shared " : "";
            parts.add(shared + String.format(Locale.ROOT, "%,d", group.feedForwardSize()));
        }
        return String.join("; ", parts) + (group.gated() ? ", gated" : "");
    }

    private static String attention(Layers group) {
        List<String> parts = new ArrayList<>();
        if (group.scoreCap() > 0) {
            parts.add("scores capped at " + number(group.scoreCap()));
        }
        if (group.sinks()) {
            parts.add("sinks");
        }
        return String.join(", ", parts);
    }

    private static String wiring(Layers group) {
        return switch (group.wiring()) {
            case "parallel" -> "attention and feed-forward side by side";
            case "norm of sum" -> "norms apply to the residual stream";
            default -> "";
        };
    }

    private static String number(float value) {
        return value == Math.rint(value) ? Integer.toString((int) value) : Float.toString(value);
    }

    /** A property: in one line if all layers have the same, else in a line for each. */
    private void common(String name, Function<Layers, String> property) {
        Map<String, List<Integer>> layers = new LinkedHashMap<>();
        for (Layers group : model.layers()) {
            layers.computeIfAbsent(property.apply(group), text -> new ArrayList<>())
                    .addAll(group.layers());
        }
        boolean isCommon = layers.size() == 1;
        layers.forEach((text, those) -> {
            if (!text.isEmpty()) {
                those.sort(Comparator.naturalOrder());
                lines.named("  " + name, "%s%s", text, isCommon ? "" : " in " + ranges(those));
            }
        });
    }

    private void cache() {
        ModelReport.Cache cache = report.cache();
        lines.line("cached token, %d bits", cache.elementBits());
        lines.named("  K and V", "%s, in %s", bytes(cache.keyValueBytesPerToken()), layers(cache.layers()));
        boolean isExact = cache.encoding().equals(CachePolicy.EXACT.label());
        if (!isExact) {
            lines.named("  in " + cache.encoding(), "%s", bytes(Math.round(cache.storedBytesPerToken())));
        }
        lines.named("  " + source(cache), "%s", bytes(cache.activationBytesPerToken()));
        if (cache.windowLayers() > 0) {
            lines.named(
                    "windows",
                    "%s a sequence, always on the device, in %s",
                    bytes(cache.windowBytesPerSequence()),
                    layers(cache.windowLayers()));
        }
        lines.named(
                "recomputation",
                "%s",
                isExact ? recomputation(cache) : "none: full blocks hold K and V in " + cache.encoding());
    }

    /** What recomputation makes K and V of. */
    private static String source(ModelReport.Cache cache) {
        return switch (cache.source()) {
            case ACTIVATION -> "activations";
            case SHARED_PROJECTION -> "raw keys";
        };
    }

    private static String layers(int count) {
        return count == 1 ? "1 layer" : count + " layers";
    }

    private String recomputation(ModelReport.Cache cache) {
        if (cache.layers() == 0) {
            return "does not pay: all layers have windows, which stay on the device";
        }
        String sizes = String.format(
                Locale.ROOT,
                "%s take %s a token, K and V %s",
                source(cache),
                bytes(cache.activationBytesPerToken()),
                bytes(cache.keyValueBytesPerToken()));
        if (cache.recomputationPays()) {
            double saved = 1 - (double) cache.activationBytesPerToken() / cache.keyValueBytesPerToken();
            return String.format(Locale.ROOT, "pays: %s, so up to %.0f %% less crosses the link", sizes, 100 * saved);
        }
        Layers cached = model.layers().stream()
                .filter(group -> group.windowTokens() == 0)
                .findFirst()
                .orElseThrow();
        int queries = cached.heads() / cached.keyValueHeads();
        return "does not pay: " + sizes + (queries > 1 ? ", as " + queries + " query heads share one" : "");
    }

    private void plans() {
        String format = "%-" + NAME_WIDTH + "s %12s %12s %12s  %s";
        PlanExplanation first = report.plans().getFirst();
        lines.named("machine", "%s%s", first.hardware(), first.measured() ? ", " + report.machine() : "");
        lines.line(format, "sequences x tokens", "step", "tokens/s", "link", "");
        for (PlanExplanation plan : report.plans()) {
            String load = String.format(Locale.ROOT, "  %,d x %,d", plan.batch(), plan.contextTokens());
            if (plan.fits()) {
                lines.line(
                        format,
                        load,
                        millis(plan.predictedStepMillis()),
                        rate(plan.tokensPerSecond()),
                        bytes(plan.linkBytesPerStep()),
                        ways(plan));
            } else {
                lines.line(format, load, "-", "-", "-", shortage(plan));
            }
        }
        PlanExplanation longest = report.plans().stream()
                .max(Comparator.comparingInt(PlanExplanation::contextTokens))
                .orElseThrow();
        lines.named(
                "most that fits",
                "%s",
                longest.largestBatch() == 0
                        ? String.format(Locale.ROOT, "not even one sequence of %,d tokens", longest.contextTokens())
                        : String.format(
                                Locale.ROOT,
                                "%,d sequences of %,d tokens",
                                longest.largestBatch(),
                                longest.contextTokens()));
    }

    private static String ways(PlanExplanation plan) {
        Map<String, Long> tokens = plan.tokensByForm();
        long all = tokens.values().stream().mapToLong(Long::longValue).sum();
        List<String> ways = new ArrayList<>();
        way(ways, "on the device", sum(tokens, Content.KEY_VALUE, Place.DEVICE), all);
        way(ways, "over the link", sum(tokens, Content.KEY_VALUE, Place.HOST), all);
        long recomputed = sum(tokens, Content.ACTIVATION, Place.DEVICE) + sum(tokens, Content.ACTIVATION, Place.HOST);
        way(ways, "recomputed", recomputed, all);
        return String.join(", ", ways) + "; bound by " + plan.boundBy().replace('_', ' ');
    }

    private static long sum(Map<String, Long> tokens, Content content, Place place) {
        return CacheForm.all().stream()
                .filter(form -> form.content() == content && form.place() == place)
                .mapToLong(form -> tokens.getOrDefault(form.label(), 0L))
                .sum();
    }

    private static void way(List<String> ways, String name, long tokens, long all) {
        if (tokens > 0) {
            ways.add(
                    tokens == all
                            ? "all " + name
                            : String.format(Locale.ROOT, "%.0f %% %s", 100.0 * tokens / all, name));
        }
    }

    private static String shortage(PlanExplanation plan) {
        List<String> missing = new ArrayList<>();
        for (MissingMemory memory : plan.shortages()) {
            missing.add(bytes(memory.missingBytes()) + " of " + memory.memory().replace('_', ' '));
        }
        return missing.isEmpty() ? "does not fit any memory" : "does not fit: lacks " + String.join(" or ", missing);
    }
}
