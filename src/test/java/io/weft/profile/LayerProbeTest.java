package io.weft.profile;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.cache.KvCache;
import io.weft.device.Activation;
import io.weft.device.Device;
import io.weft.device.Embedding;
import io.weft.device.Epilogue;
import io.weft.device.Event;
import io.weft.device.Kernels;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import io.weft.device.Stream;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.LayerGroup;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.model.ModelWeights;
import io.weft.pipeline.StepBatch;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.StepSequence;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.pipeline.TokenChoice;
import io.weft.pipeline.Workspace;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlanner;
import io.weft.profile.Stopwatch.Work;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.function.Function;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is measured is what runs: else predictions would drift in silence. */
class LayerProbeTest {
    private static final int BLOCK_TOKENS = 16;
    private static final int CONTEXT_TOKENS = 64;
    private static final int CACHED_TOKENS = 32;

    /** The kernels that were launched since the last {@link #launched()}. */
    private final List<List<Object>> launches = new ArrayList<>();

    /** Learned positions, plain; rotary ones, gated; rotary ones of parallel wiring. */
    @ParameterizedTest
    @ValueSource(strings = {"opt", "llama-mha", "gpt-neox"})
    void aStepLaunchesTheKernelsThatAreMeasured(String golden) {
        Path directory = Path.of("src/test/resources/goldens", golden);
        try (ModelFiles files = ModelFiles.open(new ModelSource.Directory(directory));
                Device device =
                        recording(new CpuDevice(new CpuOptions(256 << 20, 256 << 20, OptionalDouble.empty(), 1)))) {
            ModelWeights weights = ModelWeights.load(files, device, CONTEXT_TOKENS, (layer, layers) -> {});
            CacheGeometry geometry =
                    new CacheGeometry(files.architecture().dimensions(), Float.BYTES, BLOCK_TOKENS, CACHED_TOKENS);

            List<List<Object>> inAStep = decodeStep(device, weights, geometry);

            assertThat(inAStep).isEqualTo(measured(device, weights, geometry));
        }
    }

    /** Kernels of a step that decodes one token, after one chunk of activations from the host. */
    private List<List<Object>> decodeStep(Device device, ModelWeights weights, CacheGeometry geometry) {
        StepLimits limits = new StepLimits(1, CACHED_TOKENS, 1, 0, CONTEXT_TOKENS);
        Workspace workspace = Workspace.allocate(device, geometry, limits, 1 << 20);
        KvCache cache = new KvCache(device, geometry, limits.cacheNeeds(BLOCK_TOKENS), 1 << 20, 1 << 20);
        StepPipeline pipeline = new StepPipeline(device, weights, cache, workspace);
        StepPlanner planner = new StepPlanner(geometry, Schedule.CHUNKED, 1 << 20, CACHED_TOKENS, 2);
        CacheSequence sequence = cache.admit(CONTEXT_TOKENS, block -> List.of(CacheForm.HOST_ACT))
                .orElseThrow();
        step(pipeline, planner, sequence, Collections.nCopies(CACHED_TOKENS, 7));
        launches.clear();
        step(pipeline, planner, sequence, List.of(7));
        return launched();
    }

    private static void step(StepPipeline pipeline, StepPlanner planner, CacheSequence sequence, List<Integer> tokens) {
        sequence.open(tokens.size());
        StepBatch batch = new StepBatch(
                List.of(new StepSequence(sequence, tokens, 0, LogitRows.NONE, List.of(TokenChoice.likeliest()))));
        pipeline.step(batch, planner.plan(batch.shape())).result().await().indefinitely();
        sequence.commit(tokens);
    }

    /** The same of the probe's pieces, one a stage. */
    private List<List<Object>> measured(Device device, ModelWeights weights, CacheGeometry geometry) {
        ProfilingMemory memory =
                new ProfilingMemory(device.allocate("profiling", 16 << 20), device.allocateHost("profiling", 1 << 20));
        Stream stream = device.stream("probe");
        Scratch scratch = new Scratch(device, memory, stream);
        scratch.fillWithNoise();
        LayerProbe probe = new LayerProbe(device, weights, geometry, scratch);
        LayerGroup group = geometry.dimensions().groups().getFirst();
        launches.clear();
        issue(probe.embed(1), stream, 0, device);
        for (int layer = 0; layer < geometry.dimensions().layerCount(); layer++) {
            issue(probe.project(group, 1), stream, layer, device);
            issue(probe.keyValues(CACHED_TOKENS), stream, layer, device);
            issue(probe.attentionReads(group, 1, CACHED_TOKENS), stream, layer, device);
            issue(probe.feedForward(group, 1), stream, layer, device);
        }
        issue(probe.head(1), stream, 0, device);
        return launched();
    }

    /** One after the other, since they share the memory. */
    private static void issue(List<Work> works, Stream stream, int layer, Device device) {
        assertThat(works).hasSize(1);
        works.getFirst().issue(stream, layer);
        Event done = device.event(Event.Timing.UNTIMED);
        stream.record(done);
        done.join();
    }

    private List<List<Object>> launched() {
        List<List<Object>> all = List.copyOf(launches);
        launches.clear();
        return all;
    }

    /** Notes of each kernel its name and what it computes with; where its rows lie is another matter. */
    private Device recording(Device device) {
        Kernels kernels = proxy(Kernels.class, device.kernels(), result -> result, (name, arguments) -> {
            List<Object> launch = new ArrayList<>(List.of(name));
            Arrays.stream(arguments).filter(LayerProbeTest::isOperand).forEach(launch::add);
            // Index arrays, which a measurement brings by itself.
            if (!name.equals("readHost")) {
                launches.add(launch);
            }
        });
        return proxy(Device.class, device, result -> result instanceof Kernels ? kernels : result, (name, args) -> {});
    }

    private static boolean isOperand(Object argument) {
        return argument instanceof Norm
                || argument instanceof Linear
                || argument instanceof Embedding
                || argument instanceof RotaryTable
                || argument instanceof Epilogue
                || argument instanceof Activation;
    }

    private interface Call {
        void made(String name, Object[] arguments);
    }

    private static <T> T proxy(Class<T> type, T target, Function<Object, Object> returned, Call call) {
        return type.cast(Proxy.newProxyInstance(
                type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
                    try {
                        Object[] given = arguments == null ? new Object[0] : arguments;
                        call.made(method.getName(), given);
                        Object result = method.invoke(target, given);
                        return result == null ? null : returned.apply(result);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }));
    }
}
