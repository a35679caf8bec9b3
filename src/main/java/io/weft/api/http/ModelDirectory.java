package io.weft.api.http;

import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import io.weft.engine.ServedModel;
import jakarta.inject.Singleton;
import org.jspecify.annotations.Nullable;

/** The models that requests may name: the one that is served. */
@Singleton
public class ModelDirectory {
    private final Engine engine;
    private final ApiSettings settings;

    ModelDirectory(Engine engine, ApiSettings settings) {
        this.engine = engine;
        this.settings = settings;
    }

    /**
     * The model that is served.
     *
     * @param name that a request gives, if it gives one
     * @throws ApiException 404 for another model, 503 if none is served now
     */
    public ServedModel model(@Nullable String name) {
        if (name != null && !name.equals(settings.servedModelName())) {
            throw ApiError.unknownModel(name, settings.servedModelName()).exception();
        }
        serving();
        return engine.model();
    }

    /**
     * How many requests run and wait, and how many may.
     *
     * @throws ApiException 503 if no model is served now
     */
    public EngineStatus.Serving serving() {
        EngineStatus status = engine.status();
        return switch (status) {
            case EngineStatus.Serving serving -> serving;
            case EngineStatus.Starting starting ->
                throw ApiError.unavailable(status).exception();
            case EngineStatus.Draining draining ->
                throw ApiError.unavailable(status).exception();
            case EngineStatus.Failed failed ->
                throw ApiError.unavailable(status).exception();
        };
    }
}
