package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.smallrye.mutiny.helpers.test.AssertSubscriber;
import io.weft.cache.CacheUsage;
import io.weft.cache.KvCache;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.Finished;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationEvent.PromptScored;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.GenerationRequest.StopTokens;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.DecodeLoad;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.placement.Placements;
import io.weft.plan.placement.Planning;
import io.weft.plan.placement.Planning.Prediction;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Schedule;
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
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever of a prompt is cached, and whoever loses its place meanwhile: the answer is that of a cold run. */
class PrefixReuseTest {
    /** Only what hangs takes so long. */
    private static final Duration HANG = Duration.ofMinutes(10);

    private static final int BLOCK = SmallModel.BLOCK_TOKENS;
    private static final int SOAK = Integer.getInteger("weft.soak.requests", 10_000);
    private static final long SEED = Long.getLong("weft.soak.seed", 20_261_130);
    /** Many seats, so that requests that run at once need more than there is. */
    private static final int MANY = 64;

    private final AtomicInteger steps = new AtomicInteger();
    private final AtomicLong rows = new AtomicLong();
    private CachePolicy policy = CachePolicy.EXACT;
    private KvCache cache;
    private BatchingEngine engine;
    private BatchingEngine cold;

    private final class Counting implements StepObserver {
        @Override
        public boolean timesNextStep() {
            return false;
        }

        @Override
        public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
            steps.incrementAndGet();
            rows.addAndGet(plan.shape().rows());
        }
    }

    /** With all forms and copies, as for a machine whose link is slow. */
    private static Supplier<Planning> planning(CacheGeometry geometry) {
        CostModel costs = new CostModel(Profiles.machine(1, 1, 0.001), geometry);
        Placements placements = new Placements(costs, new DecodeLoad(4, SmallModel.CONTEXT_TOKENS, 64));
        Planning planning = new Planning(
                new StepPlanner(geometry, Schedule.CHUNKED, SmallModel.STAGING_BYTES, 64, 3),
                Prediction.of(costs),
                (occupancy, tokens) -> placements.admission(occupancy, tokens).orAnyOther(geometry),
                Optional.of(new MovePlanner(costs, 64)));
        return () -> planning;
    }

    /** Everything as K and V on the host, while there is memory for that. */
    private static Supplier<Planning> large(CacheGeometry geometry) {
        PlacementPolicy policy = (block, promptTokens) -> List.of(CacheForm.HOST_KV);
        Planning planning = Planning.fixed(
                new StepPlanner(geometry, Schedule.CHUNKED, SmallModel.STAGING_BYTES, 64, 3),
                policy.orAnyOther(geometry));
        return () -> planning;
    }

    private void start(int seats, int deviceBlocks, int hostBlocks) throws InterruptedException {
        start(seats, deviceBlocks, hostBlocks, PrefixReuseTest::planning);
    }

    private void start(
            int seats, int deviceBlocks, int hostBlocks, Function<CacheGeometry, Supplier<Planning>> planning)
            throws InterruptedException {
        engine = SmallModel.keeping(seats, deviceBlocks * BLOCK, hostBlocks * BLOCK)
                .under(policy)
                .serve(planning, new Counting(), new Speculation.Off(), loaded -> cache = loaded);
        cold = new SmallModel(0, 2 * SmallModel.CONTEXT_TOKENS)
                .under(policy)
                .serve(PrefixReuseTest::planning, StepObserver.NONE, new Speculation.Off(), loaded -> {});
    }

    @AfterEach
    void nobodyHoldsAnything() throws InterruptedException {
        engine.drain(HANG);
        CacheUsage usage = cache.usage().withoutCopies();
        assertThat(List.of(usage.open(), usage.device(), usage.host())).allMatch(pool -> pool.usedBytes() == 0);
        engine.close();
        if (cold != null) {
            cold.close();
        }
    }

    /** All that a request tells of its answer. */
    private record Answer(
            List<Generated> tokens, List<GenerationEvent.TokenScore> prompt, Optional<GenerationEvent> end) {
        static Answer of(List<GenerationEvent> events) {
            return new Answer(
                    events.stream()
                            .filter(Generated.class::isInstance)
                            .map(Generated.class::cast)
                            .toList(),
                    events.stream()
                            .filter(PromptScored.class::isInstance)
                            .flatMap(event -> ((PromptScored) event).scores().stream())
                            .toList(),
                    events.stream().filter(Finished.class::isInstance).findFirst());
        }

        List<Integer> tokenIds() {
            return tokens.stream().map(Generated::token).toList();
        }
    }

    private static Answer answer(BatchingEngine engine, GenerationRequest request) {
        return Answer.of(engine.generate(request).collect().asList().await().atMost(HANG));
    }

    private static GenerationRequest greedy(List<Integer> prompt, int newTokens, RequestTerms terms) {
        return new GenerationRequest(
                prompt,
                newTokens,
                SamplingParameters.greedy(),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty(),
                terms);
    }

    private static GenerationRequest greedy(List<Integer> prompt, int newTokens) {
        return greedy(prompt, newTokens, RequestTerms.USUAL);
    }

    private static List<Integer> prompt(int tokens, int first) {
        return IntStream.range(0, tokens)
                .map(i -> 3 + (first + i * 7) % 380)
                .boxed()
                .toList();
    }

    private static RequestTerms of(String owner, String salt) {
        return RequestTerms.USUAL.sharing(owner, salt);
    }

    private int hitOf(GenerationRequest request) {
        return engine.generate(request).collect().asList().await().atMost(HANG).stream()
                .filter(Admitted.class::isInstance)
                .mapToInt(event -> ((Admitted) event).hit().tokens())
                .sum();
    }

    /** Requests of which many begin like others: cut around the edges of blocks, and longer answers of earlier ones. */
    private static final class Tree {
        private static final List<String> OWNERS = List.of("", "", "a", "b");
        private static final List<String> SALTS = List.of("", "", "s");

        private final Random random;
        private final Vocabulary vocabulary;
        private final List<List<Integer>> known = new ArrayList<>();

        Tree(Random random, Vocabulary vocabulary) {
            this.random = random;
            this.vocabulary = vocabulary;
            known.add(List.of());
        }

        /** An answer that a later request may begin with. */
        synchronized void grow(List<Integer> tokens) {
            known.add(tokens);
        }

        private synchronized List<Integer> prompt() {
            List<Integer> parent = known.get(random.nextInt(known.size()));
            int edge = BLOCK * random.nextInt(parent.size() / BLOCK + 1) + random.nextInt(3) - 1;
            int kept = random.nextInt(3) == 0 ? parent.size() : Math.clamp(edge, 0, parent.size());
            List<Integer> tokens = new ArrayList<>(parent.subList(0, Math.min(kept, 300)));
            int more = random.nextInt(4) == 0 ? 0 : 1 + random.nextInt(random.nextBoolean() ? 70 : 3);
            random.ints(more, 3, 384).forEach(tokens::add);
            if (tokens.isEmpty()) {
                tokens.add(3 + random.nextInt(381));
            }
            known.add(tokens);
            return tokens;
        }

        private SamplingParameters sampling(long seed) {
            return random.nextInt(3) == 0
                    ? SamplingParameters.greedy()
                    : new SamplingParameters(
                            0.5 + random.nextDouble(),
                            0.9,
                            random.nextInt(2) * 40,
                            0,
                            random.nextInt(2),
                            random.nextInt(2) * 0.5,
                            1 + random.nextInt(2) * 0.3,
                            random.nextBoolean() ? Map.of() : Map.of(5 + random.nextInt(300), 4.0),
                            seed);
        }

        /** One request, or several choices of one prompt. */
        synchronized List<GenerationRequest> next() {
            List<Integer> prompt = prompt();
            int newTokens = random.nextInt(10) == 0 ? 0 : 1 + random.nextInt(60);
            OptionalInt logprobs = random.nextInt(3) == 0 ? OptionalInt.of(2) : OptionalInt.empty();
            OptionalInt promptLogprobs =
                    newTokens == 0 || random.nextInt(8) == 0 ? OptionalInt.of(1) : OptionalInt.empty();
            Optional<Constraint> constraint = newTokens > 0 && random.nextInt(6) == 0
                    ? Optional.of(Constraint.regex("([a-m][n-z]){2,20}", vocabulary))
                    : Optional.empty();
            RequestTerms terms = of(OWNERS.get(random.nextInt(OWNERS.size())), SALTS.get(random.nextInt(SALTS.size())));
            SamplingParameters sampling = sampling(random.nextLong());
            int choices = random.nextInt(6) == 0 ? 3 : 1;
            return IntStream.range(0, choices)
                    .mapToObj(choice -> new GenerationRequest(
                            prompt,
                            newTokens,
                            new SamplingParameters(
                                    sampling.temperature(),
                                    sampling.topP(),
                                    sampling.topK(),
                                    sampling.minP(),
                                    sampling.presencePenalty(),
                                    sampling.frequencyPenalty(),
                                    sampling.repetitionPenalty(),
                                    sampling.logitBias(),
                                    sampling.seed() + choice),
                            EndTokens.IGNORE,
                            logprobs,
                            promptLogprobs,
                            terms,
                            new StopTokens(Set.of(), 0),
                            constraint))
                    .toList();
        }
    }

    /** In twos and threes, some of which are cancelled after some tokens, and now and then all is forgotten. */
    private void grownTree(long seed, int requests, int seats, int deviceBlocks, int hostBlocks) throws Exception {
        start(seats, deviceBlocks, hostBlocks);
        Random random = new Random(seed);
        Tree tree = new Tree(random, letters());
        Semaphore atOnce = new Semaphore(2 * seats);
        AtomicLong hitTokens = new AtomicLong();
        List<CompletableFuture<Void>> all = new ArrayList<>();
        int asked = 0;
        while (asked < requests) {
            for (GenerationRequest request : tree.next()) {
                asked++;
                Answer expected = answer(cold, request);
                tree.grow(joined(request.promptTokens(), expected.tokenIds()));
                int most = random.nextInt(6) == 0 ? random.nextInt(1 + request.maxNewTokens()) : Integer.MAX_VALUE;
                atOnce.acquire();
                CompletableFuture<Void> ended = run(request, most, expected, hitTokens);
                all.add(ended);
                var _ = ended.whenComplete((nothing, failure) -> atOnce.release());
            }
            if (random.nextInt(200) == 0) {
                HeldTokens forgotten = engine.forget("", random.nextBoolean() ? Optional.empty() : Optional.of("s"))
                        .await()
                        .atMost(HANG);
                assertThat(forgotten.onDevice() + forgotten.onHost()).isNotNegative();
            }
        }
        for (CompletableFuture<Void> one : all) {
            one.get();
        }
        assertThat(hitTokens.get()).isPositive();
    }

    /** The model's tokens as letters; the first three are no text. */
    private static Vocabulary letters() {
        return Vocabulary.of(
                IntStream.range(0, 384)
                        .mapToObj(token -> token < 3 ? new byte[0] : new byte[] {(byte) ('a' + token % 26)})
                        .toList(),
                Set.of(2));
    }

    private static List<Integer> joined(List<Integer> prompt, List<Integer> answer) {
        List<Integer> tokens = new ArrayList<>(prompt);
        tokens.addAll(answer);
        return tokens;
    }

    /** Fails unless the answer, or as much of it as comes before it is cancelled, is the expected one. */
    private CompletableFuture<Void> run(GenerationRequest request, int most, Answer expected, AtomicLong hitTokens) {
        return CheckedRun.start(
                engine,
                request,
                events -> {
                    if (events.getLast() instanceof Admitted admitted) {
                        hitTokens.addAndGet(admitted.hit().tokens());
                    }
                    return events.size() == most;
                },
                events -> {
                    List<Generated> tokens = Answer.of(events).tokens();
                    assertThat(tokens).isEqualTo(expected.tokens().subList(0, tokens.size()));
                },
                events -> assertThat(Answer.of(events)).isEqualTo(expected));
    }

    /** Memory for everything; for two of four that run; and for a few of many. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void anAnswerHasTheBitsOfAColdRun(long seed) throws Exception {
        switch ((int) seed % 3) {
            case 0 -> grownTree(seed, 60, SmallModel.SEATS, 100, 1000);
            case 1 -> grownTree(seed, 60, SmallModel.SEATS, 12, 38);
            default -> grownTree(seed, 60, MANY, 20, 60);
        }
    }

    /** And what was stored, decoded, is what every row sees. */
    @ParameterizedTest
    @CsvSource({"7, FP8, 12, 38", "8, INT4, 12, 38"})
    void anAnswerUnderALossyPolicyHasTheBitsOfAColdRun(long seed, CachePolicy lossy, int deviceBlocks, int hostBlocks)
            throws Exception {
        policy = lossy;
        grownTree(seed, 40, MANY, deviceBlocks, hostBlocks);
    }

    @ParameterizedTest
    @EnumSource(
            value = CachePolicy.class,
            names = {"FP8", "INT4"})
    void whoLosesItsPlaceUnderALossyPolicyGoesOnWithTheSameBits(CachePolicy lossy) throws Exception {
        policy = lossy;
        int requests = 8;
        int newTokens = 60;
        // A third of what they need together.
        start(requests, 5, 13);
        List<CompletableFuture<List<GenerationEvent>>> asked = IntStream.range(0, requests)
                .mapToObj(i -> ask(greedy(prompt(50, 31 * i), newTokens)))
                .toList();
        for (int i = 0; i < requests; i++) {
            assertThat(Answer.of(asked.get(i).get())).isEqualTo(answer(cold, greedy(prompt(50, 31 * i), newTokens)));
        }
        assertThat(engine.preemptions()).isPositive();
    }

    @Test
    @Tag("soak")
    void anAnswerHasTheBitsOfAColdRunForLong() throws Exception {
        grownTree(SEED, SOAK / 2, SmallModel.SEATS, 12, 38);
        nobodyHoldsAnything();
        grownTree(SEED + 1, SOAK / 2, MANY, 20, 60);
    }

    /** All full blocks of a prompt but the one with its last token, which has to run. */
    @Test
    void aPromptIsComputedFromItsFirstUnknownBlockOn() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        for (int tokens : List.of(1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 1, 100)) {
            List<Integer> prompt = prompt(tokens, 11 * tokens);
            Answer expected = answer(cold, greedy(prompt, 3));
            assertThat(hitOf(greedy(prompt, 3))).isZero();
            awaitEndOfStep();
            rows.set(0);
            assertThat(hitOf(greedy(prompt, 3))).isEqualTo((tokens - 1) / BLOCK * BLOCK);
            awaitEndOfStep();
            // The last token is not run, since none follows.
            assertThat(rows).hasValue(tokens - (tokens - 1) / BLOCK * BLOCK + 2);
            assertThat(answer(engine, greedy(prompt, 3))).isEqualTo(expected);
        }
    }

    /** Whoever begins alike waits for the one that computes the beginning, and nobody else does. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4, 16})
    void choicesOfAPromptComputeItOnce(int choices) throws Exception {
        start(16, 0, 2000);
        List<Integer> prompt = prompt(381, 11);
        List<Integer> like = joined(prompt.subList(0, 200), prompt(100, 5));
        int newTokens = 3;
        Answer expected = answer(cold, greedy(prompt, newTokens));
        Answer expectedLike = answer(cold, greedy(like, newTokens));
        rows.set(0);
        List<CompletableFuture<List<GenerationEvent>>> all = new ArrayList<>();
        for (int choice = 0; choice < choices; choice++) {
            all.add(ask(greedy(prompt, newTokens)));
        }
        CompletableFuture<List<GenerationEvent>> likeThem = ask(greedy(like, newTokens));
        for (CompletableFuture<List<GenerationEvent>> one : all) {
            assertThat(Answer.of(one.get())).isEqualTo(expected);
        }
        assertThat(Answer.of(likeThem.get())).isEqualTo(expectedLike);
        awaitEndOfStep();
        int decoded = (choices + 1) * (newTokens - 1);
        int firstTokens = 381 + 300 - 200 / BLOCK * BLOCK;
        assertThat(rows).hasValue(firstTokens + (choices - 1) * (381 - 380 / BLOCK * BLOCK) + decoded);
    }

    /** If it ends before, the next one computes the rest, once. */
    @Test
    void whoWaitsForACancelledRequestGoesOn() throws Exception {
        start(8, 0, 2000);
        List<Integer> prompt = prompt(381, 11);
        Answer expected = answer(cold, greedy(prompt, 3));
        rows.set(0);
        CompletableFuture<List<GenerationEvent>> other = ask(greedy(prompt(20, 3), 370));
        AssertSubscriber<GenerationEvent> first =
                engine.generate(greedy(prompt, 3)).subscribe().withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
        List<CompletableFuture<List<GenerationEvent>>> others = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            others.add(ask(greedy(prompt, 3)));
        }
        first.awaitNextItem(HANG).cancel();
        for (CompletableFuture<List<GenerationEvent>> one : others) {
            assertThat(Answer.of(one.get())).isEqualTo(expected);
        }
        other.get();
        awaitEndOfStep();
        // What the first one had begun of a block is computed again.
        assertThat(rows.get()).isLessThan(381 + 64 + 4 * (13 + 2) + 20 + 370);
    }

    private CompletableFuture<List<GenerationEvent>> ask(GenerationRequest request) {
        return engine.generate(request).collect().asList().subscribeAsCompletionStage();
    }

    /**
     * Activations take half the memory of K and V in this model. A request whose blocks have become K and V is computed
     * anew if that is all that it lacks, once; one whose prompt needs it begins that way.
     */
    @ParameterizedTest
    @CsvSource({"0, 6, 40", "0, 6, 150", "3, 3, 40", "3, 3, 150", "5, 1, 100"})
    void aLoneRequestFitsInTheSmallestForm(int deviceBlocks, int hostBlocks, int promptTokens) throws Exception {
        start(SmallModel.SEATS, deviceBlocks, hostBlocks, PrefixReuseTest::large);
        int fullBlocks = 2 * (deviceBlocks + hostBlocks);
        // The last token is not cached, and those before may fill an open block but for one.
        int mostTokens = fullBlocks * BLOCK + BLOCK;
        List<Integer> prompt = prompt(promptTokens, 7);
        GenerationRequest fits = new GenerationRequest(
                prompt,
                mostTokens - promptTokens,
                SamplingParameters.greedy(),
                EndTokens.IGNORE,
                OptionalInt.of(1),
                OptionalInt.empty());
        assertThat(answer(engine, fits)).isEqualTo(answer(cold, fits));
        awaitEndOfStep();
        assertThat(rows).hasValueLessThan(2L * mostTokens);
        // And once more, with blocks that are known.
        assertThat(answer(engine, fits)).isEqualTo(answer(cold, fits));

        assertThatThrownBy(() -> answer(engine, greedy(prompt, mostTokens + 1 - promptTokens)))
                .isInstanceOf(RequestRejectedException.class)
                .hasMessageContaining("weft.host-memory");
        assertThat(answer(engine, fits)).isEqualTo(answer(cold, fits));
    }

    /** Questions are answered between steps. */
    private void awaitEndOfStep() {
        assertThat(held("nobody", Optional.empty())).isEqualTo(new HeldTokens(0, 0, 0, 0));
    }

    @Test
    void anAnswerIsAPrefixToo() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        List<Integer> prompt = prompt(40, 3);
        Answer first = answer(engine, greedy(prompt, 30));
        List<Integer> longer = joined(joined(prompt, first.tokenIds()), prompt(20, 9));
        assertThat(hitOf(greedy(longer, 5))).isEqualTo((40 + 30 - 1) / BLOCK * BLOCK);
        assertThat(answer(engine, greedy(longer, 5))).isEqualTo(answer(cold, greedy(longer, 5)));
    }

    /** And who forgets or asks, does so for its own. */
    @Test
    void nobodyFindsWhatAnotherOwnerOrSaltHas() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        List<Integer> prompt = prompt(100, 3);
        List<RequestTerms> scopes = List.of(of("", ""), of("", "s"), of("a", ""), of("a", "s"), of("as", ""));
        for (RequestTerms scope : scopes) {
            assertThat(hitOf(greedy(prompt, 2, scope))).isZero();
        }
        for (RequestTerms scope : scopes) {
            assertThat(hitOf(greedy(prompt, 2, scope))).isEqualTo(96);
        }
        HeldTokens one = new HeldTokens(0, 96, 96, 0);
        HeldTokens two = new HeldTokens(0, 192, 192, 0);
        assertThat(held("a", Optional.empty())).isEqualTo(two);
        assertThat(held("a", Optional.of("s"))).isEqualTo(one);
        assertThat(held("as", Optional.empty())).isEqualTo(one);
        assertThat(held("b", Optional.empty())).isEqualTo(new HeldTokens(0, 0, 0, 0));

        assertThat(engine.forget("a", Optional.of("s")).await().atMost(HANG)).isEqualTo(one);
        assertThat(held("a", Optional.empty())).isEqualTo(one);
        assertThat(hitOf(greedy(prompt, 2, of("a", "s")))).isZero();
        for (RequestTerms scope : List.of(of("", ""), of("", "s"), of("a", ""), of("as", ""))) {
            assertThat(hitOf(greedy(prompt, 2, scope))).isEqualTo(96);
        }
        assertThat(engine.forget("", Optional.empty()).await().atMost(HANG)).isEqualTo(two);
        assertThat(held("", Optional.empty())).isEqualTo(new HeldTokens(0, 0, 0, 0));
        assertThat(held("a", Optional.empty())).isEqualTo(two);
    }

    private HeldTokens held(String owner, Optional<String> salt) {
        return engine.held(owner, salt).await().atMost(HANG);
    }

    @Test
    void scoresOfAPromptNeedAllItsRows() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        GenerationRequest scored = new GenerationRequest(
                prompt(100, 3), 3, SamplingParameters.greedy(), EndTokens.IGNORE, OptionalInt.of(1), OptionalInt.of(1));
        Answer expected = answer(cold, scored);
        assertThat(hitOf(greedy(prompt(100, 3), 3))).isZero();
        assertThat(hitOf(scored)).isZero();
        assertThat(answer(engine, scored)).isEqualTo(expected);
    }

    /**
     * 64 of them, all with a seat, need three times the memory that there is. Each goes on where it was: none waits for
     * ever, and none is computed anew for long.
     */
    @Test
    void conversationsThatNeedThreeTimesTheMemoryAllFinish() throws Exception {
        int turns = 2;
        int said = 10;
        int newTokens = 70;
        int blocks = MANY * ((said + newTokens) * turns / BLOCK) / 3;
        start(MANY, blocks / 4, blocks - blocks / 4);
        List<List<Integer>> talks = new ArrayList<>();
        for (int talk = 0; talk < MANY; talk++) {
            talks.add(prompt(said, 31 * talk));
        }
        for (int turn = 0; turn < turns; turn++) {
            List<AssertSubscriber<GenerationEvent>> asked = talks.stream()
                    .map(talk -> engine.generate(greedy(talk, newTokens))
                            .subscribe()
                            .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE)))
                    .toList();
            for (int talk = 0; talk < MANY; talk++) {
                Answer got = Answer.of(asked.get(talk).awaitCompletion(HANG).getItems());
                assertThat(got).isEqualTo(answer(cold, greedy(talks.get(talk), newTokens)));
                talks.set(talk, joined(joined(talks.get(talk), got.tokenIds()), prompt(said, 17 * talk + turn)));
            }
        }
        assertThat(engine.preemptions()).isPositive();
        // Twice as many as if a third of them had run at a time, and nothing had been computed twice.
        assertThat(steps).hasValueLessThan(2 * 3 * turns * newTokens);
    }
}
