package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.BlockRun;
import io.weft.plan.step.Lane;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Decides which blocks of running sequences are copied to the device between two steps.
 *
 * <p>A byte of device memory saves a byte over the link in every step, whatever block it holds. So exchanging blocks of
 * one sequence for those of another never pays, but using memory that holds nothing does. A full block is copied there
 * if the steps that its sequence may still run save at least {@value #GAIN_FACTOR} times the time of the copy.
 *
 * @param costs costs of stages
 * @param chunkTokens staged tokens of a chunk
 */
public record MovePlanner(CostModel costs, int chunkTokens) {
    /** A margin: sequences may end early, and steps deviate from predictions. */
    static final int GAIN_FACTOR = 4;

    /** The most of a step's time that its copies may take, so that other users of the link hardly notice. */
    static final double STEP_SHARE = 0.125;

    public MovePlanner {
        if (chunkTokens < 1) {
            throw new IllegalArgumentException("chunkTokens is " + chunkTokens + ", must be at least 1");
        }
    }

    /**
     * A sequence that decodes.
     *
     * @param forms in which its full blocks are read, in token order
     * @param tokens number of cached tokens
     * @param stepsLeft steps that it may still run
     */
    public record Running(List<CacheForm> forms, int tokens, int stepsLeft) {
        public Running {
            forms = List.copyOf(forms);
            if (tokens < 0 || stepsLeft < 0) {
                throw new IllegalArgumentException(
                        "sequence has " + tokens + " tokens and " + stepsLeft + " steps left, must not be negative");
            }
        }
    }

    /**
     * The full blocks that are read from the host and are copied to the device during the next step.
     *
     * @param freeDeviceBytes free device memory for full blocks
     */
    public List<BlockRun> promotions(List<Running> sequences, long freeDeviceBytes) {
        if (sequences.isEmpty()) {
            return List.of();
        }
        Decision decision = new Decision(sequences, freeDeviceBytes);
        List<Integer> longestFirst = IntStream.range(0, sequences.size())
                .boxed()
                .sorted(Comparator.comparingInt(
                        sequence -> -sequences.get(sequence).stepsLeft()))
                .toList();
        longestFirst.forEach(decision::promote);
        return decision.copies;
    }

    private CacheGeometry geometry() {
        return costs.geometry();
    }

    /**
     * The time of a block's copies: one per layer, since a block's layers are neighbours on the device but not on the
     * host.
     */
    private double copyNanos(Encoding encoding) {
        return geometry().cachedLayerCount()
                * costs.profile().linkIn().nanos(geometry().blockLayerBytes(encoding));
    }

    /** The lane times of the current step, and their change by moves. */
    private final class Decision {
        private final List<Running> sequences;
        private final Map<CacheForm, Route> routes = new TreeMap<>();
        private final List<BlockRun> copies = new ArrayList<>();
        /** The forms of blocks that may still be copied. */
        private final Set<CacheForm> candidates = CacheForm.all().stream()
                .filter(form -> form.place() == Place.HOST)
                .collect(Collectors.toCollection(TreeSet::new));

        private final double copyNanosMost;
        private double linkNanos;
        private double computeNanos;
        private double copyNanos;
        private long freeDeviceBytes;

        Decision(List<Running> sequences, long freeDeviceBytes) {
            this.sequences = sequences;
            this.freeDeviceBytes = freeDeviceBytes;
            long tokens = sequences.stream().mapToLong(Running::tokens).sum();
            long copyTokens = Math.clamp(tokens / sequences.size(), 1, chunkTokens);
            for (CacheForm form : CacheForm.all()) {
                routes.put(form, Route.of(form, costs, copyTokens, Math.clamp(tokens, 1, chunkTokens)));
            }
            // If nothing crosses the link, nothing moves.
            computeNanos = costs.baseNanosBesideLink(sequences.size(), tokens);
            for (CacheForm form : CacheForm.all()) {
                linkNanos += fullBlocks(form) * nanos(form, Lane.LINK_IN);
                computeNanos += fullBlocks(form) * nanos(form, Lane.COMPUTE);
            }
            copyNanosMost = STEP_SHARE * Math.max(linkNanos, computeNanos);
        }

        private long fullBlocks(CacheForm form) {
            long blocks = 0;
            for (Running sequence : sequences) {
                blocks += Collections.frequency(sequence.forms(), form);
            }
            return blocks;
        }

        /** The time that a block takes of a lane in a step. */
        private double nanos(CacheForm form, Lane lane) {
            return geometry().blockTokens()
                    * Objects.requireNonNull(routes.get(form)).nanos(lane);
        }

        /**
         * Copies blocks, starting with the first that is read from the host, so that the remaining ones stay neighbours
         * there.
         */
        void promote(int index) {
            Running sequence = sequences.get(index);
            int full = sequence.forms().size();
            int from = 0;
            for (int block = 0; block <= full; block++) {
                boolean isTaken = block < full && takes(sequence.forms().get(block), sequence.stepsLeft());
                if (!isTaken) {
                    if (block > from) {
                        copies.add(new BlockRun(index, from, block - from));
                    }
                    from = block + 1;
                }
            }
        }

        /** A form that is refused once is always refused: gains, time, memory and the steps left only decrease. */
        private boolean takes(CacheForm form, int stepsLeft) {
            if (!candidates.contains(form)) {
                return false;
            }
            CacheForm copy = form.at(Place.DEVICE);
            double linkAfter = linkNanos - nanos(form, Lane.LINK_IN);
            double computeAfter = computeNanos - nanos(form, Lane.COMPUTE) + nanos(copy, Lane.COMPUTE);
            double savedNanos = Math.max(linkNanos, computeNanos) - Math.max(linkAfter, computeAfter);
            double blockNanos = copyNanos(form.encoding());
            boolean pays = savedNanos > 0 && savedNanos * stepsLeft >= GAIN_FACTOR * blockNanos;
            // One block per step is always allowed, however long the copies of its layers take.
            boolean isTimely = copyNanos == 0 || copyNanos + blockNanos <= copyNanosMost;
            long bytes = geometry().blockBytes(form.encoding());
            if (!pays || !isTimely || bytes > freeDeviceBytes) {
                candidates.remove(form);
                return false;
            }
            freeDeviceBytes -= bytes;
            copyNanos += blockNanos;
            linkNanos = linkAfter;
            computeNanos = computeAfter;
            return true;
        }
    }
}
