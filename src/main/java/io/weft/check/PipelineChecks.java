package io.weft.check;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.cache.CacheSequence;
import io.weft.cache.KvCache;
import io.weft.device.Device;
import io.weft.device.ElementType;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.ModelFiles;
import io.weft.model.ModelWeights;
import io.weft.pipeline.StageCompleted;
import io.weft.pipeline.Step;
import io.weft.pipeline.StepBatch;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.StepResult;
import io.weft.pipeline.StepSequence;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.pipeline.TokenChoice;
import io.weft.pipeline.Workspace;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlanner;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** Checks one small model on a device as a whole: against a reference, and for the same bits under every plan. */
public final class PipelineChecks {
    private static final int BATCH = 32;
    private static final int PROMPT_TOKENS = 97;
    private static final int DECODED_TOKENS = 3;
    /**
     * Decoding from here on crosses the edges of blocks, of the block table and of the attention's launches, at 256
     * tokens.
     */
    private static final int LONG_PROMPT_TOKENS = 246;

    private static final int LONG_DECODED_TOKENS = 20;
    /** Long enough for drafts across several blocks. */
    private static final int DRAFTED_TOKENS = 60;

    private static final int DRAFTS_MOST = 8;
    private static final int CONTEXT_TOKENS = 320;
    private static final int PIECE_TOKENS = 64;
    private static final long POOL_BYTES = 256L << 20;

    /** As uneven as what a service finds free. */
    private static final long DEVICE_POOL_BYTES = POOL_BYTES + 6;

    private static final long STAGING_BYTES = 32L << 20;
    /**
     * The roundings of a layer on the way to the logits: two norms, the products of queries, keys and values, their
     * rotation, attention, its output, the sum with what came in; then gates and values, their product, the output, the
     * sum. Weights are rounded once.
     */
    private static final int LAYER_ROUNDINGS = 12;

    /** Those of the embedding, the last norm and the head. */
    private static final int EDGE_ROUNDINGS = 3;
    /** The rows whose experts may be others in 16 bits. */
    private static final double OTHER_EXPERTS_SHARE = 0.05;
    /** The tolerance of logits of an fp32 device, whose sums have another order. */
    private static final double FP32_TOLERANCE = 2e-4;

    private static final StepLimits LIMITS = new StepLimits(BATCH + 1, 256, 128, 64, CONTEXT_TOKENS);

    private final String name;
    private final ModelFiles files;
    private final KvCache cache;
    private final StepPipeline pipeline;
    private final Consumer<CheckResult> results;
    /** Tokens that were not the likeliest by their own logits. */
    private long wrongTokens;

    /**
     * @param name name of the model in the results
     * @param blockTokens tokens of a cache block; 1 allows a split between any two tokens
     * @param cellTokens tokens of a cell
     */
    public PipelineChecks(
            String name,
            ModelFiles files,
            Device device,
            int blockTokens,
            int cellTokens,
            Consumer<CheckResult> results) {
        this(name, files, device, blockTokens, cellTokens, CachePolicy.EXACT, results);
    }

    /** @param policy how true the cache is; if it is lossy, cells are blocks */
    public PipelineChecks(
            String name,
            ModelFiles files,
            Device device,
            int blockTokens,
            int cellTokens,
            CachePolicy policy,
            Consumer<CheckResult> results) {
        this.name = name + ", blocks of " + blockTokens + (policy.isLossy() ? " in " + policy.label() : "");
        this.files = files;
        this.results = results;
        ModelWeights weights = ModelWeights.load(files, device, CONTEXT_TOKENS, (layer, layers) -> {});
        CacheGeometry geometry = new CacheGeometry(
                files.architecture().dimensions(), device.elementType(), blockTokens, cellTokens, policy);
        Workspace workspace = Workspace.allocate(device, geometry, LIMITS, STAGING_BYTES);
        this.cache = new KvCache(device, geometry, LIMITS.cacheNeeds(blockTokens), DEVICE_POOL_BYTES, POOL_BYTES);
        this.pipeline = new StepPipeline(device, weights, cache, workspace);
    }

    /**
     * Checks logits and likeliest tokens after the prompts of a {@code golden.json}. The tolerance follows from the
     * arithmetic. In 16 bits, a row may choose another expert whose logit is almost the same, and then be off by
     * anything: of a model with experts, some rows may differ, and one prompt.
     *
     * @param type in which weights, activations and cache are stored
     */
    public void reference(Path golden, ElementType type) throws IOException {
        double tolerance = logitsTolerance(type);
        boolean choosesExperts = files.architecture()
                        .dimensions()
                        .most(layer -> layer.feedForward().experts())
                > 0;
        boolean mayChooseOthers = type != ElementType.F32 && choosesExperts;
        List<Double> errors = new ArrayList<>();
        for (JsonNode prompt : new ObjectMapper().readTree(golden.toFile()).path("prompts")) {
            List<Integer> tokens = integers(prompt.path("input_ids"));
            List<float[]> rows;
            try (CacheSequence sequence = admit(tokens.size(), PipelineChecks::mixed)) {
                rows = prefill(Schedule.CHUNKED, sequence, tokens, LogitRows.ALL);
            }
            float[] last = rows.getLast();
            double error = 0;
            double largest = 0;
            for (int i = 0; i < last.length; i++) {
                double expected = prompt.path("last_logits").path(i).asDouble();
                error = Math.max(error, Math.abs(last[i] - expected));
                largest = Math.max(largest, Math.abs(expected));
            }
            errors.add(error / largest);
            if (!mayChooseOthers) {
                result("logits after %d tokens".formatted(tokens.size()), error / largest, tolerance);
            }
            List<Integer> likeliest = integers(prompt.path("all_argmax"));
            long wrong = 0;
            for (int i = 0; i < rows.size(); i++) {
                if (differs(rows.get(i), likeliest.get(i), 2 * tolerance * largest)) {
                    wrong++;
                }
            }
            double bound = mayChooseOthers ? Math.ceil(OTHER_EXPERTS_SHARE * rows.size()) : 0;
            result("likeliest tokens after each of %d".formatted(tokens.size()), (double) wrong, bound);
        }
        if (mayChooseOthers) {
            errors.sort(null);
            result("logits after all prompts but one", errors.get(Math.max(0, errors.size() - 2)), tolerance);
        }
    }

    /** The error of logits that an element type explains, all to the same side, relative to the largest of them. */
    private double logitsTolerance(ElementType type) {
        int layers = files.architecture().dimensions().layerCount();
        return switch (type) {
            case F32 -> FP32_TOLERANCE;
            case F16, BF16 -> (LAYER_ROUNDINGS * layers + EDGE_ROUNDINGS) * RoundingErrors.stored(type);
        };
    }

    /** Whether another token is so far ahead that the tolerance cannot explain it. */
    private static boolean differs(float[] logits, int expected, double margin) {
        return logits[likeliest(logits)] - logits[expected] > margin;
    }

    private static int likeliest(float[] logits) {
        int best = 0;
        for (int token = 1; token < logits.length; token++) {
            if (logits[token] > logits[best]) {
                best = token;
            }
        }
        return best;
    }

    /** Checks for the same bits with every schedule, split and mix, and for a sequence alone and among others. */
    public void sameBits() {
        graphs();
        List<Integer> prompt = prompt(PROMPT_TOKENS, 1);
        List<float[]> resident = alone(Schedule.RESIDENT, prompt, block -> CacheForm.DEVICE_KV);
        int blocks = PROMPT_TOKENS / cache.geometry().blockTokens();
        for (Schedule schedule : Schedule.values()) {
            for (int split : new int[] {0, 1, blocks / 2, blocks - 1, blocks}) {
                List<float[]> other =
                        alone(schedule, prompt, block -> block < split ? CacheForm.HOST_ACT : CacheForm.HOST_KV);
                count(
                        "%s, %d of %d blocks recomputed".formatted(schedule.label(), split, blocks),
                        different(other, resident));
            }
            for (CacheForm form : CacheForm.all()) {
                if (form.encoding().isCoded() && cache.geometry().isUseful(form)) {
                    count(
                            "%s, all blocks %s".formatted(schedule.label(), form.label()),
                            different(alone(schedule, prompt, block -> form), resident));
                }
            }
            mixed(schedule, prompt, resident);
            count(
                    "%s, in a batch of %d".formatted(schedule.label(), BATCH),
                    different(among(schedule, prompt), resident));
        }
        drafts(List.of(Schedule.values()));
        count("chosen tokens against their logits", wrongTokens);
        var usage = cache.usage();
        count(
                "cache bytes left",
                usage.open().usedBytes()
                        + usage.device().usedBytes()
                        + usage.host().usedBytes());
    }

    /** Checks for the same bits resident and with all forms mixed. */
    public void sameBitsMixed() {
        List<Integer> prompt = prompt(PROMPT_TOKENS, 1);
        mixed(Schedule.CHUNKED, prompt, alone(Schedule.RESIDENT, prompt, block -> CacheForm.DEVICE_KV));
        drafts(List.of(Schedule.CHUNKED));
    }

    /** Checks that steps with drafts, of which any number are right, give the bits of steps with one row a sequence. */
    private void drafts(List<Schedule> schedules) {
        for (int sequences : new int[] {1, BATCH}) {
            List<List<Integer>> texts = IntStream.range(0, sequences)
                    .mapToObj(i -> prompt((i == 0 ? LONG_PROMPT_TOKENS : 1 + 3 * i) + DRAFTED_TOKENS, 2 + i))
                    .toList();
            Random random = new Random(7);
            List<float[]> plain = said(Schedule.CHUNKED, texts, 0, random);
            for (Schedule schedule : schedules) {
                count(
                        "%s, up to %d drafts in a batch of %d".formatted(schedule.label(), DRAFTS_MOST, sequences),
                        different(said(schedule, texts, DRAFTS_MOST, random), plain));
            }
        }
    }

    /** The logits of the last tokens of texts, one text after the other. */
    private List<float[]> said(Schedule schedule, List<List<Integer>> texts, int draftsMost, Random random) {
        List<CacheSequence> members = new ArrayList<>();
        List<List<float[]>> rows = new ArrayList<>();
        for (List<Integer> text : texts) {
            CacheSequence sequence = admit(text.size(), PipelineChecks::mixed);
            prefill(schedule, sequence, text.subList(0, text.size() - DRAFTED_TOKENS), LogitRows.NONE);
            members.add(sequence);
            rows.add(new ArrayList<>());
        }
        while (rows.stream().anyMatch(ofText -> ofText.size() < DRAFTED_TOKENS)) {
            List<Integer> running = IntStream.range(0, texts.size())
                    .filter(i -> rows.get(i).size() < DRAFTED_TOKENS)
                    .boxed()
                    .toList();
            List<StepSequence> parts = new ArrayList<>();
            List<Integer> accepted = new ArrayList<>();
            int draftRows = LIMITS.draftRows();
            for (int i : running) {
                int left = DRAFTED_TOKENS - rows.get(i).size();
                int drafted = random.nextInt(Math.min(left, Math.min(draftsMost, draftRows) + 1));
                draftRows -= drafted;
                accepted.add(1 + random.nextInt(drafted + 1));
                parts.add(drafted(members.get(i), texts.get(i), drafted, accepted.getLast()));
            }
            List<float[]> ofStep = run(plan(schedule, parts), parts, accepted);
            int at = 0;
            for (int i = 0; i < parts.size(); i++) {
                rows.get(running.get(i)).addAll(ofStep.subList(at, at + accepted.get(i)));
                at += parts.get(i).logitRows();
            }
        }
        members.forEach(CacheSequence::close);
        return rows.stream().flatMap(List::stream).toList();
    }

    /** The next tokens of a text, and others where drafts are not to be accepted. */
    private static StepSequence drafted(CacheSequence sequence, List<Integer> text, int drafted, int accepted) {
        requireRoom(sequence.open(1 + drafted, drafted));
        List<Integer> tokens = new ArrayList<>();
        for (int i = 0; i <= drafted; i++) {
            int token = text.get(sequence.tokens() + i);
            tokens.add(i < accepted ? token : token - 1);
        }
        return new StepSequence(
                sequence,
                tokens,
                drafted,
                LogitRows.CHOOSING,
                Collections.nCopies(1 + drafted, TokenChoice.likeliest()));
    }

    private void mixed(Schedule schedule, List<Integer> prompt, List<float[]> resident) {
        count(
                schedule.label() + ", all forms mixed",
                different(alone(schedule, prompt, PipelineChecks::mixed), resident));
    }

    /**
     * Checks for the same bits from steps that run as graphs, and from observed ones, which are issued stage by stage.
     */
    private void graphs() {
        for (int sequences : new int[] {1, 3, BATCH}) {
            List<float[]> stageByStage = longRun(sequences, this::observedStep);
            int graphsBefore = pipeline.graphs();
            List<float[]> graphs = longRun(sequences, parts -> step(Schedule.RESIDENT, parts));
            boolean captured = pipeline.graphs() > graphsBefore;
            count("graphs, in a batch of %d: captured".formatted(sequences), captured ? 0 : 1);
            count("graphs, in a batch of %d: same bits".formatted(sequences), different(graphs, stageByStage));
        }
    }

    private List<float[]> longRun(int sequences, Function<List<StepSequence>, List<float[]>> stepping) {
        List<CacheSequence> members = new ArrayList<>();
        for (int i = 0; i < sequences; i++) {
            List<Integer> prompt = prompt(i == 0 ? LONG_PROMPT_TOKENS : 1 + 3 * i, 2 + i);
            CacheSequence sequence = admit(prompt.size() + LONG_DECODED_TOKENS, block -> CacheForm.DEVICE_KV);
            prefill(Schedule.RESIDENT, sequence, prompt, LogitRows.NONE);
            members.add(sequence);
        }
        List<float[]> rows = new ArrayList<>();
        for (int i = 0; i < LONG_DECODED_TOKENS; i++) {
            int token = 5 + i;
            rows.addAll(stepping.apply(members.stream()
                    .map(member -> part(member, List.of(token), LogitRows.CHOOSING))
                    .toList()));
        }
        members.forEach(CacheSequence::close);
        return rows;
    }

    private void result(String what, double error, double bound) {
        results.accept(new CheckResult(name + ": " + what, error, bound));
    }

    /** Reports differences; there must be none. */
    private void count(String what, long wrong) {
        result(what, (double) wrong, 0);
    }

    private static CacheForm mixed(int block) {
        return CachePolicy.EXACT.forms().get(block % CachePolicy.EXACT.forms().size());
    }

    private List<Integer> prompt(int tokens, long seed) {
        int vocabulary = files.architecture().dimensions().vocabularySize();
        return new Random(seed).ints(tokens, 3, vocabulary).boxed().toList();
    }

    private CacheSequence admit(int tokens, IntFunction<CacheForm> forms) {
        Optional<CacheSequence> sequence = cache.admit(tokens, block -> List.of(forms.apply(block)));
        return sequence.orElseThrow(() -> new IllegalStateException("the cache of the checks is too small"));
    }

    private List<float[]> step(Schedule schedule, List<StepSequence> parts) {
        return run(plan(schedule, parts), parts);
    }

    private List<float[]> observedStep(List<StepSequence> parts) {
        Step step = plan(Schedule.RESIDENT, parts);
        CompletableFuture<List<StageCompleted>> stages =
                step.stages().collect().asList().subscribeAsCompletionStage();
        List<float[]> rows = run(step, parts);
        stages.join();
        return rows;
    }

    private Step plan(Schedule schedule, List<StepSequence> parts) {
        StepBatch batch = new StepBatch(parts);
        StepPlanner planner = new StepPlanner(
                cache.geometry(), schedule, STAGING_BYTES, cache.geometry().cellTokens(), 3);
        return pipeline.step(batch, planner.plan(batch.shape()));
    }

    private List<float[]> run(Step step, List<StepSequence> parts) {
        return run(
                step, parts, parts.stream().map(part -> part.newTokens().size()).toList());
    }

    /**
     * @param accepted how many of the tokens of each part are cached from then on
     * @return the logits of all rows that have some
     */
    private List<float[]> run(Step step, List<StepSequence> parts, List<Integer> accepted) {
        StepResult result = step.result().await().indefinitely();
        List<float[]> rows = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            StepSequence part = parts.get(i);
            part.cache().commit(part.newTokens().subList(0, accepted.get(i)));
            for (int row = 0; row < part.logitRows(); row++) {
                rows.add(result.logits(i, row));
            }
            int choices = part.choices().size();
            for (int row = 0; row < choices; row++) {
                OptionalInt expected = OptionalInt.of(likeliest(rows.get(rows.size() - choices + row)));
                wrongTokens += result.token(i, row).equals(expected) ? 0 : 1;
            }
        }
        return rows;
    }

    private static StepSequence part(CacheSequence sequence, List<Integer> tokens, LogitRows logits) {
        requireRoom(sequence.open(tokens.size()));
        List<TokenChoice> choices = logits == LogitRows.NONE ? List.of() : List.of(TokenChoice.likeliest());
        return new StepSequence(sequence, tokens, 0, logits, choices);
    }

    private static void requireRoom(boolean isOpen) {
        if (!isOpen) {
            throw new IllegalStateException("the cache of the checks is too small");
        }
    }

    private List<float[]> prefill(Schedule schedule, CacheSequence sequence, List<Integer> prompt, LogitRows logits) {
        List<float[]> rows = new ArrayList<>();
        for (int from = 0; from < prompt.size(); from += PIECE_TOKENS) {
            int to = Math.min(prompt.size(), from + PIECE_TOKENS);
            LogitRows wanted = logits == LogitRows.CHOOSING && to < prompt.size() ? LogitRows.NONE : logits;
            rows.addAll(step(schedule, List.of(part(sequence, prompt.subList(from, to), wanted))));
        }
        return rows;
    }

    private List<float[]> alone(Schedule schedule, List<Integer> prompt, IntFunction<CacheForm> forms) {
        try (CacheSequence sequence = admit(prompt.size() + DECODED_TOKENS, forms)) {
            List<float[]> rows = prefill(schedule, sequence, prompt, LogitRows.CHOOSING);
            for (int i = 0; i < DECODED_TOKENS; i++) {
                rows.addAll(step(schedule, List.of(part(sequence, List.of(5 + i), LogitRows.CHOOSING))));
            }
            return rows;
        }
    }

    /** The same tokens in the middle of a batch of sequences of other lengths. */
    private List<float[]> among(Schedule schedule, List<Integer> prompt) {
        List<CacheSequence> sequences = new ArrayList<>();
        int mine = BATCH / 2;
        List<float[]> rows = new ArrayList<>();
        for (int i = 0; i < BATCH; i++) {
            List<Integer> tokens = i == mine ? prompt : prompt(1 + 3 * i, 2 + i);
            CacheSequence sequence = admit(tokens.size() + DECODED_TOKENS, PipelineChecks::mixed);
            sequences.add(sequence);
            List<float[]> last = prefill(schedule, sequence, tokens, LogitRows.CHOOSING);
            if (i == mine) {
                rows.addAll(last);
            }
        }
        for (int i = 0; i < DECODED_TOKENS; i++) {
            int token = 5 + i;
            List<StepSequence> parts = sequences.stream()
                    .map(sequence -> part(sequence, List.of(token), LogitRows.CHOOSING))
                    .toList();
            rows.add(step(schedule, parts).get(mine));
        }
        sequences.forEach(CacheSequence::close);
        return rows;
    }

    /** The number of rows whose bits differ. */
    private static long different(List<float[]> rows, List<float[]> expected) {
        return IntStream.range(0, expected.size())
                .filter(i -> !Arrays.equals(rows.get(i), expected.get(i)))
                .count();
    }

    private static List<Integer> integers(JsonNode array) {
        List<Integer> values = new ArrayList<>();
        array.forEach(value -> values.add(value.asInt()));
        return values;
    }
}
