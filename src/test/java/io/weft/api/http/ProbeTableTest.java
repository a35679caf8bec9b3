package io.weft.api.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import io.weft.engine.GenerationEvent;
import io.weft.engine.GenerationRequest;
import io.weft.engine.HeldTokens;
import io.weft.engine.ServedModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.eclipse.microprofile.health.HealthCheck;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The table of probes in {@code docs/operations.md} is what the probes answer. */
class ProbeTableTest {
    private static final Path DOCUMENT = Path.of("docs/operations.md");
    private static final String HEADER = "| state | started | ready | live | when it turns | what follows |";
    private static final EngineStatus SERVING = new EngineStatus.Serving(1, 0, 8, 4, 4, Duration.ZERO);

    /** What a state is for the engine: the states that it goes through. */
    private static final Map<String, List<EngineStatus>> STATES = Map.of(
            "loading", List.of(new EngineStatus.Starting("layer 1 of 2")),
            "serving", List.of(SERVING),
            "queue full", List.of(SERVING, new EngineStatus.Serving(8, 4, 8, 4, 0, Duration.ZERO)),
            "draining", List.of(SERVING, new EngineStatus.Draining(3, Duration.ofHours(1))),
            "device failed", List.of(SERVING, new EngineStatus.Failed("a fault", EngineStatus.Fault.DEVICE)),
            "device hangs", List.of(SERVING, new EngineStatus.Failed("a hang", EngineStatus.Fault.HANG)));

    /** Of these the process answers nothing: {@code LauncherTest} and {@code FatalErrorsTest} end one. */
    private static final List<String> ENDED = List.of("cannot start", "out of memory");

    private record Row(String state, List<String> answers) {}

    private static List<Row> rows() throws IOException {
        return Files.readAllLines(DOCUMENT).stream()
                .dropWhile(line -> !line.equals(HEADER))
                .skip(2)
                .takeWhile(line -> line.startsWith("|"))
                .map(line -> line.split("\\|", -1))
                .map(cells -> new Row(cells[1].strip(), List.of(cells[2].strip(), cells[3].strip(), cells[4].strip())))
                .toList();
    }

    @Test
    void theTableHasEveryStateOfTheEngine() throws IOException {
        List<String> all = new java.util.ArrayList<>(STATES.keySet());
        all.addAll(ENDED);
        assertThat(rows()).extracting(Row::state).containsExactlyInAnyOrderElementsOf(all);
        assertThat(STATES.values().stream().map(List::getLast).map(Object::getClass))
                .containsAll(List.of(EngineStatus.class.getPermittedSubclasses()));
    }

    @TestFactory
    List<DynamicTest> theProbesAnswerAsTheTableSays() throws IOException {
        return rows().stream()
                .map(row -> DynamicTest.dynamicTest(
                        row.state(), () -> assertThat(answers(row)).isEqualTo(row.answers())))
                .toList();
    }

    private static List<String> answers(Row row) {
        if (ENDED.contains(row.state())) {
            return List.of("none", "none", "none");
        }
        StatedEngine engine = new StatedEngine();
        EngineHealth health = new EngineHealth(engine);
        List<String> answers = List.of();
        for (EngineStatus status : STATES.get(row.state())) {
            engine.status = status;
            answers = List.of(code(health.started()), code(health.ready()), code(health.live()));
        }
        return answers;
    }

    private static String code(HealthCheck check) {
        return switch (check.call().getStatus()) {
            case UP -> "200";
            case DOWN -> "503";
        };
    }

    /** The chart's probes ask for these paths, as often as the document says. */
    @Test
    void theChartAsksAsOftenAsTheDocumentSays() throws IOException {
        Map<String, Integer> values = new TreeMap<>();
        String probe = "";
        for (String line : Files.readAllLines(Path.of("helm/weft/values.yaml"))) {
            if (line.matches("  (startup|readiness|liveness):")) {
                probe = line.strip().replace(":", "");
            } else if (line.matches("    (periodSeconds|failureThreshold): \\d+")) {
                String[] pair = line.strip().split(": ", 2);
                values.put(probe + "." + pair[0], Integer.parseInt(pair[1]));
            }
        }
        String document = Files.readString(DOCUMENT);
        assertThat(document)
                .contains("after `probes.startup` (%d minutes)"
                        .formatted(values.get("startup.periodSeconds") * values.get("startup.failureThreshold") / 60))
                .contains("after %d tries of %d s; one 200"
                        .formatted(values.get("readiness.failureThreshold"), values.get("readiness.periodSeconds")))
                .contains("restarts the container, after %d tries of %d s"
                        .formatted(values.get("liveness.failureThreshold"), values.get("liveness.periodSeconds")));
    }

    private static final class StatedEngine implements Engine {
        private EngineStatus status = SERVING;

        @Override
        public Multi<GenerationEvent> generate(GenerationRequest request) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void afterEachStep(Runnable listener) {}

        @Override
        public Uni<HeldTokens> held(String owner, Optional<String> salt) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Uni<HeldTokens> forget(String owner, Optional<String> salt) {
            throw new UnsupportedOperationException();
        }

        @Override
        public EngineStatus status() {
            return status;
        }

        @Override
        public ServedModel model() {
            throw new UnsupportedOperationException();
        }
    }
}
