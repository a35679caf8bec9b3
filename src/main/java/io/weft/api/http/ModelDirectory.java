package io.weft.api.http;

import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import io.weft.engine.ServedModel;
import jakarta.inject.Singleton;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The models that requests may name, which is only the served one. */
@Singleton
public class ModelDirectory {
    private final Engine engine;
    private final ApiSettings settings;

    ModelDirectory(Engine engine, ApiSettings settings) {
        this.engine = engine;
        this.settings = settings;
    }

    /**
     * The served model.
     *
     * @param name name in the request, if it has one
     * @throws ApiException 404 for another model, 503 while none is served
     */
    public ServedModel model(@Nullable String name) {
        if (name != null && !names().contains(name)) {
            throw ApiError.unknownModel(name, names()).exception();
        }
        serving();
        return engine.model();
    }

    /** The names of the served model. */
    public List<String> names() {
        return settings.servedModelNames();
    }

    /**
     * The numbers and limits of running and waiting requests.
     *
     * @throws ApiException 503 while no model is served
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
