package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.plan.placement.PlacementSolution.Placed;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Schedule;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Where the blocks of a sequence go under each schedule.
 *
 * <ul>
 *   <li>{@code kvpr} (arXiv 2411.17089) recomputes the first l tokens of a sequence of T. With x, k the link times of a
 *       token's activations and K and V in one layer, and c its recomputation, a layer takes l·x + max(l·c, (T − l)·k),
 *       least at l = T·k/(k + c).
 *   <li>{@code chunked} mixes the forms of the host evenly, by the {@linkplain PlacementProblem placement problem}
 *       without device memory. Of two forms, with C0 the compute that a step needs in any case, a step takes
 *       max(L·T·(s·x + (1 − s)·k), C0 + L·T·s·c), least where the two are equal, s = (L·T·k − C0) / (L·T·(k + c − x)).
 * </ul>
 *
 * Nothing is recomputed if activations are not smaller than K and V.
 */
public final class Placements {
    /** More than any host has. */
    private static final double AMPLE_BYTES = 1L << 50;

    private final CostModel costs;
    private final DecodeLoad load;
    private final Set<CacheForm> forms;
    /** The forms of the host that make steps shortest if nothing is on the device. */
    private final FormMix hostMix;

    /**
     * @param costs costs of stages
     * @param load the expected steps
     * @param forms that may be used; of a place without any, all that can pay
     */
    public Placements(CostModel costs, DecodeLoad load, Set<CacheForm> forms) {
        this.costs = costs;
        this.load = load;
        this.forms = Set.copyOf(forms);
        this.hostMix = hostMix();
    }

    /** Placements in any form. */
    public Placements(CostModel costs, DecodeLoad load) {
        this(costs, load, new TreeSet<>(CacheForm.all()));
    }

    /** The share of the tokens that {@code chunked} has in a form. */
    public double hostShare(CacheForm form) {
        return hostMix.share(form);
    }

    /** The policy of a schedule that was requested explicitly. */
    public PlacementPolicy policy(Schedule schedule) {
        return switch (schedule) {
            case RESIDENT, FULL_TRANSFER -> only(schedule);
            case KVPR -> kvpr();
            case CHUNKED -> (block, promptTokens) -> List.of(hostMix.form(block));
        };
    }

    /** The policy of a schedule that has one form. */
    private PlacementPolicy only(Schedule schedule) {
        CacheForm form = stored(schedule.forms().iterator().next());
        return (block, promptTokens) -> List.of(form);
    }

    private CacheForm stored(CacheForm form) {
        return costs.geometry().policy().stored(form);
    }

    /** The policy without a requested schedule: on the device while there is room, else like {@code chunked}. */
    public PlacementPolicy automatic() {
        CacheForm device = leastWork(Place.DEVICE);
        return (block, promptTokens) -> List.of(device, hostMix.form(block));
    }

    /**
     * The policy for one more sequence, given the current contents of the cache: the solution of the
     * {@linkplain PlacementProblem#admission placement problem}. It uses spare device memory from the first token on.
     * If that memory is short, some of it may hold activations, so that more tokens need not cross the link.
     *
     * @param tokens the most tokens that the sequence may have, at least 1
     */
    public PlacementPolicy admission(Occupancy occupancy, int tokens) {
        PlacementProblem problem = PlacementProblem.admission(costs, occupancy, tokens, load.chunkTokens());
        return new PlacementSolver(problem)
                .placed()
                .map(placed -> spread(placed.tokensByForm(), tokens))
                .orElseGet(this::automatic);
    }

    /**
     * The policy that places all sequences of the load together, by a solution of the
     * {@linkplain PlacementProblem#decode placement problem}.
     */
    public PlacementPolicy together(Placed placed) {
        return spread(placed.tokensByForm(), load.contextTokens());
    }

    /**
     * Forms in the proportions of {@code tokens}: blocks on the device come first, so that its memory is used as early
     * as possible; forms are spread evenly.
     *
     * @param sequenceTokens tokens of one sequence
     */
    private PlacementPolicy spread(Map<CacheForm, Double> tokens, int sequenceTokens) {
        Map<CacheForm, Double> device = at(tokens, Place.DEVICE);
        Map<CacheForm, Double> host = at(tokens, Place.HOST);
        double sequenceBlocks = (double) sequenceTokens / costs.geometry().blockTokens();
        double deviceShare = sum(device) / Math.max(1, sum(device) + sum(host));
        long deviceBlocks = host.isEmpty() ? Long.MAX_VALUE : Math.round(deviceShare * sequenceBlocks);
        FormMix onHost = host.isEmpty() ? hostMix : new FormMix(host);
        if (device.isEmpty()) {
            return (block, promptTokens) -> List.of(onHost.form(block));
        }
        FormMix onDevice = new FormMix(device);
        return (block, promptTokens) -> block < deviceBlocks
                ? List.of(onDevice.form(block), onHost.form(block))
                : List.of(onHost.form((int) (block - deviceBlocks)));
    }

    /** The tokens of the forms at a place, without remainders of rounding. */
    private static Map<CacheForm, Double> at(Map<CacheForm, Double> tokens, Place place) {
        Map<CacheForm, Double> there = new TreeMap<>();
        tokens.forEach((form, number) -> {
            if (form.place() == place && Math.rint(number) > 0) {
                there.put(form, Math.rint(number));
            }
        });
        return there;
    }

    private static double sum(Map<CacheForm, Double> tokens) {
        return tokens.values().stream().mapToDouble(number -> number).sum();
    }

    /**
     * The solution of the placement problem without device memory, unless its gain over a single form is less than the
     * cost of its further transfers in each chunk.
     */
    private FormMix hostMix() {
        List<CacheForm> onHost = useful(Place.HOST);
        if (onHost.size() < 2) {
            return new FormMix(Map.of(onHost.isEmpty() ? stored(CacheForm.HOST_KV) : onHost.getFirst(), 1.0));
        }
        PlacementProblem problem = PlacementProblem.decode(costs, load, onHost, 0, 0, AMPLE_BYTES);
        List<Placed> candidates = new ArrayList<>();
        for (Route route : problem.routes()) {
            candidates.add(new Placed(
                    problem,
                    problem.routes().stream()
                            .map(other -> other.equals(route) ? (double) problem.tokens() : 0.0)
                            .toList()));
        }
        new PlacementSolver(problem).placed().ifPresent(candidates::add);
        return candidates.stream()
                .min(Comparator.comparingDouble(this::nanosWithTransfers))
                .map(placed -> new FormMix(at(placed.tokensByForm(), Place.HOST)))
                .orElseThrow();
    }

    /** A chunk in several forms needs a transfer to start for each, and the compute lane to notice its end. */
    private double nanosWithTransfers(Placed placed) {
        double transferNanos =
                costs.profile().linkIn().nanos(1) + costs.profile().handoffNanos();
        long chunkTokens = Math.min(load.totalTokens(), load.chunkTokens());
        long chunks = costs.geometry().cachedLayerCount() * Math.ceilDiv(load.totalTokens(), chunkTokens);
        int forms = at(placed.tokensByForm(), Place.HOST).size();
        return placed.stepNanos() + (forms - 1) * chunks * transferNanos;
    }

    /** The forms at a place that may be used and can pay; if none may, all that can. */
    private List<CacheForm> useful(Place place) {
        List<CacheForm> useful = CacheForm.all().stream()
                .filter(form -> form.place() == place && costs.geometry().isUseful(form))
                .toList();
        List<CacheForm> chosen = useful.stream().filter(forms::contains).toList();
        return chosen.isEmpty() ? useful : chosen;
    }

    /** The form at a place that a step has least to do with. */
    private CacheForm leastWork(Place place) {
        return useful(place).stream()
                .min(Comparator.comparingDouble(this::busiestLaneNanos))
                .orElseThrow();
    }

    private double busiestLaneNanos(CacheForm form) {
        Route route = Route.of(form, costs, load.copyTokens(), Math.min(load.totalTokens(), load.chunkTokens()));
        double nanos = 0;
        for (Lane lane : Lane.values()) {
            nanos = Math.max(nanos, route.nanos(lane));
        }
        return nanos;
    }

    /**
     * The number l of first tokens that makes l·x + max(l·c, (T − l)·k) least, 0 to T.
     *
     * @param tokens T: also the bound on l, which the paper takes as the prompt
     */
    static long splitTokens(double activationLinkNanos, double keyValueLinkNanos, double recomputeNanos, long tokens) {
        if (activationLinkNanos >= keyValueLinkNanos || tokens <= 0) {
            return 0;
        }
        long below = (long) Math.floor(tokens * keyValueLinkNanos / (keyValueLinkNanos + recomputeNanos));
        long above = Math.min(below + 1, tokens);
        double belowNanos = splitNanos(activationLinkNanos, keyValueLinkNanos, recomputeNanos, tokens, below);
        double aboveNanos = splitNanos(activationLinkNanos, keyValueLinkNanos, recomputeNanos, tokens, above);
        return aboveNanos < belowNanos ? above : below;
    }

    /** l·x + max(l·c, (T − l)·k). */
    static double splitNanos(
            double activationLinkNanos,
            double keyValueLinkNanos,
            double recomputeNanos,
            long tokens,
            long recomputedTokens) {
        return recomputedTokens * activationLinkNanos
                + Math.max(recomputedTokens * recomputeNanos, (tokens - recomputedTokens) * keyValueLinkNanos);
    }

    private PlacementPolicy kvpr() {
        CacheGeometry geometry = costs.geometry();
        if (!geometry.isUseful(CacheForm.HOST_ACT)) {
            return policy(Schedule.FULL_TRANSFER);
        }
        double activation = costs.linkNanosPerToken(Encoding.ACTIVATION, load.contextTokens());
        double keyValue = costs.linkNanosPerToken(Encoding.KEY_VALUE, load.contextTokens());
        double recompute = costs.recomputeNanosPerToken(load.totalTokens());
        return (block, promptTokens) -> {
            long tokens = splitTokens(activation, keyValue, recompute, promptTokens);
            long blocks = Math.round((double) tokens / geometry.blockTokens());
            return List.of(block < blocks ? CacheForm.HOST_ACT : CacheForm.HOST_KV);
        };
    }
}
