package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.BlockRun;
import io.weft.plan.step.Lane;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Decides which blocks of running sequences change their place between two steps.
 *
 * <p>A byte of device memory saves a byte over the link in every step, whatever block it holds. So exchanging blocks of
 * one sequence for those of another never pays, but using memory that holds nothing does: free memory, and homes of
 * blocks that will not be full for long. A full block is copied there if the steps that its sequence may still run save
 * at least {@value #GAIN_FACTOR} times the time of the copy. Blocks are only ever copied to the device and homes only
 * ever leave it, so nothing moves back and forth.
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
     * @param forms of all blocks that it may ever fill, in token order: for full blocks the forms in which they are
     *     read, for others those of their homes
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
     * The moves before the next step, in order: homes are given up before copies take their memory.
     *
     * @param freeDeviceBytes free device memory for full blocks
     * @param freeHostBytes free host memory for homes
     */
    public List<Move> moves(List<Running> sequences, long freeDeviceBytes, long freeHostBytes) {
        if (sequences.isEmpty()) {
            return List.of();
        }
        Decision decision = new Decision(sequences, freeDeviceBytes, freeHostBytes);
        List<Integer> longestFirst = IntStream.range(0, sequences.size())
                .boxed()
                .sorted(Comparator.comparingInt(
                        sequence -> -sequences.get(sequence).stepsLeft()))
                .toList();
        longestFirst.forEach(decision::promote);
        return decision.moves();
    }

    private CacheGeometry geometry() {
        return costs.geometry();
    }

    private int fullBlocks(Running sequence) {
        return Math.min(
                sequence.tokens() / geometry().blockTokens(), sequence.forms().size());
    }

    /**
     * The time of a block's copies: one per layer, since a block's layers are neighbours on the device but not on the
     * host.
     */
    private double copyNanos(Content content) {
        return geometry().cachedLayerCount()
                * costs.profile().linkIn().nanos(geometry().blockLayerBytes(content));
    }

    /**
     * The moves that let a waiting sequence fit: for blocks that are not full yet, homes for K and V on the device
     * become homes for activations. None if that is not enough.
     *
     * @param missingBytes memory that the waiting sequence lacks
     */
    public List<Move> makeRoom(List<Running> sequences, long missingBytes) {
        long bytesOfBlock =
                geometry().blockBytes(Content.KEY_VALUE) - geometry().blockBytes(Content.ACTIVATION);
        if (bytesOfBlock <= 0) {
            return List.of();
        }
        long missing = missingBytes;
        List<Move> moves = new ArrayList<>();
        for (int i = 0; i < sequences.size() && missing > 0; i++) {
            Running sequence = sequences.get(i);
            List<Integer> blocks = new ArrayList<>();
            for (int block = sequence.forms().size() - 1; block >= fullBlocks(sequence) && missing > 0; block--) {
                if (sequence.forms().get(block) == CacheForm.DEVICE_KV) {
                    blocks.addFirst(block);
                    missing -= bytesOfBlock;
                }
            }
            if (!blocks.isEmpty()) {
                moves.add(new Move.Rehome(i, blocks, CacheForm.DEVICE_ACT));
            }
        }
        return missing > 0 ? List.of() : moves;
    }

    /** The lane times of the current step, and their change by moves. */
    private final class Decision {
        private final List<Running> sequences;
        private final Map<CacheForm, Route> routes = new EnumMap<>(CacheForm.class);
        private final List<Move> homes = new ArrayList<>();
        private final List<Move> copies = new ArrayList<>();
        /** The forms of blocks that may still be copied. */
        private final Set<CacheForm> candidates = EnumSet.of(CacheForm.HOST_KV, CacheForm.HOST_ACT);

        private final double copyNanosMost;
        private double linkNanos;
        private double computeNanos;
        private double copyNanos;
        private long freeDeviceBytes;
        private long freeHostBytes;
        private boolean homesAreGivenUp;

        Decision(List<Running> sequences, long freeDeviceBytes, long freeHostBytes) {
            this.sequences = sequences;
            this.freeDeviceBytes = freeDeviceBytes;
            this.freeHostBytes = freeHostBytes;
            long tokens = sequences.stream().mapToLong(Running::tokens).sum();
            long copyTokens = Math.clamp(tokens / sequences.size(), 1, chunkTokens);
            for (CacheForm form : CacheForm.values()) {
                routes.put(form, Route.of(form, costs, copyTokens, Math.clamp(tokens, 1, chunkTokens)));
            }
            // If nothing crosses the link, nothing moves.
            computeNanos = costs.baseNanosBesideLink(sequences.size(), tokens);
            for (CacheForm form : CacheForm.values()) {
                linkNanos += fullBlocks(form) * nanos(form, Lane.LINK_IN);
                computeNanos += fullBlocks(form) * nanos(form, Lane.COMPUTE);
            }
            copyNanosMost = STEP_SHARE * Math.max(linkNanos, computeNanos);
        }

        List<Move> moves() {
            if (copies.isEmpty()) {
                return List.of();
            }
            List<Move> moves = new ArrayList<>(homes);
            moves.addAll(copies);
            return moves;
        }

        private long fullBlocks(CacheForm form) {
            long blocks = 0;
            for (Running sequence : sequences) {
                int full = MovePlanner.this.fullBlocks(sequence);
                for (int block = 0; block < full; block++) {
                    blocks += sequence.forms().get(block) == form ? 1 : 0;
                }
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
            int full = MovePlanner.this.fullBlocks(sequence);
            int from = 0;
            for (int block = 0; block <= full; block++) {
                boolean isTaken = block < full && takes(sequence.forms().get(block), sequence.stepsLeft());
                if (!isTaken) {
                    if (block > from) {
                        copies.add(new Move.Promote(new BlockRun(index, from, block - from)));
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
            CacheForm copy = CacheForm.of(form.content(), Place.DEVICE);
            double linkAfter = linkNanos - nanos(form, Lane.LINK_IN);
            double computeAfter = computeNanos - nanos(form, Lane.COMPUTE) + nanos(copy, Lane.COMPUTE);
            double savedNanos = Math.max(linkNanos, computeNanos) - Math.max(linkAfter, computeAfter);
            double blockNanos = copyNanos(form.content());
            boolean pays = savedNanos > 0 && savedNanos * stepsLeft >= GAIN_FACTOR * blockNanos;
            // One block per step is always allowed, however long the copies of its layers take.
            boolean isTimely = copyNanos == 0 || copyNanos + blockNanos <= copyNanosMost;
            long bytes = geometry().blockBytes(form.content());
            if (!pays || !isTimely || !hasMemory(bytes, GAIN_FACTOR * blockNanos / savedNanos)) {
                candidates.remove(form);
                return false;
            }
            freeDeviceBytes -= bytes;
            copyNanos += blockNanos;
            linkNanos = linkAfter;
            computeNanos = computeAfter;
            return true;
        }

        /** Whether memory is free, perhaps after blocks that will not be full for some steps have given it up. */
        private boolean hasMemory(long bytes, double steps) {
            if (freeDeviceBytes < bytes && !homesAreGivenUp) {
                homesAreGivenUp = true;
                giveUpHomes(steps);
            }
            return freeDeviceBytes >= bytes;
        }

        /**
         * Gives up homes on the device of blocks that will not be full for that many steps, as many as full blocks
         * could use.
         */
        private void giveUpHomes(double steps) {
            long wantedBytes = 0;
            for (Content content : Content.values()) {
                wantedBytes += fullBlocks(CacheForm.of(content, Place.HOST))
                        * geometry().blockBytes(content);
            }
            Homes given = new Homes(linkNanos, computeNanos);
            for (int i = 0; i < sequences.size(); i++) {
                Running sequence = sequences.get(i);
                int first =
                        (int) Math.ceil((sequence.tokens() + steps) / geometry().blockTokens());
                wantedBytes -= given.giveUp(i, first, wantedBytes);
            }
        }

        /**
         * Chooses the contents of new homes on the host: those that load the busier lane less once the blocks are full.
         */
        private final class Homes {
            private double fullLinkNanos;
            private double fullComputeNanos;

            Homes(double fullLinkNanos, double fullComputeNanos) {
                this.fullLinkNanos = fullLinkNanos;
                this.fullComputeNanos = fullComputeNanos;
            }

            /** Gives up homes of blocks from {@code first} on; returns the bytes that become free on the device. */
            long giveUp(int index, int first, long wantedBytes) {
                List<CacheForm> forms = sequences.get(index).forms();
                Map<CacheForm, List<Integer>> blocks = new EnumMap<>(CacheForm.class);
                long givenBytes = 0;
                for (int block = forms.size() - 1; block >= first && givenBytes < wantedBytes; block--) {
                    if (forms.get(block).place() == Place.DEVICE) {
                        CacheForm form = better();
                        long hostBytes = geometry().blockBytes(form.content());
                        if (hostBytes > freeHostBytes) {
                            break;
                        }
                        freeHostBytes -= hostBytes;
                        givenBytes += geometry().blockBytes(forms.get(block).content());
                        fullLinkNanos += nanos(form, Lane.LINK_IN);
                        fullComputeNanos += nanos(form, Lane.COMPUTE);
                        blocks.computeIfAbsent(form, same -> new ArrayList<>()).addFirst(block);
                    }
                }
                blocks.forEach((form, ofForm) -> homes.add(new Move.Rehome(index, ofForm, form)));
                freeDeviceBytes += givenBytes;
                return givenBytes;
            }

            private CacheForm better() {
                return geometry().activationsAreSmaller()
                                && stepNanos(CacheForm.HOST_ACT) <= stepNanos(CacheForm.HOST_KV)
                        ? CacheForm.HOST_ACT
                        : CacheForm.HOST_KV;
            }

            private double stepNanos(CacheForm form) {
                return Math.max(
                        fullLinkNanos + nanos(form, Lane.LINK_IN), fullComputeNanos + nanos(form, Lane.COMPUTE));
            }
        }
    }
}
