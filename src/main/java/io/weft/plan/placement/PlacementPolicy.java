package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Chooses the form that a block has once it is full. */
@FunctionalInterface
public interface PlacementPolicy {
    /**
     * The forms that a block may have, the best first.
     *
     * @param block index of the block in the sequence
     * @param promptTokens tokens of the sequence's prompt
     */
    List<CacheForm> forms(int block, int promptTokens);

    /**
     * This policy, but with all other useful forms at the end, those on the host first: a sequence that runs goes on
     * while there is memory of any kind.
     */
    default PlacementPolicy orAnyOther(CacheGeometry geometry) {
        List<CacheForm> others = Stream.of(
                        CacheForm.HOST_ACT, CacheForm.HOST_KV, CacheForm.DEVICE_KV, CacheForm.DEVICE_ACT)
                .filter(geometry::isUseful)
                .toList();
        return (block, promptTokens) -> Stream.concat(forms(block, promptTokens).stream(), others.stream())
                .distinct()
                .toList();
    }

    /** This policy, but the smallest of the forms that a block may have come first. */
    default PlacementPolicy smallestFirst(CacheGeometry geometry) {
        return (block, promptTokens) -> forms(block, promptTokens).stream()
                .sorted(Comparator.comparingLong(form -> geometry.blockBytes(form.content())))
                .toList();
    }
}
