package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
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
     * This policy, but with all other useful forms at the end, those on the host first, the smallest before the others:
     * a sequence that runs goes on while there is memory of any kind.
     */
    default PlacementPolicy orAnyOther(CacheGeometry geometry) {
        Comparator<CacheForm> bySize = Comparator.comparingLong(form -> geometry.blockBytes(form.content()));
        List<CacheForm> onHost = useful(geometry, Place.HOST).sorted(bySize).toList();
        // What is larger there needs less work.
        List<CacheForm> onDevice =
                useful(geometry, Place.DEVICE).sorted(bySize.reversed()).toList();
        List<CacheForm> others =
                Stream.concat(onHost.stream(), onDevice.stream()).toList();
        return (block, promptTokens) -> Stream.concat(forms(block, promptTokens).stream(), others.stream())
                .distinct()
                .toList();
    }

    private static Stream<CacheForm> useful(CacheGeometry geometry, Place place) {
        return CacheForm.all().stream().filter(form -> form.place() == place && geometry.isUseful(form));
    }

    /** This policy, but the smallest of the forms that a block may have come first. */
    default PlacementPolicy smallestFirst(CacheGeometry geometry) {
        return (block, promptTokens) -> forms(block, promptTokens).stream()
                .sorted(Comparator.comparingLong(form -> geometry.blockBytes(form.encoding())))
                .toList();
    }
}
