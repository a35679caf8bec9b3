package io.weft.plan.whatif;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a plan does and why, for people and programs: plain values with units in their names.
 *
 * @param hardware the machine
 * @param measured whether its figures were measured, or taken from a data sheet
 * @param batch sequences
 * @param contextTokens cached tokens of each sequence
 * @param fits whether everything fits the memory, so that it can be served; if not, {@code shortages} says what is
 *     missing. If only weights do not fit, the other figures are those of a step that streams them; otherwise there are
 *     none
 * @param shortages each alone would make it fit; if none alone would, all together, which a note says
 * @param notes sentences for the reader
 * @param memory the uses of memory
 * @param layers groups of equal layers
 * @param schedule how cached tokens reach attention
 * @param tokensByForm cached tokens in each form, {@code device_kv} and so on
 * @param chunkTokens tokens of a chunk
 * @param linkBytesPerStep that cross to the device: cached tokens, and weights that do not fit
 * @param recomputeFlopsPerStep floating-point operations to recompute K and V
 * @param predictedStepMillis by the simulator
 * @param boundMillis lower bound on the step of any placement, see {@link io.weft.plan.placement.StepBound}
 * @param tokensPerSecond of all sequences
 * @param boundBy {@code link}, {@code compute}, {@code device_memory} or {@code host_memory}
 * @param linkBusyRatio share of the step in which the link works
 * @param computeBusyRatio share of the step in which the device computes
 * @param prompts how long prompts of several lengths take alone, and what is saved of it where they begin with cached
 *     tokens; none if nothing fits
 * @param alternatives other placements
 * @param largestContext tokens of each of {@code batch} sequences that fit
 * @param largestBatch sequences of {@code contextTokens} tokens that fit
 */
public record PlanExplanation(
        String hardware,
        boolean measured,
        int batch,
        int contextTokens,
        boolean fits,
        List<MissingMemory> shortages,
        List<String> notes,
        MemoryParts memory,
        List<Layers> layers,
        Optional<String> schedule,
        Map<String, Long> tokensByForm,
        int chunkTokens,
        long linkBytesPerStep,
        double recomputeFlopsPerStep,
        double predictedStepMillis,
        double boundMillis,
        double tokensPerSecond,
        String boundBy,
        double linkBusyRatio,
        double computeBusyRatio,
        List<PromptTime> prompts,
        List<Alternative> alternatives,
        int largestContext,
        int largestBatch) {
    public PlanExplanation {
        shortages = List.copyOf(shortages);
        notes = List.copyOf(notes);
        // In the order of the forms, for readers.
        tokensByForm = Collections.unmodifiableMap(new LinkedHashMap<>(tokensByForm));
        layers = List.copyOf(layers);
        prompts = List.copyOf(prompts);
        alternatives = List.copyOf(alternatives);
    }

    /**
     * The time to the first token of a lone request.
     *
     * @param tokens of its prompt
     * @param coldMillis if nothing of it is cached
     * @param cachedTokens of it that may be cached from before
     * @param hitMillis if they are; they lie as the plan has it
     */
    public record PromptTime(int tokens, double coldMillis, int cachedTokens, double hitMillis) {}

    /**
     * Layers of equal sizes.
     *
     * @param count number of layers
     * @param heads query heads
     * @param keyValueHeads heads of K and V
     * @param headSize elements of a head
     * @param windowTokens tokens that a query sees, all of which stay on the device; 0 if it sees all tokens
     * @param experts experts of the feed-forward network; 0 without
     * @param keyValueBytesPerToken of one layer
     */
    public record Layers(
            int count,
            int heads,
            int keyValueHeads,
            int headSize,
            int windowTokens,
            int experts,
            long keyValueBytesPerToken) {}

    /**
     * Memory by part.
     *
     * @param deviceBytes all device memory
     * @param weightsBytes weights on the device
     * @param streamedWeightBytes weights that do not fit there
     * @param openBlockBytes blocks that are not full yet
     * @param windowBytes the newest tokens in layers with a window
     * @param deviceCacheBytes device memory left for the cache
     * @param deviceCacheUsedBytes bytes of it that the plan uses
     * @param hostBytes all host memory
     * @param hostCacheBytes host memory left for the cache
     * @param hostCacheUsedBytes bytes of it that the plan uses
     */
    public record MemoryParts(
            long deviceBytes,
            long weightsBytes,
            long streamedWeightBytes,
            long workspaceBytes,
            long stagingBytes,
            long openBlockBytes,
            long windowBytes,
            long deviceCacheBytes,
            long deviceCacheUsedBytes,
            long hostBytes,
            long hostWorkspaceBytes,
            long hostCacheBytes,
            long hostCacheUsedBytes) {}

    /**
     * More of one memory that would make everything fit.
     *
     * @param memory {@code device_memory} or {@code host_memory}
     * @param missingBytes how much more
     */
    public record MissingMemory(String memory, long missingBytes) {}

    /**
     * Another way to place and transfer the cache.
     *
     * @param name a schedule
     * @param description description for people
     * @param fits whether it fits the memory
     * @param missingBytes if not, how much memory it lacks
     * @param predictedStepMillis by the simulator, whether it fits or not
     * @param tokensPerSecond of all sequences
     * @param linkBytesPerStep that cross to the device
     */
    public record Alternative(
            String name,
            String description,
            boolean fits,
            long missingBytes,
            double predictedStepMillis,
            double tokensPerSecond,
            long linkBytesPerStep) {}
}
