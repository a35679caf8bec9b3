package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.helpers.test.AssertSubscriber;
import io.weft.cache.KvCache;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationEvent.Finished;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationEvent.PromptScored;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.engine.ServedModel.SamplingDefaults;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelFamily;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.model.ModelWeights;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.Workspace;
import io.weft.plan.Schedule;
import io.weft.plan.StepPlanner;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Requests that come, go and fail, on a small real model. */
@Timeout(120)
class BatchingEngineTest {
    private static final Path GOLDEN = Path.of("src/test/resources/goldens/opt");
    private static final int CONTEXT_TOKENS = 400;
    private static final int CACHE_TOKENS = 1024;

    private final AtomicInteger closed = new AtomicInteger();
    private KvCache cache;
    private BatchingEngine engine;

    private BatchingEngine start(int queueLimit) throws InterruptedException {
        engine = new BatchingEngine(this::load, queueLimit);
        engine.awaitServing();
        return engine;
    }

    private EngineRuntime load(java.util.function.Consumer<String> phase) {
        ModelFiles files = ModelFiles.open(new ModelSource.Directory(GOLDEN), ModelFamily.all());
        CpuDevice device = new CpuDevice(new CpuOptions(256 << 20, 256 << 20, OptionalDouble.empty(), 2));
        StepLimits limits = new StepLimits(4, 64, 32, CONTEXT_TOKENS);
        ModelWeights weights = ModelWeights.load(files, device, CONTEXT_TOKENS, (layer, layers) -> {});
        CacheGeometry geometry = new CacheGeometry(files.architecture().dimensions(), Float.BYTES, 16, 32);
        Workspace workspace = Workspace.allocate(device, files.architecture(), geometry, limits, 2 << 20);
        long hostBytes = CACHE_TOKENS / 16 * geometry.blockBytes(Content.KEY_VALUE);
        cache = new KvCache(device, geometry, limits.openBlocks(16), 0, hostBytes);
        return new EngineRuntime(
                new ServedModel("opt", Instant.EPOCH, CONTEXT_TOKENS, 384, Set.of(2), new SamplingDefaults(1, 1, 0)),
                cache,
                new StepPipeline(device, weights, cache, workspace),
                new StepPlanner(geometry, Schedule.CHUNKED, 2 << 20, 64, 3),
                (block, promptTokens) -> List.of(block % 2 == 0 ? CacheForm.HOST_ACT : CacheForm.HOST_KV),
                () -> {
                    device.close();
                    files.close();
                    closed.incrementAndGet();
                });
    }

    @AfterEach
    void nothingIsLeft() {
        engine.close();
        if (cache != null) {
            assertThat(cache.usage().open().usedBytes()).isZero();
            assertThat(cache.usage().host().usedBytes()).isZero();
            assertThat(closed).hasValue(1);
        }
    }

    private static GenerationRequest greedy(List<Integer> prompt, int maxNewTokens) {
        return new GenerationRequest(
                prompt,
                maxNewTokens,
                SamplingParameters.greedy(),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty());
    }

    private static List<Integer> prompt(int tokens) {
        return IntStream.range(0, tokens).map(i -> 3 + i * 7 % 380).boxed().toList();
    }

    private static List<Integer> tokens(List<GenerationEvent> events) {
        return events.stream()
                .filter(Generated.class::isInstance)
                .map(event -> ((Generated) event).token())
                .toList();
    }

    private List<GenerationEvent> events(GenerationRequest request) {
        return engine.generate(request).collect().asList().await().atMost(Duration.ofSeconds(60));
    }

    @Test
    void manyRequestsAtOnceGetWhatTheReferenceGenerates() throws IOException, InterruptedException {
        start(64);
        List<AssertSubscriber<GenerationEvent>> subscribers = new ArrayList<>();
        List<List<Integer>> wanted = new ArrayList<>();
        JsonNode golden =
                new ObjectMapper().readTree(GOLDEN.resolve("golden.json").toFile());
        for (int round = 0; round < 4; round++) {
            for (JsonNode prompt : golden.path("prompts")) {
                subscribers.add(engine.generate(greedy(integers(prompt.path("input_ids")), 24))
                        .subscribe()
                        .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE)));
                wanted.add(integers(prompt.path("greedy")));
            }
        }
        for (int i = 0; i < subscribers.size(); i++) {
            List<GenerationEvent> events =
                    subscribers.get(i).awaitCompletion(Duration.ofSeconds(60)).getItems();
            assertThat(tokens(events)).isEqualTo(wanted.get(i));
            assertThat(events.getFirst()).isInstanceOf(Admitted.class);
            assertThat(events.getLast()).isInstanceOf(Finished.class);
            assertThat(((Finished) events.getLast()).reason()).isEqualTo(FinishReason.LENGTH);
        }
    }

    private static List<Integer> integers(JsonNode array) {
        List<Integer> values = new ArrayList<>();
        array.forEach(value -> values.add(value.asInt()));
        return values;
    }

    @Test
    void sampledTokensDependOnTheSeedAloneNotOnTheBatch() throws InterruptedException {
        start(64);
        GenerationRequest sampled = new GenerationRequest(
                prompt(20),
                30,
                new SamplingParameters(1.2, 0.95, 50, 0, 0.1, 0.1, 1.1, Map.of(), 42),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty());
        List<Integer> alone = tokens(events(sampled));
        List<AssertSubscriber<GenerationEvent>> others = IntStream.range(1, 4)
                .mapToObj(i -> engine.generate(greedy(prompt(13 * i), 40))
                        .subscribe()
                        .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE)))
                .toList();
        assertThat(tokens(events(sampled))).isEqualTo(alone);
        others.forEach(other -> other.awaitCompletion(Duration.ofSeconds(60)));
    }

    @Test
    void aRequestThatIsCancelledFreesItsCache() throws InterruptedException {
        start(64);
        AssertSubscriber<GenerationEvent> subscriber = engine.generate(greedy(prompt(30), 300))
                .subscribe()
                .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        subscriber.awaitItems(3, Duration.ofSeconds(60));
        assertThat(cache.usage().host().usedBytes()).isPositive();
        subscriber.cancel();
        engine.drain(Duration.ofSeconds(60));
        assertThat(cache.usage().host().usedBytes()).isZero();
        assertThat(cache.usage().open().usedBytes()).isZero();
        assertThat(subscriber.getItems().size()).isLessThan(300);
    }

    /** Without demand events wait; the batch goes on. */
    @Test
    void aSlowReaderHoldsUpNobody() throws InterruptedException {
        start(64);
        AssertSubscriber<GenerationEvent> slow =
                engine.generate(greedy(prompt(5), 50)).subscribe().withSubscriber(AssertSubscriber.create(1));
        assertThat(tokens(events(greedy(prompt(5), 100)))).hasSize(100);
        slow.assertNotTerminated();
        slow.request(Long.MAX_VALUE);
        slow.awaitCompletion(Duration.ofSeconds(60));
        assertThat(slow.getItems()).hasSize(52);
    }

    @Test
    void whatDoesNotFitNowWaitsAndRunsLater() throws InterruptedException {
        start(64);
        // Each takes more than a third of the cache.
        List<AssertSubscriber<GenerationEvent>> subscribers = IntStream.range(0, 6)
                .mapToObj(i -> engine.generate(greedy(prompt(300), 90))
                        .subscribe()
                        .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE)))
                .toList();
        subscribers.forEach(subscriber -> subscriber.awaitCompletion(Duration.ofSeconds(60)));
        assertThat(subscribers)
                .allSatisfy(
                        subscriber -> assertThat(tokens(subscriber.getItems())).hasSize(90));
    }

    private Reason rejection(GenerationRequest request) {
        AssertSubscriber<GenerationEvent> subscriber =
                engine.generate(request).subscribe().withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        subscriber.awaitFailure(Duration.ofSeconds(60));
        assertThat(subscriber.getItems()).isEmpty();
        return ((RequestRejectedException) subscriber.getFailure()).reason();
    }

    @Test
    void whatCannotBeServedIsRejectedWithTheReason() throws InterruptedException {
        start(64);
        assertThat(rejection(greedy(prompt(300), 101))).isEqualTo(new Reason.ContextTooLong(300, 101, 400));
        assertThat(rejection(greedy(List.of(5, 384), 1))).isEqualTo(new Reason.UnknownToken("prompt", 384, 384));
        assertThat(rejection(greedy(List.of(-1), 1))).isEqualTo(new Reason.UnknownToken("prompt", -1, 384));
    }

    @Test
    void aFullQueueRejectsAndTheOthersAreServed() throws Exception {
        start(1);
        List<CompletableFuture<List<GenerationEvent>>> outcomes = IntStream.range(0, 40)
                .mapToObj(i -> engine.generate(greedy(prompt(8), 40))
                        .collect()
                        .asList()
                        .subscribeAsCompletionStage())
                .toList();
        int served = 0;
        for (CompletableFuture<List<GenerationEvent>> outcome : outcomes) {
            try {
                assertThat(tokens(outcome.get(60, TimeUnit.SECONDS))).hasSize(40);
                served++;
            } catch (ExecutionException e) {
                assertThat(((RequestRejectedException) e.getCause()).reason()).isInstanceOf(Reason.QueueFull.class);
            }
        }
        assertThat(served).isBetween(1, 39);
    }

    @Test
    void drainingEndsWhatRunsAndRefusesWhatIsNew() throws InterruptedException {
        start(64);
        AssertSubscriber<GenerationEvent> running = engine.generate(greedy(prompt(8), 100))
                .subscribe()
                .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        running.awaitItems(1, Duration.ofSeconds(60));
        engine.drain(Duration.ofSeconds(60));
        running.awaitCompletion(Duration.ofSeconds(60));
        assertThat(tokens(running.getItems())).hasSize(100);
        assertThat(rejection(greedy(prompt(8), 1))).isInstanceOf(Reason.Unavailable.class);
        assertThat(engine.status()).isInstanceOf(EngineStatus.Draining.class);
    }

    @Test
    void closingFailsWhatRuns() throws InterruptedException {
        start(64);
        AssertSubscriber<GenerationEvent> running = engine.generate(greedy(prompt(8), 390))
                .subscribe()
                .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        running.awaitItems(1, Duration.ofSeconds(60));
        engine.close();
        running.awaitFailure(Duration.ofSeconds(60));
        assertThat(running.getFailure()).isInstanceOf(RequestRejectedException.class);
    }

    @Test
    void scoresOfPromptAndCompletionAgree() throws InterruptedException {
        start(64);
        List<Integer> prompt = prompt(70);
        GenerationRequest request = new GenerationRequest(
                prompt, 5, SamplingParameters.greedy(), EndTokens.IGNORE, OptionalInt.of(3), OptionalInt.of(2));
        List<GenerationEvent> events = events(request);
        PromptScored scored = (PromptScored) events.get(1);
        assertThat(scored.scores()).hasSize(69);
        List<Integer> longer = new ArrayList<>(prompt);
        longer.addAll(tokens(events));
        // The same tokens as a prompt: the scores that generation gave them, bit for bit.
        PromptScored again = (PromptScored) events(new GenerationRequest(
                        longer,
                        0,
                        SamplingParameters.greedy(),
                        EndTokens.IGNORE,
                        OptionalInt.empty(),
                        OptionalInt.of(3)))
                .get(1);
        List<Generated> generated = events.stream()
                .filter(Generated.class::isInstance)
                .map(Generated.class::cast)
                .toList();
        for (int i = 0; i < generated.size(); i++) {
            assertThat(again.scores().get(69 + i))
                    .isEqualTo(generated.get(i).score().orElseThrow());
        }
    }

    @Test
    void anEndTokenEndsTheCompletionUnlessItIsIgnored() throws InterruptedException {
        start(64);
        // The bias makes the end token the likeliest, always.
        SamplingParameters biased = new SamplingParameters(0, 1, 0, 0, 0, 0, 1, Map.of(2, 100.0), 0);
        for (EndTokens endTokens : EndTokens.values()) {
            List<GenerationEvent> events = events(
                    new GenerationRequest(prompt(4), 6, biased, endTokens, OptionalInt.empty(), OptionalInt.empty()));
            Finished finished = (Finished) events.getLast();
            switch (endTokens) {
                case STOP -> {
                    assertThat(tokens(events)).containsExactly(2);
                    assertThat(finished.reason()).isEqualTo(FinishReason.STOP);
                }
                case IGNORE -> {
                    assertThat(tokens(events)).hasSize(6);
                    assertThat(finished.reason()).isEqualTo(FinishReason.LENGTH);
                }
            }
        }
    }

    @Test
    void aModelThatCannotBeLoadedIsReportedAndRefusesRequests() throws InterruptedException {
        CountDownLatch go = new CountDownLatch(1);
        engine = new BatchingEngine(
                phase -> {
                    phase.accept("layer 1 of 2");
                    go.await(60, TimeUnit.SECONDS);
                    throw new IllegalStateException("no such weights");
                },
                1);
        while (!engine.status().equals(new EngineStatus.Starting("layer 1 of 2"))) {
            Thread.onSpinWait();
        }
        assertThat(rejection(greedy(prompt(1), 1))).isInstanceOf(Reason.Unavailable.class);
        go.countDown();
        assertThatThrownBy(engine::awaitServing)
                .isInstanceOf(EngineFailedException.class)
                .hasMessage("no such weights");
        assertThat(engine.status()).isEqualTo(new EngineStatus.Failed("no such weights"));
        assertThat(rejection(greedy(prompt(1), 1))).isInstanceOf(Reason.Unavailable.class);
    }
}
