package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.helpers.test.AssertSubscriber;
import io.smallrye.mutiny.subscription.Cancellable;
import io.weft.cache.KvCache;
import io.weft.device.GrowingRegion;
import io.weft.device.HostBuffer;
import io.weft.device.HostRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationEvent.Finished;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationEvent.PromptScored;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.GenerationRequest.StopTokens;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.DecodeLoad;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.Placements;
import io.weft.plan.placement.Planning;
import io.weft.plan.placement.Planning.Prediction;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepTokens;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests that come, go and fail, on a small real model. */
class BatchingEngineTest {
    /** Only what hangs takes so long. */
    private static final Duration HANG = Duration.ofMinutes(10);

    private static final int CONTEXT_TOKENS = SmallModel.CONTEXT_TOKENS;
    private static final int CACHE_TOKENS = 1024;

    private final AtomicInteger closed = new AtomicInteger();
    private final AtomicReference<Planning> replanned = new AtomicReference<>();
    private Function<CacheGeometry, Planning> plannings = BatchingEngineTest::mixed;
    private StepObserver observer = StepObserver.NONE;
    private int deviceTokens;
    private int hostTokens = CACHE_TOKENS;
    private Function<HostBuffer, HostRegion> regions = HostRegion::of;
    private KvCache cache;
    private BatchingEngine engine;

    private BatchingEngine start(int queueLimit) throws InterruptedException {
        engine = new BatchingEngine(this::load, EngineOptions.queueing(queueLimit));
        engine.awaitServing();
        return engine;
    }

    private EngineRuntime load(java.util.function.Consumer<String> phase) {
        EngineRuntime runtime = new SmallModel(deviceTokens, hostTokens, regions)
                .load(
                        new CpuDevice(new CpuOptions(256 << 20, 256 << 20, OptionalDouble.empty(), 2)),
                        geometry -> {
                            Planning planning = plannings.apply(geometry);
                            return () -> replanned.get() == null ? planning : replanned.get();
                        },
                        observer,
                        closed::incrementAndGet);
        cache = runtime.cache();
        return runtime;
    }

    private static StepPlanner planner(CacheGeometry geometry, Schedule schedule, int chunkTokens) {
        return new StepPlanner(geometry, schedule, 2 << 20, chunkTokens, 3);
    }

    private static Planning mixed(CacheGeometry geometry) {
        return Planning.fixed(
                planner(geometry, Schedule.CHUNKED, 64),
                (block, promptTokens) -> List.of(block % 2 == 0 ? CacheForm.HOST_ACT : CacheForm.HOST_KV));
    }

    /** Placed with what is known when a sequence is admitted, as for a machine of some figures. */
    private static Planning informed(CacheGeometry geometry) {
        CostModel costs = new CostModel(HardwarePreset.T4.spec().profile(geometry), geometry);
        Placements placements = new Placements(costs, new DecodeLoad(4, CONTEXT_TOKENS, 64));
        return new Planning(
                planner(geometry, Schedule.CHUNKED, 64),
                Prediction.of(costs),
                placements::admission,
                Optional.of(new MovePlanner(costs, 64)));
    }

    @AfterEach
    void nothingIsLeft() {
        engine.close();
        if (cache != null) {
            assertThat(cache.usage().open().usedBytes()).isZero();
            assertThat(cache.usage().host().usedBytes()).isZero();
            assertThat(cache.usage().device().usedBytes()).isZero();
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
        return engine.generate(request).collect().asList().await().atMost(HANG);
    }

    @Test
    void manyRequestsAtOnceGetWhatTheReferenceGenerates() throws IOException, InterruptedException {
        start(64);
        List<AssertSubscriber<GenerationEvent>> subscribers = new ArrayList<>();
        List<List<Integer>> wanted = new ArrayList<>();
        JsonNode golden = new ObjectMapper()
                .readTree(SmallModel.GOLDEN.resolve("golden.json").toFile());
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
                    subscribers.get(i).awaitCompletion(HANG).getItems();
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
        others.forEach(other -> other.awaitCompletion(HANG));
    }

    /** Whatever is told of their probabilities, and those are the model's, before bias and penalties. */
    @Test
    void logprobsChangeNoTokenAndNoBiasChangesThem() throws InterruptedException {
        start(64);
        SamplingParameters sampling = new SamplingParameters(1, 0.95, 0, 0.01, 0.5, 0.5, 1.2, Map.of(7, 6.0), 5);
        List<GenerationRequest> requests = new ArrayList<>();
        for (OptionalInt logprobs : List.of(OptionalInt.empty(), OptionalInt.of(2))) {
            for (OptionalInt promptLogprobs : List.of(OptionalInt.empty(), OptionalInt.of(2))) {
                requests.add(
                        new GenerationRequest(prompt(30), 20, sampling, EndTokens.IGNORE, logprobs, promptLogprobs));
            }
        }
        List<AssertSubscriber<GenerationEvent>> subscribers = requests.stream()
                .map(request ->
                        engine.generate(request).subscribe().withSubscriber(AssertSubscriber.create(Long.MAX_VALUE)))
                .toList();
        List<List<GenerationEvent>> events = subscribers.stream()
                .map(subscriber -> subscriber.awaitCompletion(HANG).getItems())
                .toList();
        List<Integer> tokens = tokens(events.getFirst());
        assertThat(tokens).hasSize(20);
        assertThat(events).allSatisfy(other -> assertThat(tokens(other)).isEqualTo(tokens));

        // The same tokens as a prompt have the same scores.
        List<Integer> whole = new ArrayList<>(prompt(30));
        whole.addAll(tokens);
        List<GenerationEvent> scored = events(new GenerationRequest(
                whole, 0, SamplingParameters.greedy(), EndTokens.IGNORE, OptionalInt.empty(), OptionalInt.of(2)));
        List<GenerationEvent.TokenScore> expected = scored.stream()
                .filter(PromptScored.class::isInstance)
                .map(event -> ((PromptScored) event).scores())
                .findFirst()
                .orElseThrow();
        assertThat(events.getLast().stream()
                        .filter(Generated.class::isInstance)
                        .map(event -> ((Generated) event).score().orElseThrow()))
                .isEqualTo(expected.subList(29, 49));
    }

    @Test
    void aRequestThatIsCancelledFreesItsCache() throws InterruptedException {
        List<StepPlan> plans = observedPlans();
        List<Long> usedBytes = new CopyOnWriteArrayList<>();
        start(64);
        // Told on the engine's thread, which cannot have ended the request by then.
        engine.generate(greedy(prompt(30), 300))
                .onItem()
                .invoke(event -> usedBytes.add(cache.usage().host().usedBytes()))
                .select()
                .first(3)
                .collect()
                .asList()
                .await()
                .atMost(HANG);
        engine.drain(HANG);
        assertThat(plans).hasSizeLessThan(300);
        assertThat(usedBytes).hasSize(3);
        assertThat(usedBytes.getLast()).isPositive();
        assertThat(cache.usage().host().usedBytes()).isZero();
        assertThat(cache.usage().open().usedBytes()).isZero();
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
        slow.awaitCompletion(HANG);
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
        subscribers.forEach(subscriber -> subscriber.awaitCompletion(HANG));
        assertThat(subscribers)
                .allSatisfy(
                        subscriber -> assertThat(tokens(subscriber.getItems())).hasSize(90));
    }

    /** Four that grow at once, where there is memory for one and a half of them: the older ends first. */
    @Test
    void theYoungestWaitsForMemoryAndGoesOnWithTheSameTokens() throws InterruptedException {
        List<GenerationRequest> requests =
                IntStream.range(0, 4).mapToObj(i -> greedy(prompt(20 + i), 200)).toList();
        List<List<Integer>> expected = alone(requests);
        // One fills 13 blocks, half of them activations.
        hostTokens = 15 * 16;
        start(64);

        assertThat(endsOf(requests, 1, expected)).containsExactly(0, 1, 2, 3);
        assertThat(engine.preemptions()).isPositive();
    }

    /** What it may still generate is not counted before, since it may end at any token. */
    @Test
    void aLoneRequestThatOutgrowsTheCacheFailsWithTheSetting() throws InterruptedException {
        List<Integer> expected = alone(List.of(greedy(prompt(20), 300))).getFirst();
        hostTokens = 4 * 16;
        start(64);

        AssertSubscriber<GenerationEvent> subscriber = engine.generate(greedy(prompt(20), 300))
                .subscribe()
                .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        subscriber.awaitFailure(HANG);
        List<Integer> made = tokens(subscriber.getItems());
        assertThat(made).hasSizeGreaterThan(40).isEqualTo(expected.subList(0, made.size()));
        assertThat(subscriber.getFailure()).hasMessageContaining("weft.host-memory");
        assertThat(tokens(events(greedy(prompt(20), 10)))).isEqualTo(expected.subList(0, 10));
    }

    private static CachedTokens cachedAt(List<GenerationEvent> events, int tokens) {
        return ((Admitted) events.getFirst()).homes().at(tokens);
    }

    @Test
    void homesTellWhereTokensAreCached() throws InterruptedException {
        start(64);
        List<GenerationEvent> events = events(greedy(prompt(30), 50));

        // Blocks of 16 tokens, the even ones activations; the last token is not cached.
        assertThat(cachedAt(events, 0)).isEqualTo(CachedTokens.NONE);
        assertThat(cachedAt(events, 15)).isEqualTo(new CachedTokens(15, 0, 0));
        assertThat(cachedAt(events, 16)).isEqualTo(new CachedTokens(0, 0, 16));
        assertThat(cachedAt(events, 79)).isEqualTo(new CachedTokens(15, 32, 32));
    }

    /** What is spare is used at once; who comes later gets what is left, and writes the same. */
    @Test
    void spareDeviceMemoryIsUsedFromTheFirstToken() throws InterruptedException {
        start(64);
        List<List<Integer>> expected = IntStream.range(1, 5)
                .mapToObj(i -> tokens(events(greedy(prompt(37 * i), 60))))
                .toList();
        engine.close();
        closed.set(0);
        plannings = BatchingEngineTest::informed;
        deviceTokens = 320;
        start(64);

        List<AssertSubscriber<GenerationEvent>> subscribers = IntStream.range(1, 5)
                .mapToObj(i -> engine.generate(greedy(prompt(37 * i), 60))
                        .subscribe()
                        .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE)))
                .toList();
        subscribers.forEach(subscriber -> subscriber.awaitCompletion(HANG));

        assertThat(subscribers.stream().map(subscriber -> tokens(subscriber.getItems())))
                .isEqualTo(expected);
        assertThat(cachedAt(subscribers.getFirst().getItems(), 96)).isEqualTo(new CachedTokens(96, 0, 0));
        assertThat(cachedAt(subscribers.getLast().getItems(), 96 + 3 * 37).resident())
                .isLessThan(96);
    }

    /** The link is so slow that it pays to move blocks off it. */
    private static Planning moving(CacheGeometry geometry, Planning.Admission admission) {
        CostModel costs = new CostModel(Profiles.machine(1, 1, 0.001), geometry);
        return new Planning(
                planner(geometry, Schedule.CHUNKED, 64),
                Prediction.of(costs),
                admission,
                Optional.of(new MovePlanner(costs, 64)));
    }

    /** Tokens of each request when each is alone and nothing moves. */
    private List<List<Integer>> alone(List<GenerationRequest> requests) throws InterruptedException {
        start(64);
        List<List<Integer>> tokens =
                requests.stream().map(request -> tokens(events(request))).toList();
        engine.close();
        closed.set(0);
        return tokens;
    }

    private List<StepPlan> observedPlans() {
        List<StepPlan> plans = new CopyOnWriteArrayList<>();
        observer = new StepObserver() {
            @Override
            public boolean timesNextStep() {
                return false;
            }

            @Override
            public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
                plans.add(plan);
            }
        };
        return plans;
    }

    /**
     * Runs requests of which each comes once the one before has made {@code tokens} tokens: by steps, not by the clock.
     *
     * @return in which order they end
     */
    private List<Integer> endsOf(List<GenerationRequest> requests, int tokens, List<List<Integer>> expected)
            throws InterruptedException {
        List<List<Integer>> made = requests.stream()
                .<List<Integer>>map(request -> new CopyOnWriteArrayList<>())
                .toList();
        List<Integer> ended = new CopyOnWriteArrayList<>();
        CountDownLatch running = new CountDownLatch(requests.size());
        generate(requests, 0, event -> {
            if (event.event() instanceof Generated generated) {
                made.get(event.request()).add(generated.token());
            }
            if (event.event() instanceof Finished) {
                ended.add(event.request());
                running.countDown();
            }
            return made.get(event.request()).size() == tokens && event.event() instanceof Generated;
        });
        running.await();
        assertThat(made).isEqualTo(expected);
        return ended;
    }

    private record Numbered(int request, GenerationEvent event) {}

    /** @param bringsNext told every event; whether the next request comes now */
    private void generate(List<GenerationRequest> requests, int request, Predicate<Numbered> bringsNext) {
        if (request < requests.size()) {
            engine.generate(requests.get(request)).subscribe().with(event -> {
                if (bringsNext.test(new Numbered(request, event))) {
                    generate(requests, request + 1, bringsNext);
                }
            });
        }
    }

    private long keyValueBlocks(long bytes) {
        return bytes / cache.geometry().blockBytes(Content.KEY_VALUE);
    }

    @Test
    void blocksMoveToTheDeviceOnceWhenOthersEnd() throws InterruptedException {
        List<GenerationRequest> requests = List.of(greedy(prompt(150), 30), greedy(prompt(170), 220));
        List<List<Integer>> expected = alone(requests);
        List<StepPlan> plans = observedPlans();
        deviceTokens = 176;
        plannings = geometry -> moving(
                geometry, (occupancy, tokens) -> (block, prompt) -> List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV));
        start(64);

        assertThat(endsOf(requests, 5, expected)).containsExactly(0, 1);
        engine.close();
        // Eleven blocks fit the device. Those that the first had become copies of the second's, once each.
        assertThat(keyValueBlocks(
                        plans.stream().mapToLong(StepPlan::promotedBytes).sum()))
                .isBetween(1L, 11L);
        assertThat(StepTokens.of(plans.getLast().shape(), 16).resident()).isGreaterThanOrEqualTo(176);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void requestsThatComeAndGoWhileBlocksMoveMakeTheTokensThatTheyMakeAlone(long seed) throws InterruptedException {
        Random random = new Random(seed);
        List<GenerationRequest> requests = IntStream.range(0, 10)
                .mapToObj(i -> greedy(prompt(1 + random.nextInt(200)), 20 + random.nextInt(180)))
                .toList();
        List<List<Integer>> expected = alone(requests);
        List<StepPlan> plans = observedPlans();
        deviceTokens = 16 * (10 + random.nextInt(20));
        hostTokens = 16 * (20 + random.nextInt(20));
        plannings = geometry -> {
            CostModel costs = new CostModel(Profiles.machine(1, 1, 0.001), geometry);
            return moving(geometry, new Placements(costs, new DecodeLoad(4, CONTEXT_TOKENS, 64))::admission);
        };
        start(64);

        endsOf(requests, 1 + random.nextInt(20), expected);
        assertThat(plans.stream().mapToLong(StepPlan::promotedBytes).sum()).isPositive();
    }

    @Test
    void copiesAreGivenBackToARequestThatWouldWaitOtherwise() throws InterruptedException {
        List<GenerationRequest> requests =
                List.of(greedy(prompt(100), 290), greedy(prompt(110), 280), greedy(prompt(120), 30));
        List<List<Integer>> expected = alone(requests);
        List<StepPlan> plans = observedPlans();
        deviceTokens = 192;
        hostTokens = 48 * 16;
        plannings = geometry -> moving(
                geometry,
                (occupancy, tokens) -> (block, prompt) -> occupancy.freeHostBytes() > 0
                        ? List.of(CacheForm.HOST_KV)
                        : List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV));
        start(64);

        // When the last comes, all homes on the host are taken, and all of the device by copies.
        assertThat(endsOf(requests, 60, expected)).containsExactly(2, 0, 1);
        assertThat(plans.stream().mapToLong(StepPlan::promotedBytes).sum()).isPositive();
    }

    @Test
    void everyStepIsObservedAndTimedIfThatIsAskedFor() throws InterruptedException {
        List<StepPlan> plans = new ArrayList<>();
        List<Optional<Timeline>> timelines = new ArrayList<>();
        observer = new StepObserver() {
            @Override
            public boolean timesNextStep() {
                return plans.size() % 2 == 1;
            }

            @Override
            public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
                assertThat(nanos).isPositive();
                plans.add(plan);
                timelines.add(measured);
            }
        };
        start(64);
        assertThat(tokens(events(greedy(prompt(200), 20)))).hasSize(20);
        engine.close();

        // 64 rows a step: four of the prompt, the last of which makes the first token.
        assertThat(plans).hasSize(4 + 19);
        for (int i = 0; i < plans.size(); i++) {
            assertThat(timelines.get(i).isPresent()).as("step " + i).isEqualTo(i % 2 == 1);
            if (i % 2 == 1) {
                assertThat(timelines.get(i).orElseThrow().stages())
                        .extracting(StageTiming::planned)
                        .isEqualTo(plans.get(i).stages());
            }
        }
    }

    @Test
    void planningAnewChangesNoToken() throws InterruptedException {
        start(64);
        GenerationRequest request = greedy(prompt(150), 120);
        List<Integer> expected = tokens(events(request));
        CacheGeometry geometry = cache.geometry();
        List<Planning> plannings = List.of(
                Planning.fixed(
                        planner(geometry, Schedule.KVPR, 64), (block, promptTokens) -> List.of(CacheForm.HOST_KV)),
                Planning.fixed(
                        planner(geometry, Schedule.CHUNKED, 32), (block, promptTokens) -> List.of(CacheForm.HOST_ACT)));
        AtomicInteger seen = new AtomicInteger();

        List<Integer> tokens = tokens(engine.generate(request)
                .onItem()
                .invoke(event -> replanned.set(plannings.get(seen.getAndIncrement() % 2)))
                .collect()
                .asList()
                .await()
                .atMost(HANG));

        assertThat(tokens).isEqualTo(expected);
    }

    private Reason rejection(GenerationRequest request) {
        AssertSubscriber<GenerationEvent> subscriber =
                engine.generate(request).subscribe().withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        subscriber.awaitFailure(HANG);
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
        CountDownLatch stepping = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        observer = holding(stepping, goOn);
        start(1);
        List<CompletableFuture<List<GenerationEvent>>> outcomes = new ArrayList<>();
        outcomes.add(outcome());
        stepping.await();
        IntStream.range(1, 40).forEach(i -> outcomes.add(outcome()));
        goOn.countDown();
        int served = 0;
        for (CompletableFuture<List<GenerationEvent>> outcome : outcomes) {
            try {
                assertThat(tokens(outcome.get())).hasSize(4);
                served++;
            } catch (ExecutionException e) {
                assertThat(((RequestRejectedException) e.getCause()).reason()).isInstanceOf(Reason.QueueFull.class);
            }
        }
        // One runs, three seats are free, and one may wait.
        assertThat(served).isEqualTo(5);
    }

    /** Holds the first step until {@code goOn}. */
    private static StepObserver holding(CountDownLatch stepping, CountDownLatch goOn) {
        return new StepObserver() {
            @Override
            public boolean timesNextStep() {
                stepping.countDown();
                try {
                    goOn.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
                return false;
            }

            @Override
            public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {}
        };
    }

    /** Requests are admitted between steps: what comes during one, and has a seat, is not in the queue's way. */
    @Test
    void freeSeatsAreNoPartOfTheQueue() throws Exception {
        CountDownLatch stepping = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        observer = holding(stepping, goOn);
        start(2);
        List<CompletableFuture<List<GenerationEvent>>> outcomes = new ArrayList<>();
        outcomes.add(outcome());
        stepping.await();

        // Three seats of four are free, and two may wait.
        IntStream.range(0, 5).forEach(i -> outcomes.add(outcome()));

        assertThat(engine.status())
                .isInstanceOfSatisfying(
                        EngineStatus.Serving.class,
                        serving -> assertThat(serving.room()).isZero());
        assertThat(rejection(greedy(prompt(8), 4))).isInstanceOf(Reason.QueueFull.class);
        goOn.countDown();
        for (CompletableFuture<List<GenerationEvent>> outcome : outcomes) {
            assertThat(tokens(outcome.get())).hasSize(4);
        }
    }

    /** Holds each step until it is let go on. */
    private static final class Gate implements StepObserver {
        private final Semaphore begun = new Semaphore(0);
        private final Semaphore mayEnd = new Semaphore(0);

        @Override
        public boolean timesNextStep() {
            begun.release();
            acquire(mayEnd);
            return false;
        }

        @Override
        public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {}

        /** Waits until a step runs. */
        void awaitStep() {
            acquire(begun);
        }

        /** Lets the step at hand end and waits until the next one runs. */
        void nextStep() {
            mayEnd.release();
            awaitStep();
        }

        /** Holds no step any more. */
        void open() {
            mayEnd.release(1_000_000);
        }

        private static void acquire(Semaphore semaphore) {
            try {
                semaphore.acquire();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private int room() {
        return ((EngineStatus.Serving) engine.status()).room();
    }

    /** Where the cache is what is short, free seats serve nobody who comes. */
    @Test
    void freeSeatsAreNoRoomWhileTheCacheIsFull() throws InterruptedException {
        Gate gate = new Gate();
        observer = gate;
        // The prompt fills 18 blocks, half of them activations, so that a second waits.
        hostTokens = 20 * 16;
        GenerationRequest large = greedy(prompt(300), 80);
        start(2);
        try {
            Cancellable first = engine.generate(large).subscribe().with(event -> {});
            gate.awaitStep();
            engine.generate(large).subscribe().with(event -> {}, failure -> {});
            // It has not been tried, and may have one of the three free seats.
            assertThat(room()).isEqualTo(2 + 3 - 1);

            gate.nextStep();
            assertThat(room()).isEqualTo(2 - 1);
            Cancellable third = engine.generate(large).subscribe().with(event -> {}, failure -> {});
            assertThat(room()).isZero();
            assertThat(rejection(greedy(prompt(8), 4))).isInstanceOf(Reason.QueueFull.class);

            first.cancel();
            gate.nextStep();
            // The second runs, the third has become the one that does not fit.
            assertThat(room()).isEqualTo(2 - 1);
            third.cancel();
            assertThat(room()).isEqualTo(2 + 3);
        } finally {
            gate.open();
        }
    }

    private CompletableFuture<List<GenerationEvent>> outcome() {
        return engine.generate(greedy(prompt(8), 4)).collect().asList().subscribeAsCompletionStage();
    }

    @Test
    void drainingEndsWhatRunsAndRefusesWhatIsNew() throws InterruptedException {
        start(64);
        AssertSubscriber<GenerationEvent> running = engine.generate(greedy(prompt(8), 100))
                .subscribe()
                .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        running.awaitItems(1, HANG);
        engine.drain(HANG);
        running.awaitCompletion(HANG);
        assertThat(tokens(running.getItems())).hasSize(100);
        assertThat(rejection(greedy(prompt(8), 1))).isInstanceOf(Reason.Unavailable.class);
        assertThat(engine.status()).isInstanceOf(EngineStatus.Draining.class);
    }

    @Test
    void closingFailsWhatRuns() throws InterruptedException {
        start(64);
        // The engine's thread goes on once it has been told to stop, with most of the tokens still to come.
        AssertSubscriber<GenerationEvent> running = engine.generate(greedy(prompt(8), 390))
                .onItem()
                .invoke(event -> {
                    if (event instanceof Generated && engine.status() instanceof EngineStatus.Serving) {
                        Thread.startVirtualThread(engine::close);
                        while (engine.status() instanceof EngineStatus.Serving) {
                            Thread.onSpinWait();
                        }
                    }
                })
                .subscribe()
                .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        running.awaitFailure(HANG);
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

    /** The bias makes one of the tokens the likeliest, always. */
    @ParameterizedTest
    @CsvSource({"STOP, 2, 7", "STOP, 9, 7", "IGNORE, 9, 7", "STOP, 2, 0", "IGNORE, 9, 0", "STOP, 9, 20"})
    void aStopTokenEndsTheCompletionAfterItsLeastLength(EndTokens endTokens, int likeliest, int minTokens)
            throws InterruptedException {
        start(64);
        SamplingParameters biased = new SamplingParameters(0, 1, 0, 0, 0, 0, 1, Map.of(likeliest, 100.0), 0);
        List<GenerationEvent> events = events(new GenerationRequest(
                prompt(4),
                12,
                biased,
                endTokens,
                OptionalInt.empty(),
                OptionalInt.empty(),
                RequestTerms.USUAL,
                new StopTokens(Set.of(9), minTokens),
                Optional.empty()));

        List<Integer> tokens = tokens(events);
        assertThat(tokens).hasSize(Math.min(12, minTokens + 1));
        int free = Math.min(12, minTokens);
        assertThat(tokens.subList(0, free)).doesNotContain(9, endTokens == EndTokens.STOP ? 2 : 9);
        assertThat(tokens.subList(free, tokens.size())).allMatch(token -> token == likeliest);
        assertThat(((Finished) events.getLast()).reason())
                .isEqualTo(minTokens < 12 ? FinishReason.STOP : FinishReason.LENGTH);
    }

    @Test
    void anErrorEndsTheEngineInsteadOfItsThreadAlone() {
        engine = new BatchingEngine(
                phase -> {
                    throw new OutOfMemoryError("no room for the model");
                },
                EngineOptions.queueing(4));
        assertThatThrownBy(engine::awaitServing)
                .isInstanceOf(EngineFailedException.class)
                .hasMessageContaining("no room for the model");
    }

    /** A thread that has no memory, say, is the process's end and not only the engine's. */
    @Test
    void anErrorIsLeftToThoseWhoHandleWhatNobodyCatches() {
        AtomicReference<Throwable> uncaught = new AtomicReference<>();
        Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((thread, failure) -> uncaught.set(failure));
        try {
            OutOfMemoryError error = new OutOfMemoryError("no room for the model");
            engine = new BatchingEngine(
                    phase -> {
                        throw error;
                    },
                    EngineOptions.queueing(4));
            engine.close();
            assertThat(uncaught.get()).isSameAs(error);
        } finally {
            Thread.setDefaultUncaughtExceptionHandler(before);
        }
    }

    /** Pinning the cache's host memory takes a while: what will fit waits, what never will is refused at once. */
    @Test
    void aRequestWaitsForHostMemoryThatIsToCome() throws Exception {
        start(4);
        List<GenerationEvent> expected = events(greedy(prompt(40), 8));
        engine.close();
        closed.set(0);
        AtomicReference<GrowingRegion> region = new AtomicReference<>();
        regions = memory -> {
            region.set(new GrowingRegion(memory, memory.bytes(), Long.MAX_VALUE));
            return region.get();
        };
        hostTokens = 64;
        start(4);
        assertThat(rejection(greedy(prompt(300), 8))).isInstanceOf(Reason.CacheTooSmall.class);
        AssertSubscriber<GenerationEvent> waits =
                engine.generate(greedy(prompt(40), 8)).subscribe().withSubscriber(AssertSubscriber.create(100));
        assertThat(((EngineStatus.Serving) engine.status()).waiting()).isEqualTo(1);

        region.get().extend();
        engine.memoryChanged();

        waits.awaitCompletion(HANG);
        assertThat(tokens(waits.getItems())).isEqualTo(tokens(expected));
    }

    @Test
    void aRequestThatWaitsForHostMemoryIsRefusedOnceItIsKnownNotToCome() throws Exception {
        regions = memory -> new GrowingRegion(memory, memory.bytes(), 0);
        start(4);
        CompletableFuture<Reason> refused = CompletableFuture.supplyAsync(() -> rejection(greedy(prompt(40), 8)));
        while (((EngineStatus.Serving) engine.status()).waiting() == 0) {
            assertThat(refused).as("the request waits").isNotDone();
            Thread.sleep(1);
        }

        cache.endHostGrowth();
        engine.memoryChanged();

        assertThat(refused.get()).isInstanceOf(Reason.CacheTooSmall.class);
    }

    @Test
    void theEngineStopsWhileARequestWaitsForHostMemory() throws Exception {
        regions = memory -> new GrowingRegion(memory, memory.bytes(), 0);
        start(4);
        CompletableFuture<Reason> refused = CompletableFuture.supplyAsync(() -> rejection(greedy(prompt(40), 8)));
        while (((EngineStatus.Serving) engine.status()).waiting() == 0) {
            assertThat(refused).as("the request waits").isNotDone();
            Thread.sleep(1);
        }

        engine.close();

        assertThat(refused.get()).isInstanceOf(Reason.Unavailable.class);
    }

    @Test
    void aModelThatCannotBeLoadedIsReportedAndRefusesRequests() throws InterruptedException {
        CountDownLatch go = new CountDownLatch(1);
        engine = new BatchingEngine(
                phase -> {
                    phase.accept("layer 1 of 2");
                    go.await();
                    throw new IllegalStateException("no such weights");
                },
                EngineOptions.queueing(1));
        while (!engine.status().equals(new EngineStatus.Starting("layer 1 of 2"))) {
            Thread.sleep(1);
        }
        assertThat(rejection(greedy(prompt(1), 1))).isInstanceOf(Reason.Unavailable.class);
        go.countDown();
        assertThatThrownBy(engine::awaitServing)
                .isInstanceOf(EngineFailedException.class)
                .hasMessage("no such weights");
        assertThat(engine.status()).isEqualTo(new EngineStatus.Failed("no such weights", EngineStatus.Fault.START));
        assertThat(rejection(greedy(prompt(1), 1))).isInstanceOf(Reason.Unavailable.class);
    }
}
