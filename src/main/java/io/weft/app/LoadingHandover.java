package io.weft.app;

import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Hands a model that a command has begun to load to the container that the command then starts.
 *
 * <p>The only static state, and it is empty once handed over. Quarkus leaves no other way: {@code Quarkus.run} takes a
 * class and strings and makes every object itself, and loading must begin before there is a container, since it takes
 * as long as starting one.
 */
@Singleton
public final class LoadingHandover {
    private static final AtomicReference<@Nullable ModelLoading> BEGUN = new AtomicReference<>();

    LoadingHandover() {}

    /** The container that starts next takes this model. */
    public static void give(ModelLoading loading) {
        BEGUN.set(loading);
    }

    /** What a command has begun; where there was no command, loading begins now. */
    @Produces
    @Singleton
    ModelLoading take() {
        ModelLoading loading = BEGUN.getAndSet(null);
        return loading == null ? ModelLoading.begin(Settings.current(), mistake -> {}) : loading;
    }
}
