package io.weft.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * The measurements of {@code bench} for one setting.
 *
 * @param schedule label of the schedule
 * @param model id
 * @param device name
 * @param load sequences and prompt, such as 8x1024
 * @param batch sequences
 * @param promptTokens of each sequence
 * @param generatedTokens of each sequence
 * @param deviceCachePercent device memory for full blocks, in per cent of what K and V of the load take; null if it was
 *     not restricted
 * @param forms forms that full blocks may have
 * @param drafts drafts of a sequence in a step
 * @param acceptedDrafts how many of these were accepted, mean
 * @param tokensPerPass accepted tokens of a sequence in a step, mean
 * @param tokensByForm tokens of full blocks by form, at the end
 * @param linkBytesPerSecond rate of the link to the device before the prompts, in its largest copies
 * @param prefillSeconds time until the prompts were cached
 * @param stepMillisMedian median of the decode steps, from tokens on the host to the next ones there
 * @param tokensPerSecond accepted tokens over the time of the decode steps
 * @param linkBytesPerStep bytes of cached tokens to the device in a step, mean
 * @param linkBusyRatio share of the step in which the link to the device was busy, median of the observed steps;
 *     includes stages that the step before began
 * @param predictedStepMillis median of the simulated times of the same steps
 * @param predictedRatio prediction over measurement
 * @param deviationPercent how much the prediction is too long, or, if negative, too short
 * @param boundMillis a step that no plan is below, with these forms and this device memory: it knows neither fill nor
 *     drain
 * @param othersPercent of the processors' time, what others took from the warm-up to the last step; null if unknown
 * @param issueMillis median time of the thread that plans and issues a step
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record BenchReport(
        String schedule,
        String model,
        String device,
        String load,
        int batch,
        int promptTokens,
        int generatedTokens,
        @Nullable Integer deviceCachePercent,
        List<String> forms,
        int drafts,
        double acceptedDrafts,
        double tokensPerPass,
        Map<String, Long> tokensByForm,
        double linkBytesPerSecond,
        double prefillSeconds,
        double stepMillisMedian,
        double tokensPerSecond,
        double linkBytesPerStep,
        double linkBusyRatio,
        double predictedStepMillis,
        double predictedRatio,
        double deviationPercent,
        double boundMillis,
        @Nullable Double othersPercent,
        double issueMillis) {

    private static final String LEGEND = """
            cache: device memory for the cache, per cent of what K and V of the load take. dKV, dACT, hKV, hACT: per cent
            of the cached tokens that lie on the device or the host as K and V or as activations, - where that was ruled
            out. step, predicted, bound, issue: ms. off: prediction against step. link: MB a step. ×full: tokens a second
            against full-transfer.
            """;

    /** Whether others took so much of the processors that steps had to wait for one. */
    @JsonProperty
    public boolean busy() {
        return othersPercent != null && othersPercent > OthersLoad.PERCENT_MOST;
    }

    /** A table for people, 120 columns wide, with one line per setting. */
    public static String table(List<BenchReport> reports) {
        StringBuilder table = new StringBuilder();
        table.append("%-9s %-13s %5s %4s %4s %4s %4s %8s %9s %5s %8s %8s %8s %5s %6s %5s%n"
                .formatted(
                        "load",
                        "schedule",
                        "cache",
                        "dKV",
                        "dACT",
                        "hKV",
                        "hACT",
                        "step",
                        "predicted",
                        "off",
                        "bound",
                        "tokens/s",
                        "link",
                        "busy",
                        "issue",
                        "×full"));
        reports.forEach(report -> table.append(report.line(fullTransferMillis(reports, report.load()))));
        reports.stream().filter(report -> report.drafts > 0).forEach(report -> table.append(report.draftLine()));
        table.append(LEGEND);
        reports.stream()
                .filter(BenchReport::busy)
                .map(BenchReport::othersPercent)
                .max(Comparator.naturalOrder())
                .ifPresent(most -> table.append(String.format(Locale.ROOT, """
            !: measured while others took up to %.0f per cent of the processors. More than %.0f make steps longer: measure
            again on a machine that has nothing else to do.
            """, most, OthersLoad.PERCENT_MOST)));
        return table.toString();
    }

    private static OptionalDouble fullTransferMillis(List<BenchReport> reports, String load) {
        return reports.stream()
                .filter(report ->
                        report.load().equals(load) && report.schedule().equals("full-transfer"))
                .mapToDouble(BenchReport::tokenMillis)
                .findFirst();
    }

    /** Time of a token of each sequence. */
    private double tokenMillis() {
        return stepMillisMedian / tokensPerPass;
    }

    private String draftLine() {
        return String.format(
                Locale.ROOT,
                "%-9s %-13s a step of %d drafts a sequence: %.2f accepted, %.2f tokens, %.2f ms, predicted %.2f ms%n",
                load,
                schedule,
                drafts,
                acceptedDrafts,
                tokensPerPass,
                stepMillisMedian,
                predictedStepMillis);
    }

    private String line(OptionalDouble fullTransferMillis) {
        return String.format(
                Locale.ROOT,
                "%-9s %-13s %5s %4s %4s %4s %4s %8.2f%s%9.2f %+4.0f%% %8.2f %8.1f %8.2f %4.0f%% %6.2f %5s%n",
                load,
                schedule,
                deviceCachePercent == null ? "-" : deviceCachePercent + "%",
                tokensPercent(Content.KEY_VALUE, Place.DEVICE),
                tokensPercent(Content.ACTIVATION, Place.DEVICE),
                tokensPercent(Content.KEY_VALUE, Place.HOST),
                tokensPercent(Content.ACTIVATION, Place.HOST),
                stepMillisMedian,
                busy() ? "!" : " ",
                predictedStepMillis,
                deviationPercent,
                boundMillis,
                tokensPerSecond,
                linkBytesPerStep / 1e6,
                100 * linkBusyRatio,
                issueMillis,
                fullTransferMillis.isPresent()
                        ? String.format(Locale.ROOT, "%.2f", fullTransferMillis.getAsDouble() / tokenMillis())
                        : "-");
    }

    /** The share of a content at a place, in whatever encoding. */
    private String tokensPercent(Content content, Place place) {
        List<String> labels = CacheForm.all().stream()
                .filter(form -> form.content() == content && form.place() == place)
                .map(CacheForm::label)
                .filter(forms::contains)
                .toList();
        if (labels.isEmpty()) {
            return "-";
        }
        long ofForm = labels.stream()
                .mapToLong(label -> tokensByForm.getOrDefault(label, 0L))
                .sum();
        long all = tokensByForm.values().stream().mapToLong(tokens -> tokens).sum();
        return all == 0 ? "0" : "" + Math.round(100.0 * ofForm / all);
    }
}
