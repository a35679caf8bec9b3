package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.LayerGroup;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.LayerCurves;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.LaneTimes;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.PriorityQueue;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Simulates decode steps of equal sequences, and finds the shortest of a fixed family of them. A member has some 64ths
 * of the tokens on the device, some eighths of those as activations, and some 64ths of the rest as activations; with
 * few tokens there are half as many parts, and fewer of the rest where activations are hardly smaller than K and V.
 *
 * <p>The family depends neither on the machine nor on its memory, and the search ends with its shortest step. So a
 * faster link, a faster device or more memory never makes the shortest step longer, as long as it makes no member's
 * step longer. From rest no step gets longer when a stage gets shorter. A step that begins with transfers ahead could,
 * since the step before then gives the link less time. No such case is known.
 *
 * <p>A member is planned only while its busier lane, at the best rates, would finish before the best step so far. It is
 * simulated only while that lane would still do so with the planned copies and recomputations.
 *
 * <p>Blocks are larger than those of the cache, so a step has a few hundred of them, however many tokens there are.
 */
public final class PlacementSearch {
    private static final int GRID = 64;
    private static final int DEVICE_ACTIVATION_GRID = 8;
    /**
     * With so few tokens, starting copies and kernels dominates their time, so many members are about as fast and must
     * be considered. Then there are half as many parts; this depends on the question, not on the machine.
     */
    private static final int FEW_TOKENS = 8192;

    /** Activations of more than this part of K and V save little, and so few parts of them are enough. */
    private static final double LITTLE_RATIO = 7 / 8.0;

    private static final int LITTLE_GRID_PART = 8;

    private static final int SIMULATED_BLOCKS = 256;
    /** With about this many chunks, a layer loses little to fill and drain, and little to the start of copies. */
    private static final int CHUNKS = 16;

    private static final int CHUNK_TOKENS_MOST = 8192;
    /** Smaller chunks lose more to the start of copies, so there may be as few as half as many. */
    private static final int CHUNK_TOKENS_LEAST = 1024;

    private static final long AMPLE_STAGING_BYTES = 1L << 50;
    private static final CacheForm[] FORMS = CacheForm.values();

    private final CostModel costs;
    /** A geometry with larger blocks than {@code costs.geometry()}. */
    private final CacheGeometry coarse;

    private final int batch;
    private final int contextTokens;
    private final int blocksPerSequence;
    private final int blockTokens;
    /** Parts of the tokens, on the device or not, and of the rest of them, as activations or not. */
    private final int grid;
    /** Parts of the tokens on the device, as activations or not. */
    private final int deviceActivationGrid;
    /** The approximate number of chunks of a layer. */
    private final int chunks;

    private final long streamedWeightBytes;
    private final double streamedNanos;
    /** The compute time of a step without attention and recomputation, with an idle link and with a busy one. */
    private final double bareNanos;

    private final double bareNanosBesideLink;

    /** Index: form. Bytes of a block in all layers. */
    private final double[] blockBytes = new double[FORMS.length];
    /** Simulations of chunked steps so far, by blocks of each form. */
    private final Map<List<Integer>, Simulated> known = new HashMap<>();

    private @Nullable Simulated resident;
    private @Nullable Simulated kvpr;

    /**
     * @param streamedWeightBytes weights that cross the link in every step
     * @param batch sequences
     * @param contextTokens cached tokens of each
     */
    public PlacementSearch(CostModel costs, int batch, int contextTokens, long streamedWeightBytes) {
        CacheGeometry geometry = costs.geometry();
        this.batch = batch;
        this.contextTokens = contextTokens;
        this.blocksPerSequence =
                Math.clamp(SIMULATED_BLOCKS / batch, 1, Math.max(1, contextTokens / geometry.blockTokens()));
        this.blockTokens = Math.max(1, Math.round((float) contextTokens / blocksPerSequence));
        int cellTokens = Math.ceilDiv(geometry.cellTokens(), blockTokens) * blockTokens;
        this.coarse = new CacheGeometry(geometry.dimensions(), geometry.elementBytes(), blockTokens, cellTokens);
        this.costs = costs;
        boolean areFew = totalTokens() <= FEW_TOKENS;
        this.grid = areFew ? GRID / 2 : GRID;
        this.chunks = Math.clamp(totalTokens() / CHUNK_TOKENS_LEAST, CHUNKS / 2, CHUNKS);
        this.deviceActivationGrid = areFew ? DEVICE_ACTIVATION_GRID / 2 : DEVICE_ACTIVATION_GRID;
        this.streamedWeightBytes = streamedWeightBytes;
        this.streamedNanos = costs.profile().linkIn().nanos(streamedWeightBytes);
        this.bareNanos = bareNanos(1);
        this.bareNanosBesideLink = bareNanos(costs.profile().linkContentionFactor());
        for (CacheForm form : FORMS) {
            blockBytes[form.ordinal()] = tokensPerBlock() * geometry.tokenBytes(form.content());
        }
    }

    private double bareNanos(double linkContentionFactor) {
        return costs.layersNanos(group -> bareNanos(group, linkContentionFactor))
                + costs.nanos(new Stage.Embed(batch))
                + costs.nanos(new Stage.Head(batch));
    }

    /** Layers with a window have no chunks: their attention is always the same. */
    private double bareNanos(LayerGroup group, double linkContentionFactor) {
        int layer = group.layers().getFirst();
        double nanos = costs.issuedNanos(new Stage.Project(layer, batch), linkContentionFactor)
                + costs.issuedNanos(new Stage.FeedForward(layer, batch), linkContentionFactor);
        if (!group.layer().hasWindow()) {
            return nanos;
        }
        long seen = CostModel.seenTokens(group, batch, attendedTokens());
        return nanos + costs.issuedNanos(new Stage.AttendWindow(layer, seen, seen, batch), linkContentionFactor);
    }

    /**
     * A simulated step.
     *
     * @param schedule schedule of the step
     * @param tokens tokens in each form that occurs
     * @param times lane times of the step, without streamed weights
     * @param nanos time of the step, from the end of the one before; the link works in between too. Streamed weights
     *     fill the link's idle time, and cross before anything else in the first layer
     */
    public record Simulated(Schedule schedule, Map<CacheForm, Long> tokens, LaneTimes times, long nanos) {
        /** This step with a time of at least {@code least}. */
        public Simulated notBelow(double least) {
            return new Simulated(schedule, tokens, times, Math.max(nanos, (long) Math.ceil(least)));
        }
    }

    private Simulated simulated(Schedule schedule, Map<CacheForm, Long> tokens, StepPlan plan) {
        LaneTimes times = costs.simulator(plan).lanes(plan);
        double lanes = times.totalNanos()
                - costs.graphGainNanos(plan)
                + costs.profile().pauseNanos();
        double link = times.busyNanos(Lane.LINK_IN) + streamedNanos;
        return new Simulated(schedule, tokens, times, Math.round(Math.max(lanes, link) + streamedNanosOfALayer()));
    }

    private double streamedNanosOfALayer() {
        return streamedNanos / costs.geometry().dimensions().layerCount();
    }

    /**
     * A time that no simulated step is below which fits these memories; empty if none fits.
     *
     * @param forms that may be used
     */
    public OptionalDouble bound(Set<CacheForm> forms, long deviceBytes, long hostBytes) {
        // Blocks of whole tokens may hold a few less than there are: those that they hold have all of the memory.
        int tokens = Math.min(contextTokens, blocksPerSequence * blockTokens);
        double share = (double) tokens / contextTokens;
        return new StepBound(costs, batch, tokens, forms, streamedWeightBytes, share * deviceBytes, share * hostBytes)
                .nanos();
    }

    /** The tokens of a chunk. */
    public int chunkTokens() {
        return wholeCells(Math.min(totalTokens() / chunks, CHUNK_TOKENS_MOST));
    }

    /**
     * The number of chunks does not depend on the amount to transfer: that keeps simulations short, and the overlap is
     * as good.
     */
    public int simulatedChunkTokens() {
        return wholeCells(totalTokens() / chunks);
    }

    private int wholeCells(long tokens) {
        int cellTokens = coarse.cellTokens();
        return Math.toIntExact(Math.max(1, Math.ceilDiv(tokens, cellTokens)) * cellTokens);
    }

    private long totalTokens() {
        return (long) batch * contextTokens;
    }

    /** The tokens of all blocks, and the new ones. */
    private long attendedTokens() {
        return (long) blocks() * blockTokens + batch;
    }

    private int blocks() {
        return batch * blocksPerSequence;
    }

    /** The step with all K and V on the device. */
    public Simulated resident() {
        if (resident == null) {
            resident = all(Schedule.RESIDENT, CacheForm.DEVICE_KV);
        }
        return resident;
    }

    /** The step with all K and V on the host. */
    public Simulated fullTransfer() {
        return all(Schedule.FULL_TRANSFER, CacheForm.HOST_KV);
    }

    private Simulated all(Schedule schedule, CacheForm form) {
        Counts counts = new Counts();
        counts.set(form, blocks());
        return simulate(schedule, counts, Collections.nCopies(blocks(), form));
    }

    /** The step of the paper's schedule with its best split: the first tokens of each sequence are activations. */
    public Simulated kvpr() {
        if (kvpr == null) {
            kvpr = split();
        }
        return kvpr;
    }

    private Simulated split() {
        long layerTokens = totalTokens();
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
        return simulate(Schedule.KVPR, counts, forms);
    }

    /** The step of a solution of the linear programme, rounded to whole blocks. */
    public Simulated placed(Map<CacheForm, Double> tokens) {
        Counts counts = new Counts();
        int left = blocks();
        for (CacheForm form : CacheForm.values()) {
            int blocks = (int) Math.min(left, Math.round(tokens.getOrDefault(form, 0.0) / tokensPerBlock()));
            counts.set(form, blocks);
            left -= blocks;
        }
        counts.set(CacheForm.HOST_KV, counts.of(CacheForm.HOST_KV) + left);
        return simulated(counts);
    }

    /**
     * The shortest step of the family; empty if none fits.
     *
     * @param forms that may be used
     */
    public Optional<Simulated> fastest(Set<CacheForm> forms, long deviceBytes, long hostBytes) {
        PriorityQueue<Candidate> candidates = new PriorityQueue<>(
                Comparator.comparingDouble(Candidate::leastNanos).thenComparingDouble(Candidate::hostBytes));
        Family family = new Family(forms, deviceBytes, hostBytes);
        family.addBest(candidates);
        @Nullable Simulated best = null;
        while (!candidates.isEmpty()) {
            Candidate candidate = candidates.remove();
            if (best != null && candidate.leastNanos() >= best.nanos()) {
                break;
            }
            if (candidate.isPlanned()) {
                Simulated simulated = simulated(candidate.counts());
                best = best == null || simulated.nanos() < best.nanos() ? simulated : best;
            } else {
                candidates.add(candidate.planned(leastNanos(candidate.counts())));
                family.addNext(candidate, candidates);
            }
        }
        return Optional.ofNullable(best);
    }

    private Simulated simulated(Counts counts) {
        return known.computeIfAbsent(
                counts.parts(), parts -> simulate(Schedule.CHUNKED, counts, List.of(counts.row())));
    }

    /**
     * A member of the family.
     *
     * @param counts numbers of its blocks
     * @param leastNanos a lower bound on its step. Of equals, the one that transfers least is most often fastest
     * @param hostShare the 64ths of its blocks on the host that are activations
     * @param hostShareStep step to the next member to consider: 1 or -1
     * @param isPlanned whether {@code leastNanos} counts its actual chunks instead of the best rates
     */
    private record Candidate(
            Counts counts, double leastNanos, double hostBytes, int hostShare, int hostShareStep, boolean isPlanned) {
        /** This member with the bound of its actual chunks. */
        Candidate planned(double nanos) {
            return new Candidate(counts, Math.max(leastNanos, nanos), hostBytes, hostShare, hostShareStep, true);
        }
    }

    /**
     * The possible members of the family, the most promising first.
     *
     * <p>With more of the host's blocks as activations the link has less to do and the compute lane more. So for each
     * choice on the device the bound falls until the lanes cross, and rises after that. Only the two members next to
     * the crossing are made at first, and further ones once those have been considered.
     */
    private final class Family {
        private final Set<CacheForm> forms;
        private final double deviceBytes;
        private final double hostBytes;
        private final LowerBound bound = new LowerBound();
        /** Parts of the tokens on the host, as activations or not. */
        private final int hostGrid = savesLittle() ? grid / LITTLE_GRID_PART : grid;

        private final int hostShares = costs.geometry().activationsAreSmaller() ? hostGrid : 0;
        private final int deviceShares = costs.geometry().activationsAreSmaller() ? deviceActivationGrid : 0;

        Family(Set<CacheForm> forms, double deviceBytes, double hostBytes) {
            this.forms = forms;
            this.deviceBytes = deviceBytes;
            this.hostBytes = hostBytes;
        }

        /**
         * Adds the two best members for each choice of blocks on the device; with few blocks, many choices are equal.
         */
        void addBest(Collection<Candidate> to) {
            int blocksBefore = -1;
            for (int onDevice = 0; onDevice <= grid; onDevice++) {
                int deviceBlocks = part(blocks(), onDevice, grid);
                int activationsBefore = -1;
                for (int share = 0; share <= deviceShares && deviceBlocks != blocksBefore; share++) {
                    int activations = part(deviceBlocks, share, deviceActivationGrid);
                    if (activations != activationsBefore) {
                        addBest(deviceBlocks, activations, to);
                    }
                    activationsBefore = activations;
                }
                blocksBefore = deviceBlocks;
            }
        }

        private void addBest(int deviceBlocks, int deviceActivations, Collection<Candidate> to) {
            Counts least = new Counts(deviceBlocks, deviceActivations, 0);
            if (least.bytes(Place.DEVICE) > deviceBytes) {
                return;
            }
            int below = -1;
            int above = hostShares + 1;
            while (above - below > 1) {
                int middle = (below + above) / 2;
                if (bound.isComputeBound(counts(least, middle))) {
                    above = middle;
                } else {
                    below = middle;
                }
            }
            add(least, below, -1, to);
            add(least, above, 1, to);
        }

        /** Adds the member after one that was considered. */
        void addNext(Candidate candidate, Collection<Candidate> to) {
            int share = candidate.hostShare();
            int activations = candidate.counts().of(CacheForm.HOST_ACT);
            while (share >= 0
                    && share <= hostShares
                    && counts(candidate.counts(), share).of(CacheForm.HOST_ACT) == activations) {
                share += candidate.hostShareStep();
            }
            add(candidate.counts(), share, candidate.hostShareStep(), to);
        }

        /** Adds the first possible member in a direction. */
        private void add(Counts device, int from, int step, Collection<Candidate> to) {
            for (int share = from; share >= 0 && share <= hostShares; share += step) {
                Counts counts = counts(device, share);
                if (counts.usesOnly(forms) && counts.bytes(Place.HOST) <= hostBytes) {
                    to.add(new Candidate(counts, bound.nanos(counts), counts.bytes(Place.HOST), share, step, false));
                    return;
                }
            }
        }

        private Counts counts(Counts device, int hostShare) {
            int deviceActivations = device.of(CacheForm.DEVICE_ACT);
            int deviceBlocks = device.of(CacheForm.DEVICE_KV) + deviceActivations;
            return new Counts(deviceBlocks, deviceActivations, part(blocks() - deviceBlocks, hostShare, hostGrid));
        }
    }

    /** Whether activations are hardly smaller than K and V: then many members are about as fast. */
    private boolean savesLittle() {
        int activation = coarse.width(Content.ACTIVATION);
        return activation > LITTLE_RATIO * coarse.width(Content.KEY_VALUE);
    }

    private static int part(int all, int share, int of) {
        return (int) ((long) all * share / of);
    }

    private double tokensPerBlock() {
        return (double) contextTokens / blocksPerSequence;
    }

    /**
     * A lower bound on the step of a member: its lane times with its actual chunks. All layers have the same chunks, so
     * this takes a small part of the time of a simulation.
     */
    private double leastNanos(Counts counts) {
        if (counts.of(CacheForm.DEVICE_KV) == blocks()) {
            return (double) resident().nanos();
        }
        CellForms cells = new CellForms(coarse, batch, counts.row());
        List<Integer> starts = planner(Schedule.CHUNKED).cut(cells.staged()).starts();
        double link = 0;
        double compute = 0;
        for (int i = 0; i < starts.size(); i++) {
            int end = i + 1 < starts.size() ? starts.get(i + 1) : cells.cells();
            link += cells.linkNanos(costs, starts.get(i), end);
            compute += cells.computeNanos(costs, counts.linkContentionFactor(), starts.get(i), end);
        }
        int layers = coarse.cachedLayerCount();
        double pause = costs.profile().pauseNanos();
        return Math.max(streamedNanos + layers * link, counts.bareNanos() + layers * compute + pause)
                + streamedNanosOfALayer();
    }

    private Simulated simulate(Schedule schedule, Counts counts, List<CacheForm> forms) {
        return simulated(schedule, counts.tokens(), plan(schedule, forms));
    }

    private StepPlan plan(Schedule schedule, List<CacheForm> forms) {
        List<SequenceShape> sequences = new ArrayList<>();
        for (int i = 0; i < batch; i++) {
            List<CacheForm> closed = forms.subList(i * blocksPerSequence, (i + 1) * blocksPerSequence);
            // The step's own token fills a block of one token.
            List<CacheForm> closing = blockTokens == 1 ? List.of(closed.getLast()) : List.of();
            sequences.add(new SequenceShape(closed, 0, 1, closing));
        }
        StepShape shape = new StepShape(sequences, HeadShape.tokens(batch));
        return planner(schedule).plan(shape);
    }

    private StepPlanner planner(Schedule schedule) {
        return new StepPlanner(
                coarse, schedule, AMPLE_STAGING_BYTES, simulatedChunkTokens(), StagingLayout.SLOTS_USUAL);
    }

    /**
     * The lane times if every copy and every recomputation had the rate of the largest ones. The compute lane also
     * waits between two steps.
     */
    private final class LowerBound {
        /** By form. */
        private final double[] linkNanos = new double[CacheForm.values().length];
        /** By form. */
        private final double[] recomputeNanos = new double[CacheForm.values().length];

        private final double attentionNanos;

        LowerBound() {
            LayerCurves curves = costs.cachedCurves();
            // Chunks of a lone sequence contain no short sequences.
            Curve reads = batch == 1 ? curves.loneReads() : curves.attentionReads();
            attentionNanos = Math.max(
                    reads.nanos(attendedTokens()), curves.attentionPairs().nanos(attendedTokens()));
            long chunk = (long) simulatedChunkTokens() + coarse.cellTokens();
            for (CacheForm form : CacheForm.values()) {
                Route route = Route.of(form, costs, Math.min(chunk, contextTokens), chunk);
                linkNanos[form.ordinal()] = route.nanos(Lane.LINK_IN) * blockTokens;
                recomputeNanos[form.ordinal()] = route.nanos(Lane.COMPUTE) * blockTokens;
            }
        }

        private double link(Counts counts) {
            return streamedNanos + counts.times(linkNanos);
        }

        private double compute(Counts counts) {
            double attendNanos = counts.linkContentionFactor() * attentionNanos
                    + costs.profile().stageNanos();
            return counts.bareNanos()
                    + coarse.cachedLayerCount() * attendNanos
                    + counts.times(recomputeNanos)
                    + costs.profile().pauseNanos();
        }

        boolean isComputeBound(Counts counts) {
            return compute(counts) >= link(counts);
        }

        double nanos(Counts counts) {
            // This is the only member that runs as a graph.
            if (counts.of(CacheForm.DEVICE_KV) == blocks()) {
                return (double) resident().nanos();
            }
            return Math.max(link(counts), compute(counts)) + streamedNanosOfALayer();
        }
    }

    /** The number of blocks in each form. */
    private final class Counts {
        private final int[] blocks = new int[CacheForm.values().length];

        Counts() {}

        Counts(int deviceBlocks, int deviceActivations, int hostActivations) {
            set(CacheForm.DEVICE_KV, deviceBlocks - deviceActivations);
            set(CacheForm.DEVICE_ACT, deviceActivations);
            set(CacheForm.HOST_KV, blocks() - deviceBlocks - hostActivations);
            set(CacheForm.HOST_ACT, hostActivations);
        }

        /** The numbers by form, for comparison. */
        List<Integer> parts() {
            return Arrays.stream(blocks).boxed().toList();
        }

        void set(CacheForm form, int count) {
            blocks[form.ordinal()] = count;
        }

        int of(CacheForm form) {
            return blocks[form.ordinal()];
        }

        boolean usesOnly(Set<CacheForm> forms) {
            for (CacheForm form : FORMS) {
                if (of(form) > 0 && !forms.contains(form)) {
                    return false;
                }
            }
            return true;
        }

        double bytes(Place place) {
            double bytes = 0;
            for (CacheForm form : FORMS) {
                if (form.place() == place) {
                    bytes += of(form) * blockBytes[form.ordinal()];
                }
            }
            return bytes;
        }

        private boolean usesLink() {
            return of(CacheForm.HOST_KV) + of(CacheForm.HOST_ACT) > 0;
        }

        double linkContentionFactor() {
            return usesLink() ? costs.profile().linkContentionFactor() : 1;
        }

        double bareNanos() {
            return usesLink() ? bareNanosBesideLink : bareNanos;
        }

        /** The sum over the forms of a value per block. */
        double times(double[] perBlock) {
            double sum = 0;
            for (int form = 0; form < blocks.length; form++) {
                sum += blocks[form] * perBlock[form];
            }
            return sum;
        }

        /** The tokens in each form; together they are all tokens of the batch. */
        Map<CacheForm, Long> tokens() {
            Map<CacheForm, Long> tokens = new EnumMap<>(CacheForm.class);
            long before = 0;
            int upTo = 0;
            for (CacheForm form : CacheForm.values()) {
                upTo += of(form);
                long placed = Math.round(upTo * tokensPerBlock());
                tokens.put(form, placed - before);
                before = placed;
            }
            return tokens;
        }

        /**
         * All blocks in one row, with every form spread as evenly as its count allows: the form that lags most is next.
         */
        CacheForm[] row() {
            int all = blocks();
            int[] given = new int[blocks.length];
            CacheForm[] row = new CacheForm[all];
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
                row[i - 1] = FORMS[next];
            }
            return row;
        }
    }
}
