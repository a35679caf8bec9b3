package io.weft.engine;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import java.util.ArrayList;
import java.util.List;

/**
 * Cached tokens by how a step uses them; together they are all cached tokens of a sequence.
 *
 * @param resident tokens whose K and V lie on the device
 * @param transferred tokens whose K and V cross the link
 * @param recomputed tokens whose K and V are computed from activations, wherever those lie
 */
public record CachedTokens(long resident, long transferred, long recomputed) {
    /** No tokens. */
    public static final CachedTokens NONE = new CachedTokens(0, 0, 0);

    /** The sum of both. */
    public CachedTokens plus(CachedTokens more) {
        return new CachedTokens(resident + more.resident, transferred + more.transferred, recomputed + more.recomputed);
    }

    /** Where the full blocks of one sequence lie, as it fills them. The engine's thread writes, any thread reads. */
    public static final class Homes {
        private final int blockTokens;
        /** Guarded by itself. */
        private final List<CacheForm> forms;

        Homes(int blockTokens, List<CacheForm> forms) {
            this.blockTokens = blockTokens;
            this.forms = new ArrayList<>(forms);
        }

        /** The number of full blocks. */
        int blocks() {
            synchronized (forms) {
                return forms.size();
            }
        }

        /** One more block is full. */
        void add(CacheForm form) {
            synchronized (forms) {
                forms.add(form);
            }
        }

        /** The sequence begins again. */
        void restart() {
            synchronized (forms) {
                forms.clear();
            }
        }

        /**
         * The sequence's tokens once it has {@code tokens} of them: those after the last full block are on the device.
         */
        public CachedTokens at(int tokens) {
            synchronized (forms) {
                int full = Math.min(tokens / blockTokens, forms.size());
                long resident = tokens - (long) full * blockTokens;
                long transferred = 0;
                long recomputed = 0;
                for (CacheForm form : forms.subList(0, full)) {
                    if (form.content() == Content.ACTIVATION) {
                        recomputed += blockTokens;
                    } else if (form.place() == Place.HOST) {
                        transferred += blockTokens;
                    } else {
                        resident += blockTokens;
                    }
                }
                return new CachedTokens(resident, transferred, recomputed);
            }
        }
    }
}
