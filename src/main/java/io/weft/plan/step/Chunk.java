package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import java.util.Comparator;
import java.util.List;

/**
 * The unit of one transfer, its recomputation and the attention over it; the same in every layer. {@link ChunkLayout}
 * says where its parts lie.
 *
 * @param parts the blocks that attention does not read where they are, by form, in the order of {@link #ORDER}
 * @param ranges tokens to which the step's rows attend once the chunk has arrived, including blocks that lie on the
 *     device as K and V
 */
public record Chunk(List<Part> parts, List<TokenRange> ranges) {
    /**
     * Activations before K and V, what is stored as it is before codes, what crosses the link before what is on the
     * device.
     */
    public static final Comparator<CacheForm> ORDER = Comparator.comparing(
                    (CacheForm form) -> form.content() == Content.KEY_VALUE)
            .thenComparing(CacheForm::encoding)
            .thenComparing(form -> form.place() == Place.DEVICE);

    public Chunk {
        parts = List.copyOf(parts);
        ranges = List.copyOf(ranges);
    }

    /**
     * The blocks of a chunk that have one form.
     *
     * @param runs at least one, in token order
     */
    public record Part(CacheForm form, List<BlockRun> runs) {
        public Part {
            runs = List.copyOf(runs);
        }

        /** The number of its blocks. */
        public int blocks() {
            int blocks = 0;
            for (BlockRun run : runs) {
                blocks += run.blocks();
            }
            return blocks;
        }

        /** Whether it crosses the link. */
        public boolean isOnHost() {
            return form.place() == Place.HOST;
        }

        /** Whether K and V are computed from it. */
        public boolean isRecomputed() {
            return form.content() == Content.ACTIVATION;
        }
    }

    /** Whether the chunk needs a staging slot. */
    public boolean isStaged() {
        return !parts.isEmpty();
    }

    /**
     * Whether its slot holds the same blocks in the same places as that of {@code other}; new tokens lie in no slot.
     */
    boolean isStagedLike(Chunk other) {
        return parts.equals(other.parts);
    }

    /** The index of the part of a form. */
    public int indexOf(CacheForm form) {
        for (int i = 0; i < parts.size(); i++) {
            if (parts.get(i).form().equals(form)) {
                return i;
            }
        }
        throw new IllegalArgumentException("no block of the chunk is " + form.label());
    }

    /** The number of blocks to recompute. */
    public int recomputedBlocks() {
        return parts.stream().filter(Part::isRecomputed).mapToInt(Part::blocks).sum();
    }
}
