package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.mutiny.helpers.test.AssertSubscriber;
import io.weft.cache.CacheUsage;
import io.weft.cache.KvCache;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.device.cpu.FaultyDevice;
import io.weft.device.cpu.FaultyDevice.Fault;
import io.weft.device.cpu.FaultyDevice.Kind;
import io.weft.engine.EngineOptions.Scheduling;
import io.weft.engine.GenerationEvent.Finished;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.placement.Planning;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlanner;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/**
 * Episodes of an engine on a device that fails on purpose, with clients that come, go, read slowly and ask for what
 * there is not. An episode follows from its seed, which a failure names. After each, every request has the bits that it
 * has alone or an error, the engine tells the truth about itself, and nothing is left: no memory, no thread.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class FailingDeviceTest {
    private static final int SHORT_RUN = 150;
    private static final int SOAK = Integer.getInteger("weft.soak.episodes", 10_000);
    /** Where a soak begins, so that several processes may share it. */
    private static final int FIRST = Integer.getInteger("weft.soak.first", 0);

    /** Replays one episode. */
    private static final Long SEED = Long.getLong("weft.soak.seed");

    private static final int REQUEST_KINDS = 24;
    private static final int OPERATIONS_MOST = 4000;
    private static final Duration STEP_TIMEOUT = Duration.ofSeconds(60);
    private static final CpuOptions OPTIONS = new CpuOptions(64 << 20, 64 << 20, OptionalDouble.empty(), 1);

    private final List<GenerationRequest> kinds = new ArrayList<>();
    private final List<List<Integer>> right = new ArrayList<>();
    private Set<String> threadsBefore = Set.of();

    /** The tokens of each kind of request, from a healthy device and one by one. */
    @BeforeAll
    void runAlone() throws InterruptedException {
        threadsBefore = threads();
        Random random = new Random(7);
        for (int i = 0; i < REQUEST_KINDS; i++) {
            kinds.add(kind(random));
        }
        BatchingEngine engine = new BatchingEngine(
                phase -> new SmallModel(0, 1024)
                        .load(new CpuDevice(OPTIONS), FailingDeviceTest::chunked, StepObserver.NONE, () -> {}),
                EngineOptions.queueing(1));
        engine.awaitServing();
        for (GenerationRequest kind : kinds) {
            right.add(tokens(engine.generate(kind).collect().asList().await().indefinitely()));
        }
        engine.close();
    }

    private static GenerationRequest kind(Random random) {
        SamplingParameters sampling = random.nextBoolean()
                ? SamplingParameters.greedy()
                : new SamplingParameters(0.9, 0.9, 40, 0, 0.2, 0.1, 1.1, Map.of(9, 3.0), random.nextLong());
        int promptTokens = 1 + random.nextInt(random.nextBoolean() ? 8 : 150);
        return new GenerationRequest(
                IntStream.range(0, promptTokens)
                        .mapToObj(i -> 3 + random.nextInt(380))
                        .toList(),
                1 + random.nextInt(40),
                sampling,
                EndTokens.IGNORE,
                OptionalInt.empty(),
                random.nextInt(6) == 0 ? OptionalInt.of(1) : OptionalInt.empty());
    }

    private static List<Integer> tokens(List<GenerationEvent> events) {
        return events.stream()
                .filter(Generated.class::isInstance)
                .map(event -> ((Generated) event).token())
                .toList();
    }

    private static java.util.function.Supplier<Planning> chunked(CacheGeometry geometry) {
        return planned(geometry, block -> block % 2 == 0 ? CacheForm.HOST_ACT : CacheForm.HOST_KV);
    }

    private static java.util.function.Supplier<Planning> planned(
            CacheGeometry geometry, java.util.function.IntFunction<CacheForm> form) {
        Planning planning = Planning.fixed(
                new StepPlanner(geometry, Schedule.CHUNKED, SmallModel.STAGING_BYTES, 64, 3),
                (block, promptTokens) -> List.of(form.apply(block)));
        return () -> planning;
    }

    private static Set<String> threads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(Thread::isAlive)
                .map(Thread::getName)
                .filter(name -> name.startsWith("weft-"))
                .collect(Collectors.toSet());
    }

    /** Threads end soon after they were told to. */
    @AfterAll
    void noThreadIsLeft() throws InterruptedException {
        while (!threadsBefore.containsAll(threads())) {
            Thread.sleep(1);
        }
    }

    @Test
    void everyRequestGetsItsBitsOrAnError() throws InterruptedException {
        run(0, SHORT_RUN);
    }

    @Test
    @Tag("soak")
    void soak() throws InterruptedException {
        run(FIRST, SOAK);
    }

    private void run(int first, int episodes) throws InterruptedException {
        if (SEED != null) {
            new Episode(SEED).run();
            return;
        }
        Map<Kind, Integer> occurred = new java.util.EnumMap<>(Kind.class);
        for (long seed = first; seed < first + episodes; seed++) {
            Episode episode = new Episode(seed);
            try {
                episode.run();
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError(
                        "episode %d (%s); to replay it: -Dweft.soak.seed=%d".formatted(seed, episode.fault, seed), e);
            }
            if (episode.device.occurred()) {
                occurred.merge(episode.fault.kind(), 1, Integer::sum);
            }
        }
        // Each kind of fault must have occurred, or the episodes show nothing.
        assertThat(occurred.keySet()).containsAll(faults());
    }

    private static Set<Kind> faults() {
        Set<Kind> faults = java.util.EnumSet.allOf(Kind.class);
        faults.remove(Kind.NOTHING);
        return faults;
    }

    /** A client's request, and what became of it. */
    private record Asked(int kind, AssertSubscriber<GenerationEvent> events, boolean leaves) {}

    private final class Episode {
        private final Random random;
        private final Fault fault;
        private final FaultyDevice device;
        private final AtomicLong clockNanos = new AtomicLong();
        private final AtomicBoolean closed = new AtomicBoolean();
        private final List<Asked> asked = new ArrayList<>();
        private Optional<KvCache> cache = Optional.empty();

        Episode(long seed) {
            this.random = new Random(seed * 0x9E3779B97F4A7C15L);
            Kind kind = Kind.values()[random.nextInt(Kind.values().length)];
            int most = switch (kind) {
                case NO_MEMORY -> 8;
                case POISONS -> 20;
                case FLIPS -> OPERATIONS_MOST / 10;
                default -> OPERATIONS_MOST;
            };
            this.fault = new Fault(kind, 1 + random.nextInt(1 + random.nextInt(most)));
            this.device = new FaultyDevice(OPTIONS, fault);
        }

        void run() throws InterruptedException {
            boolean onDevice = random.nextInt(3) == 0;
            SmallModel model = onDevice ? new SmallModel(1024, 0) : new SmallModel(0, 512 + random.nextInt(1024));
            BatchingEngine engine = new BatchingEngine(
                    phase -> {
                        EngineRuntime runtime = model.load(
                                device,
                                onDevice
                                        ? geometry -> planned(geometry, block -> CacheForm.DEVICE_KV)
                                        : FailingDeviceTest::chunked,
                                StepObserver.NONE,
                                () -> closed.set(true));
                        cache = Optional.of(runtime.cache());
                        return runtime;
                    },
                    new EngineOptions(8, Scheduling.FAIR, STEP_TIMEOUT),
                    clockNanos::get);
            try {
                engine.awaitServing();
                ask(engine);
                awaitEnds();
                check(engine);
            } catch (EngineFailedException e) {
                assertThat(fault.kind()).isEqualTo(Kind.NO_MEMORY);
                assertThat(e).hasMessageContaining("injected");
            } finally {
                engine.close();
                device.release();
            }
            // The engine's thread ends once what hung has ended.
            while (fault.kind() != Kind.NO_MEMORY && !closed.get()) {
                Thread.sleep(1);
            }
        }

        private void ask(BatchingEngine engine) {
            int requests = 1 + random.nextInt(14);
            for (int i = 0; i < requests; i++) {
                int kind = random.nextInt(REQUEST_KINDS);
                GenerationRequest request = kinds.get(kind);
                boolean lies = random.nextInt(8) == 0;
                boolean leaves = random.nextInt(5) == 0;
                long demand = random.nextInt(4) == 0 ? 1 + random.nextInt(5) : Long.MAX_VALUE;
                AssertSubscriber<GenerationEvent> events = engine.generate(lies ? lie(request) : of(i % 3, request))
                        .subscribe()
                        .withSubscriber(AssertSubscriber.create(demand));
                if (lies) {
                    events.awaitFailure(HANG);
                    assertThat(events.getFailure()).isInstanceOf(RequestRejectedException.class);
                    continue;
                }
                asked.add(new Asked(kind, events, leaves));
                if (leaves) {
                    events.cancel();
                }
            }
        }

        private static GenerationRequest of(int client, GenerationRequest request) {
            return new GenerationRequest(
                    request.promptTokens(),
                    request.maxNewTokens(),
                    request.sampling(),
                    request.endTokens(),
                    request.logprobs(),
                    request.promptLogprobs(),
                    new RequestTerms("client " + client, 0, Optional.empty()));
        }

        private GenerationRequest lie(GenerationRequest request) {
            return new GenerationRequest(
                    random.nextBoolean() ? List.of(384 + random.nextInt(1000)) : request.promptTokens(),
                    random.nextBoolean() ? SmallModel.CONTEXT_TOKENS : Integer.MAX_VALUE,
                    request.sampling(),
                    request.endTokens(),
                    request.logprobs(),
                    request.promptLogprobs());
        }

        /** The clock stands still but for a device that hangs: a busy machine must not look like one. */
        private void awaitEnds() throws InterruptedException {
            for (Asked one : asked) {
                if (!one.leaves()) {
                    one.events().request(Long.MAX_VALUE);
                }
            }
            while (!asked.stream().allMatch(one -> one.leaves() || isOver(one.events()))) {
                if (fault.kind() == Kind.HANGS && device.occurred()) {
                    clockNanos.addAndGet(2 * STEP_TIMEOUT.toNanos());
                }
                Thread.sleep(1);
            }
        }

        private static boolean isOver(AssertSubscriber<?> events) {
            return events.hasCompleted() || events.getFailure() != null;
        }

        private void check(BatchingEngine engine) throws InterruptedException {
            boolean isFatal = switch (fault.kind()) {
                case NOTHING, LATE, POISONS, NO_GRAPHS, NO_MEMORY -> false;
                case REFUSED, FAILS, HANGS, FLIPS -> device.occurred();
            };
            for (Asked one : asked) {
                checkAnswer(one, isFatal);
            }
            if (asked.stream().anyMatch(one -> one.events().getFailure() instanceof EngineFailedException)) {
                checkFailed(engine);
            } else {
                engine.drain(HANG);
            }
            if (engine.status() instanceof EngineStatus.Draining) {
                CacheUsage usage = cache.orElseThrow().usage();
                assertThat(List.of(usage.open(), usage.device(), usage.host())).allMatch(pool -> pool.usedBytes() == 0);
            }
        }

        private void checkAnswer(Asked one, boolean isFatal) {
            List<GenerationEvent> events = one.events().getItems();
            List<Integer> expected = right.get(one.kind());
            assertThat(tokens(events))
                    .isEqualTo(expected.subList(0, tokens(events).size()));
            if (one.events().hasCompleted()) {
                assertThat(tokens(events)).isEqualTo(expected);
                assertThat(events.getLast()).isInstanceOf(Finished.class);
                return;
            }
            Throwable failure = one.events().getFailure();
            if (failure == null) {
                assertThat(one.leaves()).isTrue();
            } else if (failure instanceof NonFiniteLogitsException) {
                assertThat(fault.kind()).isEqualTo(Kind.POISONS);
            } else if (failure instanceof RequestRejectedException rejection) {
                assertThat(rejection.reason())
                        .isInstanceOfAny(Reason.QueueFull.class, Reason.Displaced.class, Reason.Unavailable.class);
                assertThat(rejection.reason() instanceof Reason.Unavailable && !isFatal)
                        .isFalse();
            } else {
                assertThat(isFatal).isTrue();
                assertThat(failure).isInstanceOf(EngineFailedException.class);
            }
        }

        /** It stays failed, says why, and takes nothing more. */
        private void checkFailed(BatchingEngine engine) throws InterruptedException {
            while (!(engine.status() instanceof EngineStatus.Failed)) {
                Thread.sleep(1);
            }
            EngineStatus.Failed failed = (EngineStatus.Failed) engine.status();
            if (fault.kind() == Kind.HANGS) {
                assertThat(failed.fault()).isEqualTo(EngineStatus.Fault.HANG);
                assertThat(failed.cause()).containsPattern("\"(link in|compute|link out)\"");
            } else {
                assertThat(failed.fault()).isEqualTo(EngineStatus.Fault.DEVICE);
                assertThat(failed.cause()).contains("injected");
            }
            AssertSubscriber<GenerationEvent> late =
                    engine.generate(kinds.getFirst()).subscribe().withSubscriber(AssertSubscriber.create(1));
            late.awaitFailure(HANG);
            assertThat(late.getFailure()).isInstanceOf(RequestRejectedException.class);
            engine.drain(HANG);
            assertThat(engine.status()).isEqualTo(failed);
        }
    }

    private static final Duration HANG = Duration.ofMinutes(10);
}
