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
        List<Alternative> alternatives,
        int largestContext,
        int largestBatch) {
    public PlanExplanation {
        shortages = List.copyOf(shortages);
        notes = List.copyOf(notes);
        // In the order of the forms, for readers.
        tokensByForm = Collections.unmodifiableMap(new LinkedHashMap<>(tokensByForm));
        alternatives = List.copyOf(alternatives);
    }

    /**
     * Memory by part.
     *
     * @param deviceBytes all device memory
     * @param weightsBytes weights on the device
     * @param streamedWeightBytes weights that do not fit there
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
