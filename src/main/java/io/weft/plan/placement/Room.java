package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import java.util.List;

/** Memory of the cache that is left while blocks are placed one after the other, in thought. */
public final class Room {
    private final CacheGeometry geometry;
    private long deviceBytes;
    private long hostBytes;

    public Room(CacheGeometry geometry, long deviceBytes, long hostBytes) {
        this.geometry = geometry;
        this.deviceBytes = deviceBytes;
        this.hostBytes = hostBytes;
    }

    /** Takes memory for some blocks; false if it ends before. */
    public boolean takeAll(List<List<CacheForm>> blocks) {
        return blocks.stream().allMatch(this::take);
    }

    /** Takes memory for a block in the first of these forms that fits; false if none does. */
    public boolean take(List<CacheForm> forms) {
        return forms.stream().anyMatch(this::take);
    }

    private boolean take(CacheForm form) {
        long bytes = geometry.blockBytes(form.encoding());
        return switch (form.place()) {
            case DEVICE -> {
                boolean fits = bytes <= deviceBytes;
                deviceBytes -= fits ? bytes : 0;
                yield fits;
            }
            case HOST -> {
                boolean fits = bytes <= hostBytes;
                hostBytes -= fits ? bytes : 0;
                yield fits;
            }
        };
    }
}
