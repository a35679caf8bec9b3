package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.device.Device;
import io.weft.device.Graph;
import io.weft.device.Stream;
import io.weft.model.CacheForm;
import io.weft.pipeline.ModelRun.Execution;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Which steps become graphs, and what becomes of those. */
class StepGraphsTest {
    private static final Way RESIDENT = Way.of(Schedule.RESIDENT);

    private int captures;
    private int closed;

    /** A CPU device whose graphs are counted, and then are as {@code change} makes them. */
    private Device device(UnaryOperator<Optional<Graph>> change) {
        Device device = GoldenTest.device();
        return (Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                    try {
                        Object result = method.invoke(device, arguments);
                        if (result instanceof Optional<?> captured) {
                            captures++;
                            return change.apply(captured.map(Graph.class::cast));
                        }
                        return result;
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private static ModelRun run(Device device) {
        return new ModelRun(Golden.model("llama3-gqa"), device, 16, 32);
    }

    /** A sequence with {@code tokens} cached tokens. */
    private static CacheSequence cached(ModelRun run, int tokens, CacheForm form) {
        CacheSequence sequence = run.admit(tokens + 32, block -> form);
        run.prefill(RESIDENT, sequence, Collections.nCopies(tokens, 7), 20, LogitRows.NONE);
        return sequence;
    }

    private static void decode(ModelRun run, Way way, List<CacheSequence> sequences, int steps) {
        for (int i = 0; i < steps; i++) {
            run.step(
                    way,
                    sequences.stream()
                            .map(sequence -> ModelRun.part(sequence, List.of(9), LogitRows.CHOOSING))
                            .toList());
        }
    }

    @Test
    void theSecondOfEqualStepsIsCapturedAndServesTheOthers() {
        try (ModelRun run = run(device(UnaryOperator.identity()))) {
            CacheSequence sequence = cached(run, 40, CacheForm.DEVICE_KV);
            decode(run, RESIDENT, List.of(sequence), 1);
            assertThat(captures).isZero();
            decode(run, RESIDENT, List.of(sequence), 20);
            assertThat(captures).isEqualTo(1);
        }
    }

    @Test
    void piecesOfPromptsObservedStepsAndStepsThatUseTheLinkAreNotCaptured() {
        try (ModelRun run = run(device(UnaryOperator.identity()))) {
            CacheSequence sequence = cached(run, 100, CacheForm.DEVICE_KV);
            Way observed = new Way(Schedule.RESIDENT, 32, 3, ModelRun.STAGING_BYTES, Execution.OBSERVED);
            decode(run, observed, List.of(sequence), 4);
            decode(run, Way.of(Schedule.CHUNKED), List.of(cached(run, 40, CacheForm.HOST_KV)), 4);
            decode(run, RESIDENT, List.of(cached(run, 40, CacheForm.DEVICE_ACT)), 4);
            assertThat(captures).isZero();
        }
    }

    /** They are not captured, and steps of one row go on with their graph. */
    @Test
    void stepsWithDraftsLeaveTheGraphsOfOthersAlone() {
        try (ModelRun run = run(device(UnaryOperator.identity()))) {
            CacheSequence sequence = cached(run, 40, CacheForm.DEVICE_KV);
            for (int i = 0; i < 3; i++) {
                run.drafted(RESIDENT, sequence, Collections.nCopies(4, 9), 3, 1);
            }
            assertThat(captures).isZero();
            decode(run, RESIDENT, List.of(sequence), 2);
            assertThat(captures).isEqualTo(1);
            for (int i = 0; i < 3; i++) {
                run.drafted(RESIDENT, sequence, Collections.nCopies(4, 9), 3, 1);
                decode(run, RESIDENT, List.of(sequence), 2);
            }
            assertThat(captures).isEqualTo(1);
        }
    }

    @Test
    void aDeviceThatCannotCaptureIsAskedOnce() {
        try (ModelRun run = run(device(captured -> Optional.empty()))) {
            CacheSequence sequence = cached(run, 40, CacheForm.DEVICE_KV);
            decode(run, RESIDENT, List.of(sequence), 4);
            decode(run, RESIDENT, List.of(sequence, cached(run, 40, CacheForm.DEVICE_KV)), 4);
            assertThat(captures).isEqualTo(1);
            assertThat(run.graphs()).isZero();
        }
    }

    @Test
    void theGraphThatWasNotUsedForLongestIsClosed() {
        try (ModelRun run = run(device(captured -> captured.map(Closing::new)))) {
            List<CacheSequence> sequences = new ArrayList<>();
            for (int size = 1; size <= 10; size++) {
                sequences.add(cached(run, 5, CacheForm.DEVICE_KV));
                decode(run, RESIDENT, sequences, 2);
                decode(run, RESIDENT, sequences.subList(0, 1), 1);
            }
            assertThat(captures).isEqualTo(10);
            assertThat(closed).isEqualTo(2);
            assertThat(run.graphs()).isEqualTo(8);
            decode(run, RESIDENT, sequences.subList(0, 1), 1);
            assertThat(captures).as("what is used is kept").isEqualTo(10);
        }
    }

    /** Counts when it is closed. */
    private final class Closing implements Graph {
        private final Graph graph;

        Closing(Graph graph) {
            this.graph = graph;
        }

        @Override
        public void launch(Stream stream) {
            graph.launch(stream);
        }

        @Override
        public void close() {
            closed++;
            graph.close();
        }
    }
}
