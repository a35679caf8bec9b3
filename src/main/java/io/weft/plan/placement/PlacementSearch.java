package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.model.LayerGroup;
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
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Simulates decode steps of equal sequences, and finds the shortest of a fixed family of them. A member has some 64ths
 * of the tokens on the device, in one form or in eighths of K and V as they are and of another form, and the rest on
 * the host, in one form or in 64ths of two, which are both coded or both not. With few tokens there are half as many
 * parts, and fewer of two forms of nearly equal size. A solution of the linear programme has no more than two forms at
 * a place unless both memories are full.
 *
 * <p>The family depends neither on the machine nor on its memory, and the search ends with its shortest step. So a
 * faster link, a faster device or more memory never makes that longer, as long as it makes no member's step longer.
 * From rest no step gets longer when a stage gets shorter. A step that begins with transfers ahead could, since the
 * step before then gives the link less time. No such case is known.
 *
 * <p>A member is planned only while its busiest lane, at the best rates, would finish before the best step so far. It
 * is simulated only while it would still do so with the planned copies and computations.
 *
 * <p>Blocks are larger than those of the cache, so a step has a few hundred of them, however many tokens there are.
 */
public final class PlacementSearch {
    private static final int GRID = 64;
    private static final int DEVICE_GRID = 8;
    /**
     * With so few tokens, starting copies and kernels dominates their time, so many members are about as fast and must
     * be considered. Then there are half as many parts; this depends on the question, not on the machine.
     */
    private static final int FEW_TOKENS = 8192;

    /** With so few, where they are makes hardly a difference; then there are an eighth and a quarter as many parts. */
    private static final int VERY_FEW_TOKENS = 256;

    /** A form of more than this part of another's size saves little, and so few parts of them are enough. */
    private static final double LITTLE_RATIO = 7 / 8.0;

    private static final int LITTLE_GRID_PART = 8;

    private static final int SIMULATED_BLOCKS = 256;
    /** With about this many chunks, a layer loses little to fill and drain, and little to the start of copies. */
    private static final int CHUNKS = 16;

    private static final int CHUNK_TOKENS_MOST = 8192;
    /** Smaller chunks lose more to the start of copies, so there may be as few as half as many. */
    private static final int CHUNK_TOKENS_LEAST = 1024;

    private static final long AMPLE_STAGING_BYTES = 1L << 50;
    private static final List<CacheForm> FORMS = CacheForm.all();
    private static final Lane[] LANES = Lane.values();

    private final CostModel costs;
    /** A geometry with larger blocks than {@code costs.geometry()}. */
    private final CacheGeometry coarse;

    private final int batch;
    private final int contextTokens;
    private final int blocksPerSequence;
    private final int blockTokens;
    /** Parts of the tokens, on the device or not, and of those on the host, in one form or another. */
    private final int grid;
    /** Parts of the tokens on the device, in one form or another. */
    private final int deviceGrid;
    /** The approximate number of chunks of a layer. */
    private final int chunks;

    private final long streamedWeightBytes;
    private final double streamedNanos;
    private final double streamedNanosOfALayer;
    /** The compute time of a step without attention and recomputation, with an idle link and with a busy one. */
    private final double bareNanos;

    private final double bareNanosBesideLink;

    /** Of the member at hand: its blocks. */
    private final CacheForm[] row;
    /** Index: form. Bytes of a block in all layers. */
    private final double[] blockBytes = new double[FORMS.size()];
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
        int cellTokens = geometry.policy().isLossy()
                ? blockTokens
                : Math.ceilDiv(geometry.cellTokens(), blockTokens) * blockTokens;
        this.coarse = new CacheGeometry(
                geometry.dimensions(), geometry.elementType(), blockTokens, cellTokens, geometry.policy());
        this.costs = costs;
        boolean areFew = totalTokens() <= FEW_TOKENS;
        boolean areVeryFew = totalTokens() <= VERY_FEW_TOKENS;
        this.grid = areVeryFew ? GRID / 8 : areFew ? GRID / 2 : GRID;
        this.chunks = Math.clamp(totalTokens() / CHUNK_TOKENS_LEAST, CHUNKS / 2, CHUNKS);
        this.deviceGrid = areVeryFew ? DEVICE_GRID / 4 : areFew ? DEVICE_GRID / 2 : DEVICE_GRID;
        this.row = new CacheForm[blocks()];
        this.streamedWeightBytes = streamedWeightBytes;
        this.streamedNanos = costs.profile().linkIn().nanos(streamedWeightBytes);
        this.streamedNanosOfALayer = streamedNanos / geometry.dimensions().layerCount();
        this.bareNanos = bareNanos(1);
        this.bareNanosBesideLink = bareNanos(costs.profile().linkContentionFactor());
        for (CacheForm form : FORMS) {
            blockBytes[form.index()] = tokensPerBlock() * geometry.tokenBytes(form.encoding());
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
        return new Simulated(schedule, tokens, times, Math.round(Math.max(lanes, link) + streamedNanosOfALayer));
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

    int blocks() {
        return batch * blocksPerSequence;
    }

    /** The step with all K and V on the device. */
    public Simulated resident() {
        if (resident == null) {
            resident = all(Schedule.RESIDENT, coarse.policy().stored(CacheForm.DEVICE_KV));
        }
        return resident;
    }

    /** The step with all K and V on the host. */
    public Simulated fullTransfer() {
        return all(Schedule.FULL_TRANSFER, coarse.policy().stored(CacheForm.HOST_KV));
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
        if (!coarse.isUseful(CacheForm.HOST_ACT)) {
            return all(Schedule.KVPR, coarse.policy().stored(CacheForm.HOST_KV));
        }
        long layerTokens = totalTokens();
        long split = Placements.splitTokens(
                costs.linkNanosPerToken(Encoding.ACTIVATION, contextTokens),
                costs.linkNanosPerToken(Encoding.KEY_VALUE, contextTokens),
                costs.recomputeNanosPerToken(layerTokens),
                contextTokens);
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

    /** The step of a solution of the linear programme, rounded to whole blocks by the largest remainders. */
    public Simulated placed(Map<CacheForm, Double> tokens) {
        Counts counts = new Counts();
        List<CacheForm> byRemainder = new ArrayList<>();
        Map<CacheForm, Double> remainders = new TreeMap<>();
        int left = blocks();
        for (Map.Entry<CacheForm, Double> entry : tokens.entrySet()) {
            double blocks = entry.getValue() / tokensPerBlock();
            int whole = Math.min(left, (int) Math.floor(blocks));
            counts.set(entry.getKey(), whole);
            left -= whole;
            remainders.put(entry.getKey(), blocks - whole);
            byRemainder.add(entry.getKey());
        }
        byRemainder.sort(Comparator.comparingDouble(form -> -remainders.getOrDefault(form, 0.0)));
        for (int i = 0; left > 0; i = (i + 1) % byRemainder.size(), left--) {
            counts.set(byRemainder.get(i), counts.of(byRemainder.get(i)) + 1);
        }
        return simulated(counts);
    }

    /**
     * The shortest step of the family; empty if none fits.
     *
     * @param forms that may be used
     */
    public Optional<Simulated> fastest(Set<CacheForm> forms, long deviceBytes, long hostBytes) {
        return new Family(new LowerBound(), forms, deviceBytes, hostBytes).fastest();
    }

    Simulated simulated(Counts counts) {
        return known.computeIfAbsent(
                counts.parts(), parts -> simulate(Schedule.CHUNKED, counts, List.of(counts.row())));
    }

    /**
     * Members of the family that differ only in how the blocks on the host divide into two forms.
     *
     * @param device the blocks on the device
     * @param first index of a form of the host
     * @param second index of another, or the same if there is no other
     * @param laneNanos the time of each lane at the best rates, without the blocks on the host
     * @param blocks on the host
     * @param grid parts of them that may have the second form
     */
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    private record Line(Counts device, double[] laneNanos, int first, int second, int blocks, int grid) {
        /** The blocks of the second form. */
        int ofSecond(int share) {
            return part(blocks, share, grid);
        }
    }

    /**
     * A member of the family.
     *
     * @param counts numbers of its blocks
     * @param leastNanos a lower bound on its step. Of equals, the one that transfers least is most often fastest
     * @param share of its blocks on the host that have the second form, in parts of the line's grid
     * @param step to the next member of the line to consider: 1 or -1
     * @param isPlanned whether {@code leastNanos} counts its actual chunks instead of the best rates
     */
    private record Candidate(
            Line line, Counts counts, double leastNanos, double hostBytes, int share, int step, boolean isPlanned) {
        /** This member with the bound of its actual chunks. */
        Candidate planned(double nanos) {
            return new Candidate(line, counts, Math.max(leastNanos, nanos), hostBytes, share, step, true);
        }
    }

    /**
     * The possible members of the family, the most promising first.
     *
     * <p>Along a line the bound is the greatest of a few straight lines, one for each lane: it falls and then rises.
     * Only the two members next to its least are made at first, and further ones once those have been considered.
     */
    private final class Family {
        private final int[] onDevice;
        private final int[] onHost;
        private final double deviceBytes;
        private final double hostBytes;
        private final LowerBound bound;
        private final PriorityQueue<Candidate> candidates = new PriorityQueue<>(
                Comparator.comparingDouble(Candidate::leastNanos).thenComparingDouble(Candidate::hostBytes));
        private @Nullable Simulated best;
        private boolean isFirstOnly;

        Family(LowerBound bound, Set<CacheForm> forms, double deviceBytes, double hostBytes) {
            this.bound = bound;
            this.onDevice = indexes(forms, Place.DEVICE);
            this.onHost = indexes(forms, Place.HOST);
            this.deviceBytes = deviceBytes;
            this.hostBytes = hostBytes;
        }

        Optional<Simulated> fastest() {
            simulateMostPromising();
            addBest();
            while (!candidates.isEmpty()) {
                Candidate candidate = candidates.remove();
                if (candidate.leastNanos() >= bestNanos()) {
                    break;
                }
                if (candidate.isPlanned()) {
                    consider(candidate.counts());
                } else {
                    add(candidate.planned(leastNanos(candidate.counts())));
                    addNext(candidate);
                }
            }
            return Optional.ofNullable(best);
        }

        private double bestNanos() {
            return best == null ? Double.POSITIVE_INFINITY : best.nanos();
        }

        private void consider(Counts counts) {
            Simulated simulated = simulated(counts);
            best = best == null || simulated.nanos() < best.nanos() ? simulated : best;
        }

        private void add(Candidate candidate) {
            if (candidate.leastNanos() < bestNanos()) {
                candidates.add(candidate);
                // Before there is a step to compare with, only the most promising one counts.
                if (isFirstOnly && candidates.size() > 1) {
                    Candidate first = candidates.remove();
                    candidates.clear();
                    candidates.add(first);
                }
            }
        }

        /** Simulates the member with the least bound. */
        private void simulateMostPromising() {
            isFirstOnly = true;
            addBest();
            isFirstOnly = false;
            if (!candidates.isEmpty()) {
                consider(candidates.remove().counts());
            }
        }

        /** Adds the two best members of each line; with few blocks, many lines are equal. */
        private void addBest() {
            int before = -1;
            for (int share = 0; share <= grid; share++) {
                int blocks = part(blocks(), share, grid);
                if (blocks != before && (blocks == 0 || onDevice.length > 0)) {
                    addBest(blocks);
                }
                before = blocks;
            }
        }

        private void addBest(int deviceBlocks) {
            if (deviceBlocks == 0) {
                addLines(new Counts());
                return;
            }
            for (int i = 0; i < onDevice.length; i++) {
                addBest(deviceBlocks, onDevice[i], onDevice[i], 0);
                for (int j = i + 1; j < onDevice.length; j++) {
                    if (FORMS.get(onDevice[i]).isReadInPlace() || isRaw(onDevice[i]) == isRaw(onDevice[j])) {
                        addBest(deviceBlocks, onDevice[i], onDevice[j]);
                    }
                }
            }
        }

        private void addBest(int deviceBlocks, int first, int second) {
            int before = 0;
            for (int share = 1; share < deviceGrid; share++) {
                int ofSecond = part(deviceBlocks, share, deviceGrid);
                if (ofSecond != before && ofSecond < deviceBlocks) {
                    addBest(deviceBlocks, first, second, ofSecond);
                }
                before = ofSecond;
            }
        }

        private void addBest(int deviceBlocks, int first, int second, int ofSecond) {
            double bytes = (deviceBlocks - ofSecond) * blockBytes[first] + ofSecond * blockBytes[second];
            if (bytes <= deviceBytes) {
                Counts device = new Counts();
                device.blocks[first] += deviceBlocks - ofSecond;
                device.blocks[second] += ofSecond;
                addLines(device);
            }
        }

        private void addLines(Counts device) {
            int rest = blocks() - device.sum();
            double[] laneNanos = bound.laneNanos(device, rest > 0);
            if (rest == 0) {
                Line line = new Line(device, laneNanos, 0, 0, 0, 1);
                add(new Candidate(line, device, bound.nanos(device), 0, 0, 1, false));
                return;
            }
            if (bound.leastNanos(laneNanos, onHost, rest) >= bestNanos()) {
                return;
            }
            for (int i = 0; i < onHost.length; i++) {
                addLine(device, laneNanos, onHost[i], onHost[i], rest);
                for (int j = i + 1; j < onHost.length; j++) {
                    if (isRaw(onHost[i]) == isRaw(onHost[j])) {
                        addLine(device, laneNanos, onHost[i], onHost[j], rest);
                    }
                }
            }
        }

        /** Adds the members on both sides of where the bound begins to rise. */
        private void addLine(Counts device, double[] laneNanos, int first, int second, int blocks) {
            int grid = first == second ? 2 : grid(first, second);
            int below = 0;
            int above = grid;
            while (above - below > 1) {
                int middle = (below + above) / 2;
                int ofSecond = part(blocks, middle, grid);
                double nanos = bound.nanos(laneNanos, first, second, blocks, ofSecond);
                // Few blocks may have the same next member; where nothing changes, either side will do.
                if (bound.nanos(laneNanos, first, second, blocks, ofSecond + 1) >= nanos) {
                    above = middle;
                } else {
                    below = middle;
                }
            }
            Line line = new Line(device, laneNanos, first, second, blocks, grid);
            if (first == second) {
                add(line, 1, grid);
                return;
            }
            add(line, below, -1);
            add(line, above, 1);
        }

        /** Adds the next member of the line of one that was considered. */
        private void addNext(Candidate candidate) {
            Line line = candidate.line();
            int share = candidate.share() + candidate.step();
            while (share > 0 && share < line.grid() && line.ofSecond(share) == line.ofSecond(candidate.share())) {
                share += candidate.step();
            }
            add(line, share, candidate.step());
        }

        /** Adds the first possible member of a line in a direction; members in one form are lines of their own. */
        private void add(Line line, int from, int step) {
            for (int share = from; share > 0 && share < line.grid(); share += step) {
                int second = line.first() == line.second() ? 0 : line.ofSecond(share);
                boolean isOwn = line.first() == line.second() || (second > 0 && second < line.blocks());
                int first = line.blocks() - second;
                double bytes = first * blockBytes[line.first()] + second * blockBytes[line.second()];
                if (isOwn && bytes <= hostBytes) {
                    double nanos = bound.nanos(line.laneNanos(), line.first(), line.second(), line.blocks(), second);
                    if (nanos < bestNanos()) {
                        Counts counts = line.device().with(line.first(), first, line.second(), second);
                        add(new Candidate(line, counts, nanos, bytes, share, step, false));
                    }
                    return;
                }
            }
        }

        /** Parts of the blocks on the host in one form or another. */
        private int grid(int first, int second) {
            double ratio =
                    Math.min(blockBytes[first], blockBytes[second]) / Math.max(blockBytes[first], blockBytes[second]);
            return ratio > LITTLE_RATIO ? Math.max(2, grid / LITTLE_GRID_PART) : grid;
        }
    }

    private int[] indexes(Set<CacheForm> forms, Place place) {
        return FORMS.stream()
                .filter(form -> form.place() == place && forms.contains(form) && coarse.isUseful(form))
                .mapToInt(CacheForm::index)
                .toArray();
    }

    private static boolean isRaw(int form) {
        return !FORMS.get(form).encoding().isCoded();
    }

    private static int part(int all, int share, int of) {
        return (int) ((long) all * share / of);
    }

    private double tokensPerBlock() {
        return (double) contextTokens / blocksPerSequence;
    }

    /**
     * A lower bound on the step of a member with its actual chunks: the time of a lane, or of a chain through both. All
     * layers have the same chunks, so this takes a small part of the time of a simulation.
     *
     * <p>A chunk crosses the link once the attention to the chunk that had its slot is complete. So in each layer,
     * after its projections, the first chunk is attended to, then all but those that had slots before cross, and then
     * the last one is attended to.
     */
    double leastNanos(Counts counts) {
        if (counts.isResident()) {
            return (double) resident().nanos();
        }
        CellForms cells = new CellForms(coarse, batch, counts.row());
        List<Integer> starts = planner(Schedule.CHUNKED).cut(cells.staged()).starts();
        int chunks = starts.size();
        double link = 0;
        double compute = 0;
        double chain = 0;
        for (int i = 0; i < chunks; i++) {
            int end = i + 1 < chunks ? starts.get(i + 1) : cells.cells();
            double transfer = cells.linkNanos(costs, starts.get(i), end);
            double attend = cells.computeNanos(costs, counts.linkContentionFactor(), starts.get(i), end);
            link += transfer;
            compute += attend;
            chain += i >= StagingLayout.SLOTS_USUAL ? transfer : 0;
            chain += i == 0 || i == chunks - 1 ? attend : 0;
        }
        int layers = coarse.cachedLayerCount();
        double onCompute = counts.bareNanos()
                + layers * Math.max(compute, chain)
                + costs.profile().pauseNanos();
        return Math.max(streamedNanos + layers * link, onCompute) + streamedNanosOfALayer;
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
     * The lane times if every copy and every computation had the rate of the largest ones. The compute lane also waits
     * between two steps.
     */
    final class LowerBound {
        /** Index: lane, then form. Of a block. */
        private final double[][] blockNanos = new double[LANES.length][FORMS.size()];
        /** Index: lane. Of a step in any case, with an idle link and with a busy one. */
        private final double[] baseNanos;

        private final double[] baseNanosBesideLink;

        LowerBound() {
            double attentionNanos = coarse.dimensions()
                    .cachedGroup()
                    .map(group -> costs.leastAttentionNanos(group, batch, attendedTokens()))
                    .orElse(0.0);
            baseNanos = base(PlacementSearch.this.bareNanos, attentionNanos);
            baseNanosBesideLink = base(
                    PlacementSearch.this.bareNanosBesideLink, costs.profile().linkContentionFactor() * attentionNanos);
            CostModel ofCoarse = new CostModel(costs.profile(), coarse);
            int chunk = simulatedChunkTokens();
            int copy = Math.min(chunk, blocksPerSequence * blockTokens);
            for (CacheForm form : FORMS) {
                if (coarse.isUseful(form)) {
                    Route route = Route.atBestRates(form, ofCoarse, copy, chunk);
                    for (Lane lane : LANES) {
                        blockNanos[lane.ordinal()][form.index()] = route.nanos(lane) * blockTokens;
                    }
                    blockNanos[Lane.COMPUTE.ordinal()][form.index()] += stages(form)
                            * coarse.cachedLayerCount()
                            * costs.profile().stageNanos()
                            * blockTokens
                            / chunk;
                }
            }
        }

        private double[] base(double bareNanos, double attentionNanos) {
            double[] nanos = new double[LANES.length];
            nanos[Lane.LINK_IN.ordinal()] = streamedNanos;
            nanos[Lane.COMPUTE.ordinal()] = bareNanos
                    + coarse.cachedLayerCount() * attentionNanos
                    + costs.profile().pauseNanos();
            return nanos;
        }

        /** The compute stages of a chunk in this form. */
        private static int stages(CacheForm form) {
            int toAttend = form.isReadInPlace() ? 0 : 1;
            int toRecompute = form.content() == Content.ACTIVATION ? 1 : 0;
            return toAttend + toRecompute + (form.encoding().isCoded() || form.isGathered() ? 1 : 0);
        }

        /** By lane: the time of a step without the blocks that are not counted. */
        double[] laneNanos(Counts counts, boolean isBesideLink) {
            double[] nanos = (isBesideLink ? baseNanosBesideLink : baseNanos).clone();
            for (int lane = 0; lane < nanos.length; lane++) {
                nanos[lane] += counts.times(blockNanos[lane]);
            }
            return nanos;
        }

        /** A bound on the step with {@code blocks} more blocks in some forms, if each lane could choose for itself. */
        double leastNanos(double[] laneNanos, int[] forms, int blocks) {
            double longest = 0;
            for (int lane = 0; lane < laneNanos.length; lane++) {
                double least = Double.POSITIVE_INFINITY;
                for (int form : forms) {
                    least = Math.min(least, blockNanos[lane][form]);
                }
                longest = Math.max(longest, laneNanos[lane] + blocks * least);
            }
            return longest + streamedNanosOfALayer;
        }

        /** The bound with {@code blocks} more blocks, of which {@code ofSecond} in a second form. */
        double nanos(double[] laneNanos, int first, int second, int blocks, int ofSecond) {
            double longest = 0;
            for (int lane = 0; lane < laneNanos.length; lane++) {
                double[] nanos = blockNanos[lane];
                longest = Math.max(
                        longest, laneNanos[lane] + (blocks - ofSecond) * nanos[first] + ofSecond * nanos[second]);
            }
            return longest + streamedNanosOfALayer;
        }

        double nanos(Counts counts) {
            // This is the only member that runs as a graph.
            if (counts.isResident()) {
                return (double) resident().nanos();
            }
            double longest = 0;
            for (double nanos : laneNanos(counts, counts.usesLink())) {
                longest = Math.max(longest, nanos);
            }
            return longest + streamedNanosOfALayer;
        }
    }

    /** The number of blocks in each form. */
    final class Counts {
        private final int[] blocks = new int[FORMS.size()];

        /** These blocks and some more. */
        Counts with(int first, int ofFirst, int second, int ofSecond) {
            Counts counts = new Counts();
            System.arraycopy(blocks, 0, counts.blocks, 0, blocks.length);
            counts.blocks[first] += ofFirst;
            counts.blocks[second] += ofSecond;
            return counts;
        }

        int sum() {
            int sum = 0;
            for (int ofForm : blocks) {
                sum += ofForm;
            }
            return sum;
        }

        /** Whether all are read where they are. */
        boolean isResident() {
            for (int form = 0; form < blocks.length; form++) {
                if (blocks[form] > 0 && !FORMS.get(form).isReadInPlace()) {
                    return false;
                }
            }
            return true;
        }

        /** The numbers by form, for comparison. */
        List<Integer> parts() {
            return Arrays.stream(blocks).boxed().toList();
        }

        void set(CacheForm form, int count) {
            blocks[form.index()] = count;
        }

        int of(CacheForm form) {
            return blocks[form.index()];
        }

        double bytes(Place place) {
            double bytes = 0;
            for (int form = 0; form < blocks.length; form++) {
                if (FORMS.get(form).place() == place) {
                    bytes += blocks[form] * blockBytes[form];
                }
            }
            return bytes;
        }

        private boolean usesLink() {
            for (int form = 0; form < blocks.length; form++) {
                if (blocks[form] > 0 && FORMS.get(form).place() == Place.HOST) {
                    return true;
                }
            }
            return false;
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
            Map<CacheForm, Long> tokens = new TreeMap<>();
            long before = 0;
            int upTo = 0;
            for (CacheForm form : CacheForm.all()) {
                upTo += of(form);
                long placed = Math.round(upTo * tokensPerBlock());
                tokens.put(form, placed - before);
                before = placed;
            }
            return tokens;
        }

        /**
         * All blocks in one row, with every form spread as evenly as its count allows: the form that lags most is next.
         * The row is that of the search, until it is asked for another one.
         */
        CacheForm[] row() {
            int all = blocks();
            int[] given = new int[blocks.length];
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
                row[i - 1] = FORMS.get(next);
            }
            return row;
        }
    }
}
