package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.plan.placement.PlacementSolution.Placed;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Schedule;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;

/**
 * Where the blocks of a sequence go under each schedule, in closed form.
 *
 * <p>With x, k the link times of a token's activations and K and V in one layer, c its recomputation and C0 the compute
 * that a step needs in any case:
 *
 * <ul>
 *   <li>{@code kvpr} (arXiv 2411.17089) recomputes the first l tokens of a sequence of T. A layer takes l·x + max(l·c,
 *       (T − l)·k), least at l = T·k/(k + c).
 *   <li>{@code chunked} recomputes a share s of the tokens, evenly spread. A step takes max(L·T·(s·x + (1 − s)·k), C0 +
 *       L·T·s·c), least where the two are equal, s = (L·T·k − C0) / (L·T·(k + c − x)), within 0 and 1.
 * </ul>
 *
 * Nothing is recomputed if activations are not smaller than K and V.
 *
 * @param costs costs of stages
 * @param load the expected steps
 */
public record Placements(CostModel costs, DecodeLoad load) {
    /** The policy of a schedule that was requested explicitly. */
    public PlacementPolicy policy(Schedule schedule) {
        return switch (schedule) {
            case RESIDENT -> (block, promptTokens) -> List.of(CacheForm.DEVICE_KV);
            case FULL_TRANSFER -> (block, promptTokens) -> List.of(CacheForm.HOST_KV);
            case KVPR -> kvpr();
            case CHUNKED -> spread(List.of(), activationShare());
        };
    }

    /** The policy without a requested schedule: on the device while there is room, else like {@code chunked}. */
    public PlacementPolicy automatic() {
        return spread(List.of(CacheForm.DEVICE_KV), activationShare());
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
     * as possible; contents are spread evenly.
     *
     * @param sequenceTokens tokens of one sequence
     */
    private PlacementPolicy spread(Map<CacheForm, Double> tokens, int sequenceTokens) {
        double device = tokens(tokens, CacheForm.DEVICE_KV) + tokens(tokens, CacheForm.DEVICE_ACT);
        double host = tokens(tokens, CacheForm.HOST_KV) + tokens(tokens, CacheForm.HOST_ACT);
        double sequenceBlocks = (double) sequenceTokens / costs.geometry().blockTokens();
        long deviceBlocks = host > 0 ? Math.round(device / (device + host) * sequenceBlocks) : Long.MAX_VALUE;
        double deviceActivations = device > 0 ? tokens(tokens, CacheForm.DEVICE_ACT) / device : 0;
        double hostActivations = host > 0 ? tokens(tokens, CacheForm.HOST_ACT) / host : activationShare();
        return (block, promptTokens) -> {
            int ofHost = (int) (block < deviceBlocks ? block : block - deviceBlocks);
            CacheForm onHost = isActivation(ofHost, hostActivations) ? CacheForm.HOST_ACT : CacheForm.HOST_KV;
            if (block >= deviceBlocks) {
                return List.of(onHost);
            }
            CacheForm onDevice = isActivation(block, deviceActivations) ? CacheForm.DEVICE_ACT : CacheForm.DEVICE_KV;
            return List.of(onDevice, onHost);
        };
    }

    /** The tokens of a form, without remainders of rounding. */
    private static double tokens(Map<CacheForm, Double> byForm, CacheForm form) {
        return Math.rint(byForm.getOrDefault(form, 0.0));
    }

    /**
     * The share of tokens that {@code chunked} keeps as activations on the host, 0 to 1: the balanced one, unless its
     * gain over a single content is less than the cost of the second transfer of each chunk.
     */
    public double activationShare() {
        CacheGeometry geometry = costs.geometry();
        if (!geometry.activationsAreSmaller()) {
            return 0;
        }
        long copyTokens = load.copyTokens();
        long chunkTokens = Math.min(load.totalTokens(), load.chunkTokens());
        double activation = costs.linkNanosPerToken(Content.ACTIVATION, copyTokens);
        double keyValue = costs.linkNanosPerToken(Content.KEY_VALUE, copyTokens);
        double recompute = costs.recomputeNanosPerToken(chunkTokens);
        double base = costs.baseNanosBesideLink(load.sequences(), load.totalTokens()) / geometry.cachedLayerCount();
        double share = balancedShare(activation, keyValue, recompute, base, load.totalTokens());
        // A chunk with both contents needs another transfer to start, and the compute lane to notice its end.
        double transferNanos =
                costs.profile().linkIn().nanos(1) + costs.profile().handoffNanos();
        double mixedNanos = Math.ceilDiv(load.totalTokens(), Math.max(1, chunkTokens)) * transferNanos;
        return DoubleStream.of(0, 1, share)
                .boxed()
                .min(Comparator.comparingDouble(
                        s -> shareNanos(activation, keyValue, recompute, base, load.totalTokens(), s)
                                + (s > 0 && s < 1 ? mixedNanos : 0)))
                .orElseThrow();
    }

    /** max(T·(s·x + (1 − s)·k), C0 + T·s·c). */
    static double shareNanos(
            double activationLinkNanos,
            double keyValueLinkNanos,
            double recomputeNanos,
            double baseNanos,
            long tokens,
            double share) {
        return Math.max(
                tokens * (share * activationLinkNanos + (1 - share) * keyValueLinkNanos),
                baseNanos + tokens * share * recomputeNanos);
    }

    /**
     * The share s that makes max(T·(s·x + (1 − s)·k), C0 + T·s·c) least.
     *
     * @param activationLinkNanos x, of a token
     * @param keyValueLinkNanos k, of a token
     * @param recomputeNanos c, of a token
     * @param baseNanos C0
     * @param tokens T
     */
    static double balancedShare(
            double activationLinkNanos,
            double keyValueLinkNanos,
            double recomputeNanos,
            double baseNanos,
            long tokens) {
        double saved = keyValueLinkNanos - activationLinkNanos;
        if (saved <= 0 || tokens <= 0) {
            return 0;
        }
        double share = (tokens * keyValueLinkNanos - baseNanos) / (tokens * (saved + recomputeNanos));
        return Math.clamp(share, 0, 1);
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
        if (!geometry.activationsAreSmaller()) {
            return policy(Schedule.FULL_TRANSFER);
        }
        double activation = costs.linkNanosPerToken(Content.ACTIVATION, load.contextTokens());
        double keyValue = costs.linkNanosPerToken(Content.KEY_VALUE, load.contextTokens());
        double recompute = costs.recomputeNanosPerToken(load.totalTokens());
        return (block, promptTokens) -> {
            long tokens = splitTokens(activation, keyValue, recompute, promptTokens);
            long blocks = Math.round((double) tokens / geometry.blockTokens());
            return List.of(block < blocks ? CacheForm.HOST_ACT : CacheForm.HOST_KV);
        };
    }

    /**
     * Tries some forms first, then stores a share of the blocks as activations on the host and the others as K and V.
     */
    private static PlacementPolicy spread(List<CacheForm> first, double share) {
        List<CacheForm> activation = append(first, CacheForm.HOST_ACT);
        List<CacheForm> keyValue = append(first, CacheForm.HOST_KV);
        return (block, promptTokens) -> isActivation(block, share) ? activation : keyValue;
    }

    private static List<CacheForm> append(List<CacheForm> first, CacheForm last) {
        List<CacheForm> forms = new ArrayList<>(first);
        forms.add(last);
        return List.copyOf(forms);
    }

    /**
     * Spreads a share evenly, like Bresenham's line: for every n, n·share of the first n blocks, rounded, are
     * activations. Rounding down would leave many short sequences together far below their share.
     */
    static boolean isActivation(int block, double share) {
        return Math.round((block + 1) * share) > Math.round(block * share);
    }
}
