package io.weft.cli;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What {@code bench} measured for one schedule.
 *
 * @param schedule its label
 * @param model id
 * @param device name
 * @param batch sequences
 * @param promptTokens of each sequence
 * @param generatedTokens of each sequence
 * @param prefillSeconds until the prompts were cached
 * @param stepMillisMedian median of the decode steps, from issue to logits on the host
 * @param tokensPerSecond generated tokens over the time of all decode steps
 * @param linkBytesPerStep bytes of cached tokens to the device in a step, mean
 * @param linkBusyRatio share of the step in which the link to the device was busy, median
 * @param predictedStepMillis median of what the simulator says of the same steps
 * @param issueMillis median time that issuing a step took on its thread
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
record BenchReport(
        String schedule,
        String model,
        String device,
        int batch,
        int promptTokens,
        int generatedTokens,
        double prefillSeconds,
        double stepMillisMedian,
        double tokensPerSecond,
        double linkBytesPerStep,
        double linkBusyRatio,
        double predictedStepMillis,
        double issueMillis) {

    /** A table for people: one line a schedule. */
    static String table(List<BenchReport> reports) {
        Optional<BenchReport> fullTransfer = reports.stream()
                .filter(report -> report.schedule().equals("full-transfer"))
                .findFirst();
        StringBuilder table = new StringBuilder();
        table.append("%-14s %10s %10s %10s %12s %10s %10s %16s%n"
                .formatted(
                        "schedule",
                        "step",
                        "predicted",
                        "tokens/s",
                        "link a step",
                        "link busy",
                        "issue",
                        "× full-transfer"));
        for (BenchReport report : reports) {
            String ratio = fullTransfer
                    .map(full ->
                            String.format(Locale.ROOT, "%.2f", full.stepMillisMedian() / report.stepMillisMedian()))
                    .orElse("-");
            table.append(String.format(
                    Locale.ROOT,
                    "%-14s %7.2f ms %7.2f ms %10.1f %9.2f MB %9.0f%% %7.2f ms %16s%n",
                    report.schedule(),
                    report.stepMillisMedian(),
                    report.predictedStepMillis(),
                    report.tokensPerSecond(),
                    report.linkBytesPerStep() / 1e6,
                    100 * report.linkBusyRatio(),
                    report.issueMillis(),
                    ratio));
        }
        return table.toString();
    }
}
