package io.weft.plan;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Simulated decode steps of equal sequences, and the shortest of a fixed family of them: so many 64ths of the tokens on
 * the device, so many eighths of those as activations, so many 64ths of the rest as activations.
 *
 * <p>The family depends neither on the machine nor on its memory, and a simulated step never gets longer when a stage
 * gets shorter. So a faster link, a faster device or more memory never makes the shortest step longer. A step is only
 * simulated while the lane that has most to do would be done before the best step so far.
 *
 * <p>Blocks are larger than those of the cache, so that a step has a few hundred of them however many tokens there are.
 */
final class PlacementSearch {
    private static final int GRID = 64;
    private static final int DEVICE_ACTIVATION_GRID = 8;
    private static final int SIMULATED_BLOCKS = 256;
    private static final int SIMULATIONS_MOST = 256;
    private static final int SLOTS = 4;
    /** A layer in about this many chunks loses little to fill and drain, and little to the start of copies. */
    private static final int CHUNKS = 16;

    private static final int CHUNK_TOKENS_MOST = 8192;
    private static final long AMPLE_STAGING_BYTES = 1L << 50;

    private final CostModel costs;
    /** With larger blocks than {@code costs.geometry()}. */
    private final CacheGeometry coarse;

    private final int batch;
    private final int contextTokens;
    private final int blocksPerSequence;
    private final int blockTokens;
    private final long stagingBytes;
    private final double streamedNanos;

    /**
     * @param streamedWeightBytes weights that cross the link in every step
     * @param batch sequences
     * @param contextTokens cached tokens of each
     * @param stagingBytes for chunks on their way; raised to what two chunks need at least
     */
    PlacementSearch(CostModel costs, int batch, int contextTokens, long stagingBytes, long streamedWeightBytes) {
        CacheGeometry geometry = costs.geometry();
        this.batch = batch;
        this.contextTokens = contextTokens;
        this.blocksPerSequence =
                Math.clamp(SIMULATED_BLOCKS / batch, 1, Math.max(1, contextTokens / geometry.blockTokens()));
        this.blockTokens = Math.max(1, Math.round((float) contextTokens / blocksPerSequence));
        int cellTokens = Math.ceilDiv(geometry.cellTokens(), blockTokens) * blockTokens;
        this.coarse = new CacheGeometry(geometry.dimensions(), geometry.elementBytes(), blockTokens, cellTokens);
        this.costs = costs;
        this.streamedNanos = costs.profile().linkIn().nanos(streamedWeightBytes);
        int cellBlocks = cellTokens / blockTokens;
        this.stagingBytes = Math.max(
                stagingBytes,
                2 * StagingLayout.slotBytes(coarse, cellBlocks, cellBlocks)
                        + StagingLayout.workspaceBytes(coarse, cellBlocks));
    }

    /**
     * A simulated step.
     *
     * @param schedule of the step
     * @param tokens in each form that occurs
     * @param timeline of the step, without streamed weights
     * @param nanos of the step. Streamed weights fill what the link has left, and cross before anything else in the
     *     first layer
     */
    record Simulated(Schedule schedule, Map<CacheForm, Long> tokens, Timeline timeline, long nanos) {}

    private Simulated simulated(Schedule schedule, Map<CacheForm, Long> tokens, Timeline timeline) {
        double link = timeline.busyNanos(Lane.LINK_IN) + streamedNanos;
        return new Simulated(
                schedule,
                tokens,
                timeline,
                Math.round(Math.max((double) timeline.totalNanos(), link) + streamedNanosOfALayer()));
    }

    private double streamedNanosOfALayer() {
        return streamedNanos / costs.geometry().dimensions().layers();
    }

    /** Tokens of a chunk. */
    int chunkTokens() {
        long total = (long) batch * contextTokens;
        long wanted = Math.min(total / CHUNKS, CHUNK_TOKENS_MOST);
        int cellTokens = coarse.cellTokens();
        return Math.toIntExact(Math.max(1, Math.ceilDiv(wanted, cellTokens)) * cellTokens);
    }

    private int blocks() {
        return batch * blocksPerSequence;
    }

    /** Everything in one form. */
    Simulated all(Schedule schedule, CacheForm form) {
        Counts counts = new Counts();
        counts.set(form, blocks());
        return simulate(schedule, counts, Collections.nCopies(blocks(), form), stagingBytes);
    }

    /** The paper's schedule with its best split: the first tokens of each sequence as activations. */
    Simulated kvpr() {
        long layerTokens = (long) batch * contextTokens;
        long split = costs.geometry().activationsAreSmaller()
                ? Placements.splitTokens(
                        costs.linkNanosPerToken(Content.ACTIVATION, contextTokens),
                        costs.linkNanosPerToken(Content.KEY_VALUE, contextTokens),
                        costs.recomputeNanosPerToken(layerTokens),
                        contextTokens)
                : 0;
        int recomputed = Math.clamp(Math.round((double) split / blockTokens), 0, blocksPerSequence);
        List<CacheForm> sequence = new ArrayList<>(Collections.nCopies(recomputed, CacheForm.HOST_ACT));
        sequence.addAll(Collections.nCopies(blocksPerSequence - recomputed, CacheForm.HOST_KV));
        List<CacheForm> forms = new ArrayList<>();
        for (int i = 0; i < batch; i++) {
            forms.addAll(sequence);
        }
        Counts counts = new Counts();
        counts.set(CacheForm.HOST_ACT, batch * recomputed);
        counts.set(CacheForm.HOST_KV, batch * (blocksPerSequence - recomputed));
        return simulate(Schedule.KVPR, counts, forms, AMPLE_STAGING_BYTES);
    }

    /** A placement that the linear programme found, to whole blocks. */
    Simulated placed(Map<CacheForm, Double> tokens) {
        Counts counts = new Counts();
        int left = blocks();
        for (CacheForm form : CacheForm.values()) {
            int blocks = (int) Math.min(left, Math.round(tokens.getOrDefault(form, 0.0) / tokensPerBlock()));
            counts.set(form, blocks);
            left -= blocks;
        }
        counts.set(CacheForm.HOST_KV, counts.of(CacheForm.HOST_KV) + left);
        return simulate(Schedule.CHUNKED, counts, counts.spread(), stagingBytes);
    }

    /**
     * The shortest step of the family; empty if none fits.
     *
     * @param forms that may be used
     */
    Optional<Simulated> fastest(Set<CacheForm> forms, long deviceBytes, long hostBytes) {
        List<Bounded> candidates = new ArrayList<>();
        LowerBound bound = new LowerBound();
        for (Counts counts : family()) {
            if (counts.usesOnly(forms)
                    && counts.bytes(Place.DEVICE) <= deviceBytes
                    && counts.bytes(Place.HOST) <= hostBytes) {
                candidates.add(new Bounded(counts, bound.nanos(counts), counts.bytes(Place.HOST)));
            }
        }
        // Of those that may be equally fast, the one that brings least most often is.
        candidates.sort(Comparator.comparingDouble(Bounded::leastNanos).thenComparingDouble(Bounded::hostBytes));
        @Nullable Simulated best = null;
        for (Bounded candidate : candidates.subList(0, Math.min(SIMULATIONS_MOST, candidates.size()))) {
            if (best != null && candidate.leastNanos() >= best.nanos()) {
                break;
            }
            Counts counts = candidate.counts();
            Simulated simulated = simulate(Schedule.CHUNKED, counts, counts.spread(), stagingBytes);
            best = best == null || simulated.nanos() < best.nanos() ? simulated : best;
        }
        return Optional.ofNullable(best);
    }

    /** A member of the family and a time that its step cannot be shorter than. */
    private record Bounded(Counts counts, double leastNanos, double hostBytes) {}

    /** With few blocks, many members are the same. */
    private Collection<Counts> family() {
        Map<List<Integer>, Counts> family = new LinkedHashMap<>();
        boolean smaller = costs.geometry().activationsAreSmaller();
        for (int onDevice = 0; onDevice <= GRID; onDevice++) {
            int deviceBlocks = part(blocks(), onDevice, GRID);
            for (int activations = 0; activations <= (smaller ? DEVICE_ACTIVATION_GRID : 0); activations++) {
                int deviceActivations = part(deviceBlocks, activations, DEVICE_ACTIVATION_GRID);
                for (int onHost = 0; onHost <= (smaller ? GRID : 0); onHost++) {
                    int hostActivations = part(blocks() - deviceBlocks, onHost, GRID);
                    family.computeIfAbsent(
                            List.of(deviceBlocks, deviceActivations, hostActivations), parts -> new Counts(parts));
                }
            }
        }
        return family.values();
    }

    private static int part(int all, int share, int of) {
        return (int) ((long) all * share / of);
    }

    private double tokensPerBlock() {
        return (double) contextTokens / blocksPerSequence;
    }

    private Simulated simulate(Schedule schedule, Counts counts, List<CacheForm> forms, long staging) {
        List<SequenceShape> sequences = new ArrayList<>();
        for (int i = 0; i < batch; i++) {
            List<CacheForm> closed = forms.subList(i * blocksPerSequence, (i + 1) * blocksPerSequence);
            // A block of one token is filled by the step's own token.
            List<CacheForm> closing = blockTokens == 1 ? List.of(closed.getLast()) : List.of();
            sequences.add(new SequenceShape(closed, 0, 1, closing));
        }
        StepShape shape = new StepShape(sequences, HeadShape.tokens(batch));
        StepPlan plan = new StepPlanner(coarse, schedule, staging, chunkTokens(), SLOTS).plan(shape);
        return simulated(schedule, counts.tokens(), costs.simulator().play(plan));
    }

    /**
     * The time of the lanes if every copy and every recomputation had the rate of the largest ones. A step that brings
     * nothing is the least that is computed, with the same beginning and end.
     */
    private final class LowerBound {
        private final Map<CacheForm, Route> routes = new EnumMap<>(CacheForm.class);
        private final double computeNanos;

        LowerBound() {
            long chunk = (long) chunkTokens() + coarse.cellTokens();
            for (CacheForm form : CacheForm.values()) {
                routes.put(form, Route.of(form, costs, Math.min(chunk, contextTokens), chunk));
            }
            computeNanos =
                    all(Schedule.RESIDENT, CacheForm.DEVICE_KV).timeline().totalNanos();
        }

        double nanos(Counts counts) {
            double link = streamedNanos;
            double compute = computeNanos;
            for (Map.Entry<CacheForm, Route> entry : routes.entrySet()) {
                double tokens = counts.of(entry.getKey()) * tokensPerBlock();
                link += tokens * entry.getValue().nanos(Lane.LINK_IN);
                compute += tokens * entry.getValue().nanos(Lane.COMPUTE);
            }
            return Math.max(link, compute) + streamedNanosOfALayer();
        }
    }

    /** How many blocks have each form. */
    private final class Counts {
        private final int[] blocks = new int[CacheForm.values().length];

        Counts() {}

        /** @param parts blocks on the device, of these activations, and activations on the host */
        Counts(List<Integer> parts) {
            set(CacheForm.DEVICE_KV, parts.get(0) - parts.get(1));
            set(CacheForm.DEVICE_ACT, parts.get(1));
            set(CacheForm.HOST_KV, blocks() - parts.get(0) - parts.get(2));
            set(CacheForm.HOST_ACT, parts.get(2));
        }

        void set(CacheForm form, int count) {
            blocks[form.ordinal()] = count;
        }

        int of(CacheForm form) {
            return blocks[form.ordinal()];
        }

        boolean usesOnly(Set<CacheForm> forms) {
            return EnumSet.allOf(CacheForm.class).stream().allMatch(form -> of(form) == 0 || forms.contains(form));
        }

        double bytes(Place place) {
            CacheGeometry geometry = costs.geometry();
            double bytes = 0;
            for (CacheForm form : CacheForm.values()) {
                if (form.place() == place) {
                    bytes += of(form)
                            * tokensPerBlock()
                            * geometry.dimensions().layers()
                            * geometry.tokenLayerBytes(form.content());
                }
            }
            return bytes;
        }

        /** Tokens in each form; together all tokens of the batch. */
        Map<CacheForm, Long> tokens() {
            Map<CacheForm, Long> tokens = new EnumMap<>(CacheForm.class);
            long before = 0;
            int upTo = 0;
            for (CacheForm form : CacheForm.values()) {
                upTo += of(form);
                long behind = Math.round(upTo * tokensPerBlock());
                tokens.put(form, behind - before);
                before = behind;
            }
            return tokens;
        }

        /** All blocks in one row, every form as evenly spread as its count allows: the one that lags most is next. */
        List<CacheForm> spread() {
            int all = blocks();
            int[] given = new int[blocks.length];
            List<CacheForm> row = new ArrayList<>(all);
            for (int i = 1; i <= all; i++) {
                int next = 0;
                long largestLag = Long.MIN_VALUE;
                for (int form = 0; form < blocks.length; form++) {
                    long lag = given[form] < blocks[form]
                            ? (long) blocks[form] * i - (long) given[form] * all
                            : Long.MIN_VALUE;
                    if (lag > largestLag) {
                        largestLag = lag;
                        next = form;
                    }
                }
                given[next]++;
                row.add(CacheForm.values()[next]);
            }
            return row;
        }
    }
}
