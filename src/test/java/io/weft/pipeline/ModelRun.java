package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.BlockNaming;
import io.weft.cache.CacheSequence;
import io.weft.cache.KvCache;
import io.weft.cache.PoolUsage;
import io.weft.device.Device;
import io.weft.device.HostRegion;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.ModelFiles;
import io.weft.model.ModelWeights;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.PlannedStage;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntFunction;

/** A small model on a device, to run sequences step by step with any forms, schedule and order. */
final class ModelRun implements AutoCloseable {
    static final int CONTEXT_TOKENS = 320;
    private static final StepLimits LIMITS = new StepLimits(16, 256, 192, 64, CONTEXT_TOKENS);
    private static final long POOL_BYTES = 24 << 20;

    /** How the stages of a step may overlap. */
    enum Execution {
        OVERLAPPED,
        /** Each stage waits for the one before. */
        SERIAL,
        /** Each is timed, and so issued by itself. */
        OBSERVED
    }

    /** How cached tokens are brought. */
    record Way(Schedule schedule, int chunkTokens, int slots, long stagingBytes, Execution execution) {
        static Way of(Schedule schedule) {
            return new Way(schedule, 32, 3, STAGING_BYTES, Execution.OVERLAPPED);
        }

        static Way random(Random random) {
            return new Way(
                    Schedule.values()[random.nextInt(Schedule.values().length)],
                    1 + random.nextInt(100),
                    1 + random.nextInt(6),
                    STAGING_BYTES >> random.nextInt(4),
                    Execution.values()[random.nextInt(Execution.values().length)]);
        }
    }

    static final long STAGING_BYTES = 2 << 20;

    /** Forms of exact caches, the same for a block whenever it is asked for. */
    static IntFunction<CacheForm> mixedForms(Random random) {
        int seed = random.nextInt();
        List<CacheForm> forms = CachePolicy.EXACT.forms();
        return block -> forms.get(new Random(seed + 31 * block).nextInt(forms.size()));
    }

    private final ModelFiles files;
    private final Device device;
    private final KvCache cache;
    private final StepPipeline pipeline;

    ModelRun(ModelFiles files, Device device, int blockTokens, int cellTokens) {
        this(files, device, blockTokens, cellTokens, LIMITS);
    }

    ModelRun(ModelFiles files, Device device, int blockTokens, int cellTokens, StepLimits limits) {
        this(files, device, blockTokens, cellTokens, limits, CachePolicy.EXACT, RowGroups.Grouping.BY_SEQUENCE);
    }

    /** A run under a policy; if it is lossy, cells are blocks. */
    ModelRun(ModelFiles files, Device device, int blockTokens, int cellTokens, StepLimits limits, CachePolicy policy) {
        this(
                files,
                device,
                blockTokens,
                policy.isLossy() ? blockTokens : cellTokens,
                limits,
                policy,
                policy.isLossy() ? RowGroups.Grouping.BY_BLOCK : RowGroups.Grouping.BY_SEQUENCE);
    }

    ModelRun(
            ModelFiles files,
            Device device,
            int blockTokens,
            int cellTokens,
            StepLimits limits,
            CachePolicy policy,
            RowGroups.Grouping grouping) {
        this.files = files;
        this.device = device;
        ModelWeights weights = ModelWeights.load(files, device, CONTEXT_TOKENS, (layer, layers) -> {});
        CacheGeometry geometry = new CacheGeometry(
                files.architecture().dimensions(), device.elementType(), blockTokens, cellTokens, policy);
        Workspace workspace = Workspace.allocate(device, geometry, limits, STAGING_BYTES);
        this.cache = new KvCache(
                device,
                geometry,
                limits.cacheNeeds(blockTokens),
                POOL_BYTES,
                HostRegion.of(device.allocateHost("cache on the host", POOL_BYTES)),
                Optional.of(new BlockNaming(
                        new byte[] {1},
                        maxTokens -> weights.longRows()
                                .map(rows -> rows.of(maxTokens))
                                .orElse(0))));
        this.pipeline = new StepPipeline(device, weights, cache, workspace, grouping);
    }

    KvCache cache() {
        return cache;
    }

    /** Graphs that the pipeline keeps. */
    int graphs() {
        return pipeline.graphs();
    }

    CacheSequence admit(int tokens, IntFunction<CacheForm> forms) {
        return cache.admit(tokens, block -> List.of(forms.apply(block))).orElseThrow();
    }

    /** A sequence that begins with the known blocks of a prompt. */
    CacheSequence admit(List<Integer> prompt, int maxTokens, IntFunction<CacheForm> forms) {
        return cache.admit(cache.prompt(prompt, maxTokens, ""), block -> List.of(forms.apply(block)))
                .orElseThrow();
    }

    /** A sequence that takes all device memory that is not somebody's home. */
    CacheSequence fillDevice() {
        PoolUsage device = cache.usage().withoutCopies().device();
        int blocks = (int) (device.freeBytes() / cache.geometry().blockBytes(Content.KEY_VALUE));
        CacheSequence sequence = cache.admit(
                        blocks * cache.geometry().blockTokens(),
                        block -> List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV))
                .orElseThrow();
        // Block by block, since open blocks are few.
        for (int block = 0; block < blocks; block++) {
            assertThat(sequence.open(cache.geometry().blockTokens())).isTrue();
            sequence.commit(Collections.nCopies(cache.geometry().blockTokens(), 1));
        }
        return sequence;
    }

    /** A sequence that takes all host memory. */
    CacheSequence fillHost() {
        int blockTokens = cache.geometry().blockTokens();
        // Activations may be smaller than K and V.
        int blocks = (int) (4 * POOL_BYTES / cache.geometry().blockBytes(Content.KEY_VALUE));
        CacheSequence sequence = cache.admit(blocks * blockTokens, block -> List.of(CacheForm.HOST_KV))
                .orElseThrow();
        while (sequence.tokens() < blocks * blockTokens && sequence.open(blockTokens)) {
            sequence.commit(Collections.nCopies(blockTokens, 1));
        }
        assertThat(sequence.tokens()).isLessThan(blocks * blockTokens);
        return sequence;
    }

    /** Runs one step over some sequences; the logits of all logit rows. Their likeliest tokens must be chosen. */
    List<float[]> step(Way way, List<StepSequence> sequences) {
        StepResult result = result(way, sequences);
        List<float[]> logits = new ArrayList<>();
        for (int i = 0; i < sequences.size(); i++) {
            for (int row = 0; row < sequences.get(i).logitRows(); row++) {
                logits.add(result.logits(i, row));
            }
            if (!sequences.get(i).choices().isEmpty()) {
                assertThat(result.token(i, 0)).hasValue(likeliest(logits.getLast()));
            }
        }
        return logits;
    }

    /** Runs one step over some sequences, without drafts that turn out wrong; what came out, until the next step. */
    StepResult result(Way way, List<StepSequence> sequences) {
        StepResult result = uncommitted(way, sequences);
        sequences.forEach(sequence -> sequence.cache().commit(sequence.newTokens()));
        return result;
    }

    /** Runs one step over some sequences, and leaves it to the caller which tokens are accepted. */
    StepResult uncommitted(Way way, List<StepSequence> sequences) {
        StepBatch batch = new StepBatch(sequences);
        StepPlanner planner =
                new StepPlanner(cache.geometry(), way.schedule(), way.stagingBytes(), way.chunkTokens(), way.slots());
        StepPlan plan = planner.plan(batch.shape());
        if (way.execution() == Execution.SERIAL) {
            plan = serial(plan);
        }
        Step step = pipeline.step(batch, plan);
        CompletableFuture<List<StageCompleted>> stages = way.execution() == Execution.OBSERVED
                ? step.stages().collect().asList().subscribeAsCompletionStage()
                : CompletableFuture.completedFuture(List.of());
        StepResult result = step.result().await().indefinitely();
        stages.join();
        return result;
    }

    static StepSequence part(CacheSequence cache, List<Integer> tokens, LogitRows logits) {
        assertThat(cache.open(tokens.size())).isTrue();
        List<TokenChoice> choices = logits == LogitRows.NONE ? List.of() : List.of(TokenChoice.likeliest());
        return new StepSequence(cache, tokens, 0, logits, choices);
    }

    /** Runs one step over a sequence whose last tokens are drafts, of which some are accepted. */
    void drafted(Way way, CacheSequence sequence, List<Integer> tokens, int drafted, int accepted) {
        assertThat(sequence.open(tokens.size(), drafted)).isTrue();
        List<TokenChoice> choices = Collections.nCopies(1 + drafted, TokenChoice.likeliest());
        uncommitted(way, List.of(new StepSequence(sequence, tokens, drafted, LogitRows.NONE, choices)));
        sequence.commit(tokens.subList(0, tokens.size() - drafted + accepted));
    }

    /** Caches a prompt in pieces of {@code pieceTokens}; the logits of the rows that {@code logits} asks for. */
    List<float[]> prefill(Way way, CacheSequence sequence, List<Integer> prompt, int pieceTokens, LogitRows logits) {
        List<float[]> all = new ArrayList<>();
        for (int from = 0; from < prompt.size(); from += pieceTokens) {
            int to = Math.min(prompt.size(), from + pieceTokens);
            LogitRows wanted = logits == LogitRows.CHOOSING && to < prompt.size() ? LogitRows.NONE : logits;
            all.addAll(step(way, List.of(part(sequence, prompt.subList(from, to), wanted))));
        }
        return all;
    }

    float[] decode(Way way, CacheSequence sequence, int token) {
        return step(way, List.of(part(sequence, List.of(token), LogitRows.CHOOSING)))
                .getFirst();
    }

    private static StepPlan serial(StepPlan plan) {
        List<PlannedStage> stages = plan.stages().stream()
                .map(planned -> new PlannedStage(
                        planned.index(),
                        planned.stage(),
                        planned.index() == 0 ? List.of() : List.of(planned.index() - 1)))
                .toList();
        return new StepPlan(plan.schedule(), plan.shape(), plan.cachedLayers(), plan.chunks(), plan.staging(), stages);
    }

    static int likeliest(float[] logits) {
        int best = 0;
        for (int token = 1; token < logits.length; token++) {
            if (logits[token] > logits[best]) {
                best = token;
            }
        }
        return best;
    }

    @Override
    public void close() {
        device.close();
        files.close();
    }
}
