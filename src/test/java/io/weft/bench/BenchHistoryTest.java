package io.weft.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.bench.BenchHistory.Run;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BenchHistoryTest {
    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final LocalDate DATE = LocalDate.of(2026, 2, 28);

    @TempDir
    Path directory;

    private static Run run(BenchReport... reports) {
        return Run.of(COMMIT, DATE, List.of(reports));
    }

    @Test
    void eachRunIsALineThatCanBeReadAgain() throws IOException {
        Path file = directory.resolve("history.jsonl");
        Run first = run(BenchReportTest.report(null));
        Run second = run(BenchReportTest.report(3.0), BenchReportTest.report(50.0));
        BenchHistory.append(file, first);
        BenchHistory.append(file, second);

        assertThat(BenchHistory.read(file)).containsExactly(first, second);
        assertThat(Files.readAllLines(file)).hasSize(2);
        assertThat(Files.readAllLines(file).getFirst())
                .startsWith("{\"commit\":\"" + COMMIT + "\",\"date\":\"2026-02-28\",\"hardware\":\"a device\"")
                .contains("\"model\":\"demo\"", "\"load\":\"4x512\"", "\"tokens_per_second\":320.0");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "[]",
                "4786d83, 204 tokens/s",
                "{\"commit\":\"4786d83\",\"date\":\"2026-02-30\",\"hardware\":\"h\",\"model\":\"m\","
                        + "\"generated_tokens\":4,\"settings\":[]}",
                "{\"commit\":\"4786d83\",\"date\":\"2026-02-28\",\"hardware\":\"h\",\"model\":\"m\","
                        + "\"generated_tokens\":4,\"settings\":[]}",
            })
    void aFileThatHoldsSomethingElseIsLeftAlone(String line) throws IOException {
        Path file = Files.writeString(directory.resolve("other.txt"), line + "\n");

        assertThatThrownBy(() -> BenchHistory.append(file, run(BenchReportTest.report(null))))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("other.txt:1 is no measured commit");
        assertThat(file).hasContent(line);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "HEAD", "4786d8", COMMIT + "0", COMMIT + "-changed", "4786D83"})
    void whatIsNoCommitIsRefused(String commit) {
        assertThatThrownBy(() -> Run.of(commit, DATE, List.of(BenchReportTest.report(null))))
                .hasMessageContaining("the commit is \"" + commit + "\"");
    }

    /** What is kept with the sources. */
    @Test
    void theProjectsHistoryIsInOrder() throws IOException {
        List<Run> runs = BenchHistory.read(Path.of("docs/benchmarks/history.jsonl"));

        assertThat(runs).isNotEmpty().isSortedAccordingTo(Comparator.comparing(Run::date));
    }
}
