package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.mutiny.helpers.test.AssertSubscriber;
import io.weft.cache.KvCache;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.engine.EngineOptions.Scheduling;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.placement.Planning;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Planner;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Who runs when, counted in steps; and whose fault a fault is. */
class FairnessTest {
    private static final Duration HANG = Duration.ofMinutes(10);

    private final AtomicLong clockNanos = new AtomicLong();
    private final AtomicInteger steps = new AtomicInteger();
    private final CompletableFuture<Void> inStep = new CompletableFuture<>();
    private final CompletableFuture<Void> go = new CompletableFuture<>();
    private final List<String> order = new CopyOnWriteArrayList<>();
    private Consumer<StepPlan> onStep = plan -> {};
    private Function<CacheGeometry, Planning> planning = FairnessTest::usual;
    private KvCache cache;
    private BatchingEngine engine;

    private static Planning usual(CacheGeometry geometry) {
        return Planning.fixed(planner(geometry), (block, prompt) -> List.of(CacheForm.HOST_KV));
    }

    private static StepPlanner planner(CacheGeometry geometry) {
        return new StepPlanner(geometry, Schedule.CHUNKED, SmallModel.STAGING_BYTES, 64, 3);
    }

    /** An engine in its first step, of one request, which waits for {@link #go}. */
    private void start(int queueLimit, Scheduling scheduling) throws InterruptedException {
        engine = new BatchingEngine(
                phase -> {
                    EngineRuntime runtime = new SmallModel(0, SmallModel.SEATS * SmallModel.CONTEXT_TOKENS)
                            .load(
                                    new CpuDevice(new CpuOptions(64 << 20, 64 << 20, OptionalDouble.empty(), 1)),
                                    geometry -> {
                                        Planning fixed = planning.apply(geometry);
                                        return () -> fixed;
                                    },
                                    new Steps(),
                                    () -> {});
                    cache = runtime.cache();
                    return runtime;
                },
                new EngineOptions(queueLimit, scheduling, HANG),
                clockNanos::get);
        engine.awaitServing();
        ask(request(1, 1, RequestTerms.USUAL));
        inStep.join();
    }

    private final class Steps implements StepObserver {
        @Override
        public boolean timesNextStep() {
            inStep.complete(null);
            go.join();
            return false;
        }

        @Override
        public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
            steps.incrementAndGet();
            onStep.accept(plan);
        }
    }

    @AfterEach
    void nothingIsLeft() throws InterruptedException {
        go.complete(null);
        engine.drain(HANG);
        assertThat(cache.usage().open().usedBytes()).isZero();
        assertThat(cache.usage().host().usedBytes()).isZero();
        engine.close();
    }

    private static GenerationRequest request(int promptTokens, int newTokens, RequestTerms terms) {
        return new GenerationRequest(
                IntStream.range(0, promptTokens).mapToObj(i -> 3 + i * 7 % 380).toList(),
                newTokens,
                SamplingParameters.greedy(),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty(),
                terms);
    }

    private static RequestTerms of(String client) {
        return new RequestTerms(client, 0, Optional.empty());
    }

    private AssertSubscriber<GenerationEvent> ask(GenerationRequest request) {
        return engine.generate(request).subscribe().withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
    }

    /** Notes when it was admitted, and the steps until its first token. */
    private CompletableFuture<Integer> stepsToFirstToken(String name, GenerationRequest request) {
        CompletableFuture<Integer> first = new CompletableFuture<>();
        engine.generate(request).subscribe().with(event -> {
            if (event instanceof Admitted) {
                order.add(name);
            }
            if (event instanceof Generated) {
                first.complete(steps.get());
            }
        });
        return first;
    }

    /** One step runs while all of them arrive. */
    @Test
    void aShortPromptWaitsForNoLongOnes() throws InterruptedException {
        start(128, Scheduling.FAIR);
        List<AssertSubscriber<GenerationEvent>> longOnes = IntStream.range(0, 100)
                .mapToObj(i -> ask(request(300, 3, RequestTerms.USUAL)))
                .toList();
        CompletableFuture<Integer> first = stepsToFirstToken("short", request(5, 3, RequestTerms.USUAL));
        go.complete(null);
        assertThat(first.join()).isLessThanOrEqualTo(2);
        longOnes.forEach(one -> one.awaitCompletion(HANG));
    }

    /**
     * A step has 64 rows, so 300 tokens take five steps alone, and at most ten beside others, after the one that runs
     * when they come.
     */
    @Test
    void aLongPromptTakesAtMostTwiceAsLongBesideShortOnes() throws InterruptedException {
        start(256, Scheduling.FAIR);
        CompletableFuture<Integer> first = stepsToFirstToken("long", request(300, 1, RequestTerms.USUAL));
        List<AssertSubscriber<GenerationEvent>> shortOnes = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            shortOnes.add(ask(request(30, 1, of("another"))));
        }
        go.complete(null);
        assertThat(first.join()).isLessThanOrEqualTo(1 + 10);
        shortOnes.forEach(one -> one.awaitCompletion(HANG));
    }

    @Test
    void aClientsManyRequestsLeaveTurnsToTheOthers() throws InterruptedException {
        start(256, Scheduling.FAIR);
        for (int i = 0; i < 96; i++) {
            var _ = stepsToFirstToken("many", request(20, 30, of("many")));
        }
        var _ = stepsToFirstToken("one", request(20, 3, of("one")));
        var _ = stepsToFirstToken("another", request(20, 3, of("another")));
        go.complete(null);
        engine.drain(HANG);
        assertThat(order.indexOf("one")).isLessThan(3);
        assertThat(order.indexOf("another")).isLessThan(3);
        assertThat(order).hasSize(98);
    }

    @Test
    void aFullQueueGivesWayToAnotherClient() throws InterruptedException {
        start(8, Scheduling.FAIR);
        List<AssertSubscriber<GenerationEvent>> many = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            many.add(ask(request(20, 2, of("many"))));
        }
        AssertSubscriber<GenerationEvent> other = ask(request(20, 2, of("other")));
        go.complete(null);
        other.awaitCompletion(HANG);
        engine.drain(HANG);
        List<Class<?>> refusals = many.stream()
                .filter(one -> one.getFailure() instanceof RequestRejectedException)
                .<Class<?>>map(one ->
                        ((RequestRejectedException) one.getFailure()).reason().getClass())
                .toList();
        assertThat(refusals).contains(Reason.QueueFull.class).containsOnlyOnce(Reason.Displaced.class);
        assertThat(many.stream().filter(AssertSubscriber::hasCompleted)).hasSize(40 - refusals.size());
    }

    @Test
    void prioritiesAreRefusedUnlessTheyAreAskedFor() throws InterruptedException {
        start(8, Scheduling.FAIR);
        go.complete(null);
        AssertSubscriber<GenerationEvent> refused = ask(request(3, 1, new RequestTerms("", -1, Optional.empty())));
        refused.awaitFailure(HANG);
        assertThat(refused.getFailure()).hasMessageContaining("priority is -1").hasMessageContaining("weft.scheduling");
    }

    @Test
    void theLowestPriorityRunsFirst() throws InterruptedException {
        start(64, Scheduling.PRIORITY);
        for (int priority = 9; priority >= -9; priority--) {
            var _ = stepsToFirstToken("" + priority, request(40, 2, new RequestTerms("", priority, Optional.empty())));
        }
        go.complete(null);
        engine.drain(HANG);
        assertThat(order.stream().map(Integer::parseInt)).isSorted().hasSize(19);
    }

    @Test
    void whatTakesLongerThanItsTimeoutEndsWaitingOrRunning() throws InterruptedException {
        start(64, Scheduling.FAIR);
        RequestTerms hour = new RequestTerms("", 0, Optional.of(Duration.ofHours(1)));
        onStep = plan -> {
            if (steps.get() == 5) {
                clockNanos.addAndGet(Duration.ofHours(2).toNanos());
            }
        };
        List<AssertSubscriber<GenerationEvent>> timed =
                IntStream.range(0, 7).mapToObj(i -> ask(request(20, 300, hour))).toList();
        AssertSubscriber<GenerationEvent> patient = ask(request(20, 30, RequestTerms.USUAL));
        go.complete(null);
        for (AssertSubscriber<GenerationEvent> one : timed) {
            one.awaitFailure(HANG);
            assertThat(((RequestRejectedException) one.getFailure()).reason()).isInstanceOf(Reason.TimedOut.class);
            assertThat(one.getFailure()).hasMessageContaining("timeout of 3600 s");
        }
        patient.awaitCompletion(HANG);
    }

    /** Its requests get the error, and the next step is planned again. */
    @Test
    void aPlanThatCannotBeMadeEndsItsRequestsAlone() throws InterruptedException {
        planning = geometry -> {
            StepPlanner real = planner(geometry);
            Planner failing = new Planner() {
                @Override
                public StepPlan plan(StepShape shape) {
                    if (steps.get() == 3) {
                        steps.incrementAndGet();
                        throw new NullPointerException("no plan");
                    }
                    return real.plan(shape);
                }

                @Override
                public int chunkTokens() {
                    return real.chunkTokens();
                }
            };
            return Planning.fixed(failing, (block, prompt) -> List.of(CacheForm.HOST_KV));
        };
        start(64, Scheduling.FAIR);
        go.complete(null);
        AssertSubscriber<GenerationEvent> hit = ask(request(10, 300, RequestTerms.USUAL));
        hit.awaitFailure(HANG);
        assertThat(hit.getFailure()).isInstanceOf(NullPointerException.class);
        ask(request(10, 20, RequestTerms.USUAL)).awaitCompletion(HANG);
        assertThat(engine.status()).isInstanceOf(EngineStatus.Serving.class);
    }

    @Test
    void anObserverThatFailsConcernsNobody() throws InterruptedException {
        onStep = plan -> {
            throw new IllegalStateException("not observed");
        };
        start(64, Scheduling.FAIR);
        go.complete(null);
        ask(request(10, 20, RequestTerms.USUAL)).awaitCompletion(HANG);
        assertThat(engine.status()).isInstanceOf(EngineStatus.Serving.class);
    }

    @Test
    void aPlacementThatFailsEndsItsRequestAlone() throws InterruptedException {
        planning = geometry -> Planning.fixed(planner(geometry), (block, prompt) -> {
            if (prompt == 33) {
                throw new IllegalStateException("no place");
            }
            return List.of(CacheForm.HOST_KV);
        });
        start(64, Scheduling.FAIR);
        go.complete(null);
        AssertSubscriber<GenerationEvent> hit = ask(request(33, 20, RequestTerms.USUAL));
        hit.awaitFailure(HANG);
        assertThat(hit.getFailure()).hasMessage("no place");
        ask(request(34, 20, RequestTerms.USUAL)).awaitCompletion(HANG);
    }

    /** A listener that throws whatever it is told. */
    @Test
    void aListenerThatFailsConcernsNobodyElse() throws InterruptedException {
        start(64, Scheduling.FAIR);
        CountDownLatch told = new CountDownLatch(3);
        for (int i = 0; i < 3; i++) {
            engine.generate(request(10 + i, 300, RequestTerms.USUAL))
                    .subscribe()
                    .withSubscriber(new Throwing(told));
        }
        AssertSubscriber<GenerationEvent> other = ask(request(10, 40, RequestTerms.USUAL));
        go.complete(null);
        other.awaitCompletion(HANG);
        told.await();
        assertThat(engine.status()).isInstanceOf(EngineStatus.Serving.class);
    }

    private record Throwing(CountDownLatch told) implements Flow.Subscriber<GenerationEvent> {
        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(GenerationEvent event) {
            told.countDown();
            throw new IllegalStateException("a listener that fails");
        }

        @Override
        public void onError(Throwable failure) {
            throw new IllegalStateException("a listener that fails");
        }

        @Override
        public void onComplete() {
            throw new IllegalStateException("a listener that fails");
        }
    }
}
