package io.weft.app;

import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Hands a model that a command has begun to load over to the container that the command then starts.
 *
 * <p>This is the only static state, and it is empty after the handover. Quarkus leaves no other way:
 * {@code Quarkus.run} takes a class and strings and creates all objects itself. Loading must begin before there is a
 * container, since it takes as long as starting one.
 */
@Singleton
public final class LoadingHandover {
    private static final AtomicReference<@Nullable ModelLoading> BEGUN = new AtomicReference<>();

    LoadingHandover() {}

    /** Gives a model to the container that starts next. */
    public static void give(ModelLoading loading) {
        BEGUN.set(loading);
    }

    /** Takes the model that a command has begun to load; without one, loading begins now. */
    @Produces
    @Singleton
    ModelLoading take() {
        ModelLoading loading = BEGUN.getAndSet(null);
        return loading == null ? ModelLoading.begin(Settings.current(), mistake -> {}) : loading;
    }
}
