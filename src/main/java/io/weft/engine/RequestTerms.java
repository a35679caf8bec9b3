package io.weft.engine;

import io.weft.cache.CacheScope;
import java.time.Duration;
import java.util.Optional;

/**
 * Whose request it is, and how long it may take. Nothing here changes the text.
 *
 * @param client name of the client; clients take turns
 * @param priority the lower runs first, under {@link EngineOptions.Scheduling#PRIORITY}; 0 is usual
 * @param timeout time from its arrival to its last token; empty for any
 * @param scope with whom it shares cached blocks
 */
public record RequestTerms(String client, int priority, Optional<Duration> timeout, CacheScope scope) {
    /** The terms of a request of which nothing is known. */
    public static final RequestTerms USUAL = new RequestTerms("", 0, Optional.empty());

    /** Terms of a request that shares cached blocks with everybody. */
    public RequestTerms(String client, int priority, Optional<Duration> timeout) {
        this(client, priority, timeout, CacheScope.COMMON);
    }

    /** The same, of a request that shares cached blocks with those of the same owner and salt alone. */
    public RequestTerms sharing(String owner, String salt) {
        return new RequestTerms(client, priority, timeout, new CacheScope(owner, salt));
    }

    public RequestTerms {
        if (timeout.isPresent() && !timeout.get().isPositive()) {
            throw new IllegalArgumentException("timeout is " + timeout.get() + ", must be above 0");
        }
    }
}
