package io.weft.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The history of measured commits: a file with one line of JSON for each run, oldest first. */
public final class BenchHistory {
    private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{7,40}");

    private static final ObjectMapper JSON = new ObjectMapper()
            .registerModule(new JavaTimeModule())
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
            .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES);

    private BenchHistory() {}

    /**
     * One run.
     *
     * @param commit measured commit, 7 to 40 hexadecimal digits
     * @param date date of the run in UTC
     * @param hardware the device's name
     * @param model id
     * @param generatedTokens generated tokens of each sequence
     * @param settings measured settings, at least one
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    public record Run(
            String commit,
            LocalDate date,
            String hardware,
            String model,
            int generatedTokens,
            List<Measured> settings) {
        public Run {
            settings = List.copyOf(settings);
            requireCommit(commit);
            if (hardware.isBlank() || model.isBlank() || settings.isEmpty()) {
                throw new IllegalArgumentException(
                        "a run needs hardware, model and settings, but has \"%s\", \"%s\" and %d settings"
                                .formatted(hardware, model, settings.size()));
            }
        }

        /**
         * The run of some reports.
         *
         * @param reports at least one report; all of one device and one model
         */
        public static Run of(String commit, LocalDate date, List<BenchReport> reports) {
            BenchReport first = reports.getFirst();
            return new Run(
                    commit,
                    date,
                    first.device(),
                    first.model(),
                    first.generatedTokens(),
                    reports.stream()
                            .map(report -> new Measured(
                                    report.load(),
                                    schedule(report),
                                    report.deviceCachePercent(),
                                    report.forms(),
                                    report.tokensPerSecond(),
                                    report.othersPercent()))
                            .toList());
        }

        private static String schedule(BenchReport report) {
            return report.drafts() == 0
                    ? report.schedule()
                    : String.format(
                            Locale.ROOT,
                            "%s, %d drafts, %.1f accepted",
                            report.schedule(),
                            report.drafts(),
                            report.acceptedDrafts());
        }
    }

    /**
     * One setting of a run.
     *
     * @param load sequences and prompt, such as 8x1024
     * @param schedule label of the schedule, and the drafts if there were some
     * @param deviceCachePercent as in {@link BenchReport}
     * @param forms forms that full blocks might have
     * @param tokensPerSecond generated tokens over the time of the decode steps
     * @param othersPercent as in {@link BenchReport}; null if unknown
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    public record Measured(
            @JsonProperty(required = true) String load,
            @JsonProperty(required = true) String schedule,
            @Nullable Integer deviceCachePercent,
            @JsonProperty(required = true) List<String> forms,
            double tokensPerSecond,
            @Nullable Double othersPercent) {
        public Measured {
            forms = List.copyOf(forms);
            if (!(tokensPerSecond > 0) || Double.isInfinite(tokensPerSecond)) {
                throw new IllegalArgumentException(
                        "tokens_per_second is " + tokensPerSecond + ", must be finite and above 0");
            }
        }
    }

    /** @throws IllegalArgumentException if it is not a commit, as for a build with uncommitted changes */
    public static void requireCommit(String commit) {
        if (!COMMIT.matcher(commit).matches()) {
            throw new IllegalArgumentException("the commit is \"" + commit + "\", must be 7 to 40 hexadecimal digits");
        }
    }

    /**
     * Appends a line to a file, and creates the file if it does not exist.
     *
     * @throws IOException if the file cannot be written, or has other contents; the message is one line
     */
    public static void append(Path file, Run run) throws IOException {
        if (Files.exists(file)) {
            read(file);
        }
        Files.writeString(
                file, JSON.writeValueAsString(run) + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /**
     * Reads all runs of a file.
     *
     * @throws IOException naming the first invalid line; the message is one line
     */
    public static List<Run> read(Path file) throws IOException {
        List<Run> runs = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            try {
                runs.add(JSON.readValue(line, Run.class));
            } catch (JacksonException e) {
                throw new IOException(
                        "%s:%d is no measured commit: %s"
                                .formatted(
                                        file,
                                        runs.size() + 1,
                                        e.getOriginalMessage()
                                                .lines()
                                                .findFirst()
                                                .orElse("")),
                        e);
            }
        }
        return runs;
    }
}
