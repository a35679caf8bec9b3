package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheUsage;
import io.weft.cache.KvCache;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.Finished;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationEvent.PromptScored;
import io.weft.engine.GenerationEvent.TokenScore;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.GenerationRequest.StopTokens;
import io.weft.engine.Speculation.Lengths;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.DecodeLoad;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.Placements;
import io.weft.plan.placement.Planning;
import io.weft.plan.placement.Planning.Prediction;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.DraftPlanner;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.text.constraint.Constraint;
import io.weft.text.constraint.Vocabulary;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests whose steps check drafts, on small real models. */
class SpeculationTest {
    /** Only what hangs takes so long. */
    private static final Duration HANG = Duration.ofMinutes(10);

    private static final int BLOCK = SmallModel.BLOCK_TOKENS;

    /** Of a machine whose steps wait for the link. */
    private static final double FREE_ROWS = 0.001;

    /** The answers of plain decoding. */
    private final Map<GenerationRequest, Answer> answers = new ConcurrentHashMap<>();

    private final Counting counted = new Counting();
    private KvCache cache;
    private BatchingEngine drafting;
    private BatchingEngine plain;

    /** What steps have checked. */
    private static final class Counting implements StepObserver {
        private final AtomicLong passes = new AtomicLong();
        private final AtomicLong drafted = new AtomicLong();
        private final AtomicLong accepted = new AtomicLong();
        /** Index: drafted tokens of a sequence. */
        private final AtomicLongArray lengths = new AtomicLongArray(9);

        private final List<StepPlan> decodes = new CopyOnWriteArrayList<>();

        @Override
        public boolean timesNextStep() {
            return false;
        }

        @Override
        public void generated(int more, int checked, int right) {
            passes.addAndGet(more);
            drafted.addAndGet(checked);
            accepted.addAndGet(right);
        }

        @Override
        public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
            List<SequenceShape> sequences = plan.shape().sequences();
            sequences.forEach(sequence -> lengths.incrementAndGet(sequence.drafted()));
            if (sequences.stream().anyMatch(sequence -> sequence.drafted() > 0)) {
                assertThat(sequences).allMatch(sequence -> sequence.newTokens() == 1 + sequence.drafted());
            }
            if (sequences.stream().allMatch(sequence -> sequence.newTokens() == 1 + sequence.drafted())) {
                decodes.add(plan);
            }
        }

        /** The predicted time of its steps without prompts. */
        private double nanos(CostModel costs) {
            return decodes.stream().mapToDouble(costs::stepNanos).sum();
        }
    }

    private void start(SmallModel model, Speculation speculation) throws InterruptedException {
        drafting = model.serve(SpeculationTest::planning, counted, speculation, loaded -> cache = loaded);
        plain = new SmallModel(2 * SmallModel.CONTEXT_TOKENS, 2 * SmallModel.CONTEXT_TOKENS)
                .of(model.golden().getFileName().toString())
                .under(model.policy())
                .serve(SpeculationTest::planning, StepObserver.NONE, new Speculation.Off(), loaded -> {});
    }

    /** With all forms and copies, and times that say that rows are free. */
    private static Supplier<Planning> planning(CacheGeometry geometry) {
        return planning(geometry, FREE_ROWS);
    }

    private static HardwareProfile machine(double otherFactor) {
        return Profiles.machine(1, 1, otherFactor);
    }

    /** @param otherFactor of what rows cost */
    private static Supplier<Planning> planning(CacheGeometry geometry, double otherFactor) {
        CostModel costs = new CostModel(machine(otherFactor), geometry);
        Placements placements = new Placements(costs, new DecodeLoad(4, SmallModel.CONTEXT_TOKENS, 64));
        StepPlanner planner = new StepPlanner(geometry, Schedule.CHUNKED, SmallModel.STAGING_BYTES, 64, 3);
        Planning planning = new Planning(
                planner,
                Prediction.of(costs),
                (occupancy, tokens) -> placements.admission(occupancy, tokens).orAnyOther(geometry),
                Optional.of(new MovePlanner(costs, 64)),
                Optional.of(new DraftPlanner(costs, shape -> planner)));
        return () -> planning;
    }

    @AfterEach
    void nobodyHoldsAnything() throws InterruptedException {
        drafting.drain(HANG);
        CacheUsage usage = cache.usage().withoutCopies();
        assertThat(List.of(usage.open(), usage.device(), usage.host())).allMatch(pool -> pool.usedBytes() == 0);
        drafting.close();
        plain.close();
    }

    /** All that a request tells of its answer, but for the passes that made it. */
    private record Answer(
            List<Integer> tokens,
            List<Optional<TokenScore>> scores,
            List<TokenScore> promptScores,
            Optional<GenerationEvent> end) {
        static Answer of(List<GenerationEvent> events) {
            List<Generated> generated = events.stream()
                    .filter(Generated.class::isInstance)
                    .map(Generated.class::cast)
                    .toList();
            return new Answer(
                    generated.stream().map(Generated::token).toList(),
                    generated.stream().map(Generated::score).toList(),
                    events.stream()
                            .filter(PromptScored.class::isInstance)
                            .flatMap(event -> ((PromptScored) event).scores().stream())
                            .toList(),
                    events.stream().filter(Finished.class::isInstance).findFirst());
        }

        /** What is told of it until so many tokens. */
        Answer first(int most) {
            return new Answer(tokens.subList(0, most), scores.subList(0, most), promptScores, Optional.empty());
        }
    }

    private Answer expected(GenerationRequest request) {
        return answers.computeIfAbsent(
                request,
                one -> Answer.of(plain.generate(one).collect().asList().await().atMost(HANG)));
    }

    /** Knows the answer, and is right as often as it likes. */
    private final class Driven implements Drafter {
        private final List<Integer> answer;
        private final Random random;
        private final double right;
        private int appended;

        Driven(GenerationRequest request) {
            this.answer = expected(request).tokens();
            this.random = new Random(request.sampling().seed());
            this.right = List.of(0.0, 0.5, 0.8, 0.95, 1.0).get(random.nextInt(5));
        }

        @Override
        public List<Integer> draft(int most) {
            List<Integer> draft = new ArrayList<>();
            int length = random.nextInt(most + 1);
            for (int at = appended; draft.size() < length; at++) {
                boolean isKnown = at < answer.size() && random.nextDouble() < right;
                draft.add(isKnown ? answer.get(at) : random.nextInt(384));
            }
            return draft;
        }

        @Override
        public void append(int token) {
            assertThat(token).isEqualTo(answer.get(appended++));
        }
    }

    /** Requests of which many begin like others. */
    private static final class Requests {
        private final Random random;
        private final Vocabulary vocabulary = Vocabulary.of(
                IntStream.range(0, 384)
                        .mapToObj(token -> token < 3 ? new byte[0] : new byte[] {(byte) ('a' + token % 26)})
                        .toList(),
                Set.of(2));
        private final List<List<Integer>> known = new ArrayList<>(List.of(List.of()));

        Requests(long seed) {
            this.random = new Random(seed);
        }

        void grow(List<Integer> prompt, List<Integer> answer) {
            List<Integer> tokens = new ArrayList<>(prompt);
            tokens.addAll(answer);
            known.add(tokens);
        }

        private List<Integer> prompt() {
            List<Integer> parent = known.get(random.nextInt(known.size()));
            int edge = BLOCK * random.nextInt(parent.size() / BLOCK + 1) + random.nextInt(3) - 1;
            List<Integer> tokens =
                    new ArrayList<>(parent.subList(0, Math.min(250, Math.clamp(edge, 0, parent.size()))));
            random.ints(1 + random.nextInt(40), 3, 384).forEach(tokens::add);
            return tokens;
        }

        GenerationRequest next() {
            int newTokens = 1 + random.nextInt(90);
            SamplingParameters sampling = new SamplingParameters(
                    random.nextInt(2) * (0.3 + random.nextDouble()),
                    0.95,
                    random.nextInt(2) * 40,
                    0,
                    random.nextInt(2),
                    random.nextInt(2) * 0.5,
                    1 + random.nextInt(2) * 0.3,
                    random.nextBoolean() ? Map.of() : Map.of(5 + random.nextInt(300), 4.0),
                    random.nextLong());
            boolean isConstrained = random.nextInt(5) == 0;
            // Some of them end a text of random tokens after a while.
            Set<Integer> stops = Set.copyOf(
                    random.ints(12L * random.nextInt(2), 3, 384).boxed().toList());
            return new GenerationRequest(
                    prompt(),
                    newTokens,
                    sampling,
                    EndTokens.STOP,
                    random.nextInt(3) == 0 ? OptionalInt.of(2) : OptionalInt.empty(),
                    random.nextInt(8) == 0 ? OptionalInt.of(1) : OptionalInt.empty(),
                    RequestTerms.USUAL,
                    new StopTokens(isConstrained ? Set.of() : stops, random.nextInt(2) * random.nextInt(30)),
                    isConstrained ? Optional.of(Constraint.regex("([a-m][n-z]){2,20}", vocabulary)) : Optional.empty());
        }
    }

    /**
     * Every length of drafts, however many of their tokens are right; alone and in batches, with hits, cancels and
     * preemption, and memory for much or little.
     */
    @ParameterizedTest
    @CsvSource({
        "1, opt, EXACT, 100, 1000",
        "2, opt, EXACT, 12, 38",
        "3, opt, EXACT, 0, 60",
        "4, cohere2, EXACT, 120, 200",
        "5, gemma3, EXACT, 80, 40",
        "6, llama3-gqa, EXACT, 60, 60",
        "7, opt, FP8, 12, 38",
        "8, llama3-gqa, INT4, 20, 40"
    })
    void answersAreThoseOfPlainDecoding(long seed, String model, CachePolicy policy, int deviceBlocks, int hostBlocks)
            throws Exception {
        start(
                SmallModel.keeping(SmallModel.SEATS, deviceBlocks * BLOCK, hostBlocks * BLOCK)
                        .of(model)
                        .under(policy),
                new Speculation.Drafting(Driven::new, Lengths.ALL));
        Requests requests = new Requests(seed);
        Semaphore atOnce = new Semaphore(2 * SmallModel.SEATS);
        List<CompletableFuture<Void>> all = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            GenerationRequest request = requests.next();
            Answer expected = expected(request);
            requests.grow(request.promptTokens(), expected.tokens());
            int most = requests.random.nextInt(6) == 0
                    ? 1 + requests.random.nextInt(request.maxNewTokens())
                    : Integer.MAX_VALUE;
            atOnce.acquire();
            CompletableFuture<Void> ended = run(request, most, expected);
            all.add(ended);
            var _ = ended.whenComplete((nothing, failure) -> atOnce.release());
        }
        for (CompletableFuture<Void> one : all) {
            one.get();
        }
        for (int length = 0; length <= 8; length++) {
            assertThat(counted.lengths.get(length)).as("drafts of %d", length).isPositive();
        }
        assertThat(counted.accepted.get()).isBetween(1L, counted.drafted.get() - 1);
    }

    /** Fails unless the answer, or as much of it as comes before it is cancelled, is the expected one. */
    private CompletableFuture<Void> run(GenerationRequest request, int most, Answer expected) {
        return CheckedRun.start(
                drafting,
                request,
                events -> events.getLast() instanceof Generated
                        && events.stream().filter(Generated.class::isInstance).count() == most,
                events -> assertThat(Answer.of(events)).isEqualTo(expected.first(most)),
                events -> {
                    assertThat(Answer.of(events)).isEqualTo(expected);
                    assertPasses(events);
                });
    }

    /** A pass has one token, and one more for each draft that was right. */
    private static void assertPasses(List<GenerationEvent> events) {
        int next = 0;
        for (GenerationEvent event : events) {
            if (event instanceof Generated generated) {
                GenerationEvent.Pass pass = generated.pass();
                assertThat(pass.index()).isIn(0, next);
                assertThat(pass.drafted()).isBetween(pass.index(), 8);
                next = pass.index() + 1;
            }
        }
    }

    private static GenerationRequest biased(List<Integer> prompt, int newTokens, Map<Integer, Double> bias) {
        return new GenerationRequest(
                prompt,
                newTokens,
                new SamplingParameters(0, 1, 0, 0, 0, 0, 1, bias, 1),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty());
    }

    private static List<Integer> random(Random random, int tokens) {
        return random.ints(tokens, 3, 384).boxed().toList();
    }

    /** A model of few tokens that goes round in circles, as it does in text that repeats. */
    @Test
    void textThatRepeatsHasTwoTokensAPassAndMore() throws Exception {
        for (Lengths lengths : Lengths.values()) {
            start(SmallModel.keeping(SmallModel.SEATS, 0, 200 * BLOCK), Speculation.ngrams(lengths));
            GenerationRequest request = biased(random(new Random(3), 30), 200, Map.of(7, 30.0));
            Answer expected = expected(request);
            long before = counted.passes.get();
            assertThat(drafted(request)).isEqualTo(expected);
            drafting.drain(HANG);
            assertThat(counted.passes.get() - before).as("passes").isLessThan(100);
            nobodyHoldsAnything();
        }
    }

    /** In the predicted time of the steps that ran, whether rows are free or all that a step does. */
    @ParameterizedTest
    @ValueSource(doubles = {FREE_ROWS, 5, 1_000})
    void textThatDoesNotRepeatCostsLessThanTwoPercent(double otherFactor) throws Exception {
        SmallModel model = SmallModel.keeping(SmallModel.SEATS, 0, 200 * BLOCK);
        Counting plainly = new Counting();
        Function<CacheGeometry, Supplier<Planning>> planning = geometry -> planning(geometry, otherFactor);
        drafting = model.serve(planning, counted, Speculation.ngrams(Lengths.PLANNED), loaded -> cache = loaded);
        plain = model.serve(planning, plainly, new Speculation.Off(), loaded -> {});
        Random random = new Random(4);
        // Of so few tokens that n-grams come again. What follows them is chance.
        Map<Integer, Double> few =
                IntStream.range(100, 140).boxed().collect(Collectors.toMap(token -> token, _ -> 60.0));
        for (int i = 0; i < 4; i++) {
            GenerationRequest request = new GenerationRequest(
                    random.ints(200, 100, 140).boxed().toList(),
                    100,
                    new SamplingParameters(2, 1, 0, 0, 0, 0, 1, few, i),
                    EndTokens.IGNORE,
                    OptionalInt.empty(),
                    OptionalInt.empty());
            assertThat(drafted(request)).isEqualTo(expected(request));
        }
        drafting.drain(HANG);
        plain.drain(HANG);
        CostModel costs = new CostModel(machine(otherFactor), cache.geometry());
        // A row that is right less often than one time in 32 is not run, and one time in 40 these are.
        assertThat(counted.drafted.get() - counted.accepted.get())
                .as("wrong rows")
                .isLessThan(counted.passes.get() / 4);
        assertThat(counted.nanos(costs)).as("predicted time").isLessThan(1.02 * plainly.nanos(costs));
    }

    private Answer drafted(GenerationRequest request) {
        return Answer.of(drafting.generate(request).collect().asList().await().atMost(HANG));
    }

    /** A document that is quoted, or has a change every twelve tokens, as code that is edited; a constraint says so. */
    @ParameterizedTest
    @ValueSource(ints = {Integer.MAX_VALUE, 12})
    void textThatCopiesHasTwoTokensAPassAndMore(int tokensUntouched) throws Exception {
        start(SmallModel.keeping(SmallModel.SEATS, 0, 200 * BLOCK), Speculation.ngrams(Lengths.PLANNED));
        // So that a text is written in one way.
        List<byte[]> bytes = IntStream.range(0, 384)
                .mapToObj(token -> token < ' ' || token > '~' ? new byte[0] : new byte[] {(byte) token})
                .toList();
        Random random = new Random(6);
        List<Integer> document = random.ints(180, ' ', '~' + 1).boxed().toList();
        StringBuilder answer = new StringBuilder();
        for (int i = 0; i < document.size(); i++) {
            boolean isChanged = (i + 1) % tokensUntouched == 0;
            int token = isChanged ? random.nextInt(' ', '~' + 1) : document.get(i);
            answer.append((char) token);
        }
        GenerationRequest request = new GenerationRequest(
                document,
                document.size(),
                new SamplingParameters(1, 1, 0, 0, 0, 0, 1, Map.of(), 7),
                EndTokens.STOP,
                OptionalInt.empty(),
                OptionalInt.empty(),
                RequestTerms.USUAL,
                StopTokens.NONE,
                Optional.of(Constraint.choice(List.of(answer.toString()), Vocabulary.of(bytes, Set.of(2)))));
        assertThat(drafted(request)).isEqualTo(expected(request));
        drafting.drain(HANG);
        assertThat(expected(request).tokens()).hasSize(document.size());
        assertThat(counted.passes.get()).as("passes").isLessThan(document.size() / 2);
    }

    /** Right from the first token on, which no n-gram could be. */
    @Test
    void whatARequestPredictsIsDrafted() throws Exception {
        start(SmallModel.keeping(SmallModel.SEATS, 0, 200 * BLOCK), Speculation.ngrams(Lengths.ALL));
        List<Integer> prompt = random(new Random(5), 50);
        GenerationRequest request = new GenerationRequest(
                prompt,
                60,
                new SamplingParameters(1, 1, 0, 0, 0, 0, 1, Map.of(), 9),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty());
        Answer expected = expected(request);
        GenerationRequest predicted = new GenerationRequest(
                prompt,
                60,
                request.sampling(),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty(),
                RequestTerms.USUAL,
                StopTokens.NONE,
                Optional.empty(),
                expected.tokens());
        List<GenerationEvent> events =
                drafting.generate(predicted).collect().asList().await().atMost(HANG);
        assertThat(Answer.of(events)).isEqualTo(expected);
        assertThat(events.stream().filter(Admitted.class::isInstance)).hasSize(1);
        assertThat(counted.accepted.get()).isGreaterThan(45);
    }

    /** Nobody gives up anything for drafts. */
    @Test
    void draftsTakeNoMemoryFromOthers() throws Exception {
        SmallModel model = new SmallModel(0, 30 * BLOCK);
        plain = model.serve(SpeculationTest::hostOnly, StepObserver.NONE, new Speculation.Off(), loaded -> {});
        drafting = model.serve(
                SpeculationTest::hostOnly,
                counted,
                new Speculation.Drafting(Driven::new, Lengths.ALL),
                loaded -> cache = loaded);
        List<GenerationRequest> requests = IntStream.range(0, 3)
                .mapToObj(i -> biased(random(new Random(i), 40), 100, Map.of()))
                .toList();
        List<Answer> expected = requests.stream().map(this::expected).toList();
        List<CompletableFuture<Void>> all = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
            all.add(run(requests.get(i), Integer.MAX_VALUE, expected.get(i)));
        }
        for (CompletableFuture<Void> one : all) {
            one.get();
        }
        assertThat(drafting.preemptions()).isZero();
    }

    private static Supplier<Planning> hostOnly(CacheGeometry geometry) {
        Planning planning = Planning.fixed(
                new StepPlanner(geometry, Schedule.CHUNKED, SmallModel.STAGING_BYTES, 64, 3),
                (block, promptTokens) -> List.of(CacheForm.HOST_KV));
        return () -> planning;
    }
}
