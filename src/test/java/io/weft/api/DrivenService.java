package io.weft.api;

import io.quarkus.test.junit.QuarkusTestProfile;
import io.weft.api.http.ApiSettings;
import io.weft.api.http.ServerLimits;
import io.weft.engine.DrivenEngine;
import io.weft.engine.ServedModel;
import io.weft.engine.ServedModel.SamplingDefaults;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.observe.Observatory;
import io.weft.text.ChatTemplate;
import io.weft.text.Tokenizer;
import io.weft.text.tools.OutputFormats;
import jakarta.enterprise.inject.Alternative;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;

/** The API over an engine whose steps a test makes. */
@Alternative
@Singleton
public class DrivenService {
    static final int VOCABULARY = 4096;

    private final DrivenEngine engine = new DrivenEngine(new ServedModel(
            TestService.MODEL_ID, Instant.EPOCH, 1 << 30, VOCABULARY, Set.of(), new SamplingDefaults(0, 1, 0)));

    /** The API over this service. */
    public static final class Profile implements QuarkusTestProfile {
        @Override
        public Set<Class<?>> getEnabledAlternatives() {
            return Set.of(DrivenService.class);
        }

        @Override
        public Map<String, String> getConfigOverrides() {
            return Map.of("quarkus.arc.exclude-types", "io.weft.app.Service");
        }
    }

    @Produces
    @Singleton
    DrivenEngine engine() {
        return engine;
    }

    @Produces
    @Singleton
    ApiSettings settings() {
        return new ApiSettings(
                List.of(TestService.MODEL_ID),
                List.of(),
                OptionalInt.empty(),
                OptionalDouble.empty(),
                OptionalLong.empty(),
                OptionalInt.empty(),
                false,
                16,
                List.of(),
                ApiSettings.CacheIsolation.NONE);
    }

    @Produces
    @Singleton
    ServerLimits limits() {
        return new ServerLimits(
                OptionalInt.empty(),
                4096,
                OperationsTest.HANG,
                OperationsTest.HANG,
                OptionalLong.empty(),
                1 << 20,
                OperationsTest.HANG,
                1 << 20,
                OperationsTest.HANG);
    }

    @Produces
    @Singleton
    Observatory observatory() {
        return new Observatory();
    }

    @Produces
    @Singleton
    OutputFormats outputFormats(Tokenizer tokenizer) {
        return OutputFormats.of(
                tokenizer.toolTemplate().map(ChatTemplate::source).orElse(""));
    }

    @Produces
    @Singleton
    Tokenizer tokenizer() {
        try (ModelFiles files = ModelFiles.open(ModelSource.parse("demo"))) {
            return Tokenizer.open(files.directory());
        }
    }
}
