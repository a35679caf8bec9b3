package io.weft.plan.whatif;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.WeightBits;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.placement.DecodeLoad;
import io.weft.plan.placement.PlacementProblem;
import io.weft.plan.placement.PlacementSearch;
import io.weft.plan.placement.PlacementSearch.Simulated;
import io.weft.plan.placement.PlacementSolution.DoesNotFit;
import io.weft.plan.placement.PlacementSolution.Placed;
import io.weft.plan.placement.PlacementSolver;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.whatif.PlanExplanation.Alternative;
import io.weft.plan.whatif.PlanExplanation.MemoryParts;
import io.weft.plan.whatif.PlanExplanation.MissingMemory;
import io.weft.plan.whatif.PlanExplanation.PromptTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.IntPredicate;
import java.util.function.LongPredicate;
import java.util.stream.Collectors;

/**
 * Predicts decode steps of a model on a machine that need not exist.
 *
 * <p>The prediction is the shortest simulated step of a fixed family of placements, so a faster link, a faster device
 * or more memory never makes it worse.
 *
 * @param profile profile of machine and model
 * @param measured whether the profile was measured
 * @param geometry of the cache
 * @param weights of the layers
 * @param batch sequences
 * @param contextTokens cached tokens of each
 * @param deviceBytes device memory for everything
 * @param hostBytes host memory
 * @param stagingBytes bytes of device memory for chunks in transfer
 * @param forms that may be used
 */
public record WhatIf(
        HardwareProfile profile,
        boolean measured,
        CacheGeometry geometry,
        WeightBits weights,
        int batch,
        int contextTokens,
        long deviceBytes,
        long hostBytes,
        long stagingBytes,
        Set<CacheForm> forms) {
    /** Bounds that keep answers quick and small. */
    public static final int BATCH_MOST = 1024;

    public static final int CONTEXT_MOST = 1 << 22;

    private static final long MEMORY_BYTES_MOST = 1L << 50;

    /** A host budget binds if a step would be faster without it by more than this share. */
    private static final double NOTABLE = 0.001;

    /** Tokens at the end of a prompt that is asked again. */
    private static final int NEW_TOKENS = 100;

    public WhatIf {
        forms = forms.stream().map(geometry::stored).collect(Collectors.toUnmodifiableSet());
        requireWithin("batch", batch, 1, BATCH_MOST);
        requireWithin("contextTokens", contextTokens, 1, CONTEXT_MOST);
        requireWithin("deviceBytes", deviceBytes, 1, MEMORY_BYTES_MOST);
        requireWithin("hostBytes", hostBytes, 0, MEMORY_BYTES_MOST);
        requireWithin("stagingBytes", stagingBytes, 0, deviceBytes);
        if (forms.isEmpty()) {
            throw new IllegalArgumentException("forms is empty, must have at least one");
        }
        if (forms.stream().noneMatch(geometry::isUseful)) {
            throw new IllegalArgumentException(
                    "forms has activations only, must have one with K and V: this model's activations take %,d bytes a layer and token, its K and V %,d"
                            .formatted(
                                    geometry.blockLayerBytes(Content.ACTIVATION) / geometry.blockTokens(),
                                    geometry.blockLayerBytes(Content.KEY_VALUE) / geometry.blockTokens()));
        }
    }

    private static void requireWithin(String name, long value, long least, long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(name + " is " + value + ", must be from " + least + " to " + most);
        }
    }

    /** The same question for a machine with other times. */
    public WhatIf withProfile(HardwareProfile other) {
        return new WhatIf(
                other, measured, geometry, weights, batch, contextTokens, deviceBytes, hostBytes, stagingBytes, forms);
    }

    /** The costs of stages. */
    public CostModel costs() {
        return new CostModel(profile, geometry);
    }

    /** The tokens of a cache block. */
    public int blockTokens() {
        return geometry.blockTokens();
    }

    /** Answers the question. */
    public PlanExplanation explain() {
        MemoryBudget budget = budget(batch, contextTokens);
        PlacementSearch search = search(budget);
        List<Alternative> alternatives = alternatives(search, budget);
        int largestContext = largest(CONTEXT_MOST, tokens -> isServed(batch, tokens));
        int largestBatch = largest(BATCH_MOST, sequences -> isServed(sequences, contextTokens));
        PlacementProblem problem = problem(budget, search.simulatedChunkTokens());
        boolean fits = fits(batch, contextTokens);
        return switch (new PlacementSolver(problem).solve()) {
            case Placed bound when fits -> explain(search, budget, bound, alternatives, largestContext, largestBatch);
            case Placed _, DoesNotFit _ ->
                unfit(search.chunkTokens(), budget, alternatives, largestContext, largestBatch);
        };
    }

    private PlanExplanation explain(
            PlacementSearch search,
            MemoryBudget budget,
            Placed bound,
            List<Alternative> alternatives,
            int largestContext,
            int largestBatch) {
        double boundNanos = search.bound(forms, budget.deviceCacheBytes(), budget.hostCacheBytes())
                .orElseGet(bound::stepNanos);
        Simulated best = best(search, budget, bound, boundNanos);
        return new PlanExplanation(
                profile.device(),
                measured,
                batch,
                contextTokens,
                budget.streamedWeightBytes() == 0,
                budget.streamedWeightBytes() == 0 ? List.of() : missing(),
                notes(budget),
                parts(budget, best.tokens()),
                layers(),
                Optional.of(best.schedule().label()),
                labelled(best.tokens()),
                search.chunkTokens(),
                linkBytes(budget, best),
                recomputeFlops(best.tokens()),
                best.nanos() / 1e6,
                boundNanos / 1e6,
                batch / (best.nanos() / 1e9),
                boundBy(search, budget, best),
                best.times().busyRatio(Lane.LINK_IN),
                best.times().busyRatio(Lane.COMPUTE),
                prompts(best.tokens()),
                alternatives,
                largestContext,
                largestBatch);
    }

    /** Prompts of a whole context, of an eighth and of a 64th, asked again with some new tokens at the end. */
    private List<PromptTime> prompts(Map<CacheForm, Long> tokensByForm) {
        PromptTimes times = new PromptTimes(costs(), MemoryBudget.Limits.usualRows(batch), tokensByForm);
        List<PromptTime> prompts = new ArrayList<>();
        for (int tokens : List.of(contextTokens / 64, contextTokens / 8, contextTokens)) {
            int cached = Math.max(tokens - NEW_TOKENS, 0) / blockTokens() * blockTokens();
            if (cached > 0) {
                prompts.add(new PromptTime(
                        tokens, times.nanos(tokens, 0) / 1e6, cached, times.nanos(tokens, cached) / 1e6));
            }
        }
        return prompts;
    }

    private Simulated best(PlacementSearch search, MemoryBudget budget, Placed bound, double boundNanos) {
        Simulated best = search.fastest(forms, budget.deviceCacheBytes(), budget.hostCacheBytes())
                // The family is too coarse if nearly all memory is needed. Rounded to whole blocks, the device may then
                // hold more than fits, which would make the step too short.
                .orElseGet(() -> search.placed(bound.tokensByForm()).notBelow(boundNanos));
        Simulated kvpr = search.kvpr();
        boolean kvprIsPossible =
                forms.containsAll(usedForms(kvpr)) && bytes(kvpr.tokens(), Place.HOST) <= budget.hostCacheBytes();
        return kvprIsPossible && kvpr.nanos() < best.nanos() ? kvpr : best;
    }

    private static Set<CacheForm> usedForms(Simulated simulated) {
        Set<CacheForm> used = new TreeSet<>();
        simulated.tokens().forEach((form, tokens) -> {
            if (tokens > 0) {
                used.add(form);
            }
        });
        return used;
    }

    private PlanExplanation unfit(
            int chunkTokens,
            MemoryBudget budget,
            List<Alternative> alternatives,
            int largestContext,
            int largestBatch) {
        List<MissingMemory> missing = missing();
        return new PlanExplanation(
                profile.device(),
                measured,
                batch,
                contextTokens,
                false,
                missing,
                unfitNotes(budget, missing),
                parts(budget, Map.of()),
                layers(),
                Optional.empty(),
                labelled(Map.of()),
                chunkTokens,
                0,
                0,
                0,
                0,
                0,
                missing.stream()
                        .min(Comparator.comparingLong(MissingMemory::missingBytes))
                        .map(MissingMemory::memory)
                        .orElse(label(Place.HOST)),
                0,
                0,
                List.of(),
                alternatives,
                largestContext,
                largestBatch);
    }

    private List<PlanExplanation.Layers> layers() {
        return geometry.dimensions().groups().stream()
                .map(group -> new PlanExplanation.Layers(
                        group.layers().size(),
                        group.layer().heads(),
                        group.layer().keyValueHeads(),
                        group.layer().headSize(),
                        group.layer().hasWindow() ? group.layer().window() : 0,
                        group.layer().feedForward().experts(),
                        (long) group.layer().keyValueWidth() * geometry.elementBytes()))
                .toList();
    }

    private MemoryBudget budget(int sequences, int tokens) {
        return MemoryBudget.of(
                geometry,
                weights,
                MemoryBudget.Limits.usual(geometry, sequences, tokens, deviceBytes),
                deviceBytes,
                hostBytes,
                stagingBytes);
    }

    private PlacementProblem problem(MemoryBudget budget, int chunkTokens) {
        return PlacementProblem.decode(
                new CostModel(profile, geometry),
                new DecodeLoad(batch, contextTokens, chunkTokens),
                forms,
                budget.streamedWeightBytes(),
                (double) Math.max(0, budget.deviceCacheBytes()),
                (double) Math.max(0, budget.hostCacheBytes()));
    }

    /** How much more of each memory alone would suffice, or of both together if neither would. */
    private List<MissingMemory> missing() {
        List<MissingMemory> missing = new ArrayList<>();
        least(more -> holdsWith(deviceBytes + more, hostBytes), MEMORY_BYTES_MOST - deviceBytes)
                .ifPresent(bytes -> missing.add(new MissingMemory(label(Place.DEVICE), bytes)));
        least(more -> holdsWith(deviceBytes, hostBytes + more), MEMORY_BYTES_MOST - hostBytes)
                .ifPresent(bytes -> missing.add(new MissingMemory(label(Place.HOST), bytes)));
        return missing.isEmpty() ? missingTogether() : missing;
    }

    private List<MissingMemory> missingTogether() {
        List<MissingMemory> missing = new ArrayList<>();
        least(more -> holdsWith(deviceBytes + more, MEMORY_BYTES_MOST), MEMORY_BYTES_MOST - deviceBytes)
                .ifPresent(device -> {
                    missing.add(new MissingMemory(label(Place.DEVICE), device));
                    least(more -> holdsWith(deviceBytes + device, hostBytes + more), MEMORY_BYTES_MOST - hostBytes)
                            .ifPresent(host -> missing.add(new MissingMemory(label(Place.HOST), host)));
                });
        return missing;
    }

    /** Whether weights and cache would fit other memory. */
    private boolean holdsWith(long device, long host) {
        // Staging that is a quarter of too little memory grows with it.
        long staging = stagingBytes < deviceBytes / 4
                ? stagingBytes
                : Math.max(stagingBytes, StagingLayout.usualBytes(geometry, batch, contextTokens, device));
        WhatIf other =
                new WhatIf(profile, measured, geometry, weights, batch, contextTokens, device, host, staging, forms);
        return other.isServed(batch, contextTokens);
    }

    /** Whether weights and cache fit. */
    private boolean isServed(int sequences, int tokens) {
        return budget(sequences, tokens).streamedWeightBytes() == 0 && fits(sequences, tokens);
    }

    /** The least amount that meets a condition, which all larger ones meet too; empty if not even the largest does. */
    private static OptionalLong least(LongPredicate isSo, long most) {
        if (!isSo.test(most)) {
            return OptionalLong.empty();
        }
        long tooLittle = -1;
        long enough = most;
        while (enough - tooLittle > 1) {
            long middle = (tooLittle + enough) / 2;
            if (isSo.test(middle)) {
                enough = middle;
            } else {
                tooLittle = middle;
            }
        }
        return OptionalLong.of(enough);
    }

    /** Without streaming, the room of two layers is not needed. */
    private long missingWeightBytes(MemoryBudget budget) {
        return budget.streamedWeightBytes() == 0
                ? 0
                : budget.streamedWeightBytes() - MemoryBudget.streamingRoomBytes(geometry, weights);
    }

    private List<String> notes(MemoryBudget budget) {
        List<String> notes = new ArrayList<>();
        if (!measured) {
            notes.add("the machine's figures are public ones, not measured");
        }
        if (budget.streamedWeightBytes() > 0) {
            notes.add("the weights do not fit device memory; the figures are those of streaming the rest in every step,"
                    + " which Weft does not do: it will not start with these settings");
        }
        if (contextTokens > geometry.dimensions().maxPositions()) {
            notes.add("%,d tokens are more than the model has positions for, %,d"
                    .formatted(contextTokens, geometry.dimensions().maxPositions()));
        }
        if (!geometry.activationsAreSmaller()) {
            notes.add("activations of this model are not smaller than K and V: recomputation saves nothing");
        }
        return notes;
    }

    private List<String> unfitNotes(MemoryBudget budget, List<MissingMemory> missing) {
        List<String> notes = new ArrayList<>(notes(budget));
        boolean isTogether = missing.size() > 1
                && !holdsWith(deviceBytes + missing.getFirst().missingBytes(), hostBytes);
        if (isTogether) {
            notes.add("more of one memory alone would not do: what is missing is missing of both");
        }
        return notes;
    }

    private static String label(Place place) {
        return switch (place) {
            case DEVICE -> "device_memory";
            case HOST -> "host_memory";
        };
    }

    /** Whether sequences of some length fit, each block in the most compact form. */
    private boolean fits(int sequences, int tokens) {
        MemoryBudget budget = budget(sequences, tokens);
        if (budget.deviceCacheBytes() < 0 || budget.hostCacheBytes() < 0) {
            return false;
        }
        double wanted = (double) sequences * tokens;
        return capacity(Place.DEVICE, budget.deviceCacheBytes()) + capacity(Place.HOST, budget.hostCacheBytes())
                >= wanted;
    }

    private double capacity(Place place, long bytes) {
        return usefulForms().stream()
                .filter(form -> form.place() == place)
                .mapToDouble(form -> geometry.tokenBytes(form.encoding()))
                .min()
                .stream()
                // A model without cached layers needs no memory for their tokens.
                .map(least -> least == 0 ? Long.MAX_VALUE : Math.floor(bytes / least))
                .findFirst()
                .orElse(0);
    }

    private Set<CacheForm> usefulForms() {
        Set<CacheForm> useful = new TreeSet<>();
        for (CacheForm form : forms) {
            if (geometry.isUseful(form)) {
                useful.add(form);
            }
        }
        return useful;
    }

    /** The largest good number, 0 if not even 1 is good; all smaller numbers are good too. */
    private static int largest(int most, IntPredicate isGood) {
        int good = 0;
        int bad = most + 1;
        while (bad - good > 1) {
            int middle = (int) (((long) good + bad) / 2);
            if (isGood.test(middle)) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        return good;
    }

    private PlacementSearch search(MemoryBudget budget) {
        return new PlacementSearch(costs(), batch, contextTokens, budget.streamedWeightBytes());
    }

    private MemoryParts parts(MemoryBudget budget, Map<CacheForm, Long> tokens) {
        return new MemoryParts(
                budget.deviceBytes(),
                budget.weightsBytes(),
                budget.streamedWeightBytes(),
                budget.workspaceBytes(),
                budget.stagingBytes(),
                budget.openBlockBytes(),
                budget.windowBytes(),
                budget.deviceCacheBytes(),
                bytes(tokens, Place.DEVICE),
                budget.hostBytes(),
                budget.hostWorkspaceBytes(),
                budget.hostCacheBytes(),
                bytes(tokens, Place.HOST));
    }

    private long bytes(Map<CacheForm, Long> tokens, Place place) {
        return tokens.entrySet().stream()
                .filter(entry -> entry.getKey().place() == place)
                .mapToLong(entry -> Math.round(
                        entry.getValue() * geometry.tokenBytes(entry.getKey().encoding())))
                .sum();
    }

    private long linkBytes(MemoryBudget budget, Simulated simulated) {
        return bytes(simulated.tokens(), Place.HOST) + budget.streamedWeightBytes();
    }

    private double recomputeFlops(Map<CacheForm, Long> tokens) {
        return tokens.entrySet().stream()
                .filter(entry -> entry.getKey().content() == Content.ACTIVATION)
                .mapToDouble(entry -> (double) entry.getValue() * geometry.recomputeFlopsPerToken())
                .sum();
    }

    private Map<String, Long> labelled(Map<CacheForm, Long> tokens) {
        Map<String, Long> labelled = new LinkedHashMap<>();
        for (CacheForm form : geometry.policy().forms()) {
            labelled.put(form.label(), tokens.getOrDefault(form, 0L));
        }
        return labelled;
    }

    private String boundBy(PlacementSearch search, MemoryBudget budget, Simulated best) {
        if (budget.streamedWeightBytes() > 0) {
            return label(Place.DEVICE);
        }
        boolean hostIsNearlyFull = bytes(best.tokens(), Place.HOST) > 0.9 * budget.hostCacheBytes();
        if (hostIsNearlyFull) {
            boolean wouldBeFaster = search.fastest(forms, budget.deviceCacheBytes(), Long.MAX_VALUE)
                    .filter(free -> free.nanos() < (1 - NOTABLE) * best.nanos())
                    .isPresent();
            if (wouldBeFaster) {
                return label(Place.HOST);
            }
        }
        return best.times().boundBy() == Lane.COMPUTE ? "compute" : "link";
    }

    private List<Alternative> alternatives(PlacementSearch search, MemoryBudget budget) {
        List<Alternative> alternatives = new ArrayList<>();
        alternatives.add(alternative(budget, "all K and V in device memory", search.resident()));
        alternatives.add(
                alternative(budget, "all K and V in host memory, all of it crosses the link", search.fullTransfer()));
        alternatives.add(alternative(
                budget, "the paper's split: first activations, then K and V while recomputing", search.kvpr()));
        search.fastest(storedOf(CacheForm.HOST_KV, CacheForm.HOST_ACT), 0, Long.MAX_VALUE)
                .ifPresent(chunked -> alternatives.add(alternative(
                        budget, "all in host memory, activations and K and V evenly mixed, chunk by chunk", chunked)));
        return alternatives;
    }

    private Set<CacheForm> storedOf(CacheForm... forms) {
        return Arrays.stream(forms).map(geometry.policy()::stored).collect(Collectors.toCollection(TreeSet::new));
    }

    private Alternative alternative(MemoryBudget budget, String description, Simulated simulated) {
        long missing = Math.max(
                bytes(simulated.tokens(), Place.DEVICE) - budget.deviceCacheBytes(),
                Math.max(bytes(simulated.tokens(), Place.HOST) - budget.hostCacheBytes(), missingWeightBytes(budget)));
        return new Alternative(
                simulated.schedule().label(),
                description,
                missing <= 0,
                Math.max(0, missing),
                simulated.nanos() / 1e6,
                batch / (simulated.nanos() / 1e9),
                linkBytes(budget, simulated));
    }
}
