package io.weft.engine;

import io.weft.model.CacheForm;
import java.util.List;

/**
 * Cached tokens by what a step does with them; together all of a sequence's.
 *
 * @param resident K and V lie on the device
 * @param transferred K and V cross the link
 * @param recomputed K and V are computed from activations, wherever those lie
 */
public record CachedTokens(long resident, long transferred, long recomputed) {
    /** No tokens. */
    public static final CachedTokens NONE = new CachedTokens(0, 0, 0);

    /** Those of both. */
    public CachedTokens plus(CachedTokens more) {
        return new CachedTokens(resident + more.resident, transferred + more.transferred, recomputed + more.recomputed);
    }

    /** Where the blocks of one sequence are put once they are full, as it was admitted. */
    public static final class Homes {
        private final int blockTokens;
        private final List<CacheForm> forms;

        Homes(int blockTokens, List<CacheForm> forms) {
            this.blockTokens = blockTokens;
            this.forms = List.copyOf(forms);
        }

        /** The sequence once it has {@code tokens} tokens: those behind the last full block are on the device. */
        public CachedTokens at(int tokens) {
            int full = Math.min(tokens / blockTokens, forms.size());
            long resident = tokens - (long) full * blockTokens;
            long transferred = 0;
            long recomputed = 0;
            for (CacheForm form : forms.subList(0, full)) {
                switch (form) {
                    case DEVICE_KV -> resident += blockTokens;
                    case HOST_KV -> transferred += blockTokens;
                    case DEVICE_ACT, HOST_ACT -> recomputed += blockTokens;
                }
            }
            return new CachedTokens(resident, transferred, recomputed);
        }
    }
}
