package io.weft.api;

import io.quarkus.test.junit.QuarkusTestProfile;
import io.weft.api.http.ServerLimits;
import io.weft.text.TestTokenizers;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The API over a {@link TestService}. */
public class ServiceProfile implements QuarkusTestProfile {
    @Override
    public Set<Class<?>> getEnabledAlternatives() {
        return Set.of(TestService.class);
    }

    @Override
    public Map<String, String> getConfigOverrides() {
        return Map.of("quarkus.arc.exclude-types", "io.weft.app.Service");
    }

    static Map<String, String> with(Map<String, String> base, Map<String, String> more) {
        Map<String, String> all = new java.util.HashMap<>(base);
        all.putAll(more);
        return all;
    }

    /** A model whose tokens are known. */
    public static final class Golden extends ServiceProfile {
        @Override
        public Map<String, String> getConfigOverrides() {
            return with(super.getConfigOverrides(), Map.of("weft.test.model", "src/test/resources/goldens/mistral"));
        }
    }

    /** A model whose vocabulary is sentencepiece's, as Llama 2 has it. */
    public static final class Pieces extends ServiceProfile {
        @Override
        public Map<String, String> getConfigOverrides() {
            try {
                Path directory = TestTokenizers.sentencePiece(Files.createTempDirectory("weft-pieces-"));
                for (String file : List.of("config.json", "model.safetensors")) {
                    Files.copy(Path.of("src/test/resources/goldens/llama-mha", file), directory.resolve(file));
                }
                return with(super.getConfigOverrides(), Map.of("weft.test.model", directory.toString()));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /** A key is asked for, and pages of some origins may use the API. */
    public static final class Keyed extends ServiceProfile {
        static final String KEY = "another key, not to be told";

        @Override
        public Map<String, String> getConfigOverrides() {
            return with(
                    super.getConfigOverrides(),
                    Map.of(
                            "weft.test.api-key",
                            KEY,
                            "weft.test.cors-origins",
                            "https://app.example.com,http://localhost:3000"));
        }
    }

    /** What prompts begin with is kept, for each of two keys by itself. */
    public static final class Caching extends ServiceProfile {
        static final String KEY = "the first key";
        static final String OTHER_KEY = "the second key";

        @Override
        public Map<String, String> getConfigOverrides() {
            return with(
                    super.getConfigOverrides(),
                    Map.of(
                            "weft.test.prefix-cache", "true",
                            "weft.test.cache-isolation", "API_KEY",
                            "weft.test.api-key", KEY + "|" + OTHER_KEY));
        }
    }

    /** Full blocks are stored in fp8. */
    public static final class Lossy extends ServiceProfile {
        @Override
        public Map<String, String> getConfigOverrides() {
            return with(
                    super.getConfigOverrides(),
                    Map.of("weft.test.cache-encoding", "FP8", "weft.test.prefix-cache", "true"));
        }
    }

    /** Few may wait, a key is asked for, and nothing is loaded before the test says so. */
    public static final class Strict extends ServiceProfile {
        static final String KEY = "a key, not to be told";

        @Override
        public Map<String, String> getConfigOverrides() {
            return with(
                    super.getConfigOverrides(),
                    Map.of("weft.test.api-key", KEY, "weft.test.queue-limit", "1", "weft.test.gate", "SHUT"));
        }
    }

    /** Little time for everything. */
    public static final class Hurried extends ServiceProfile {
        @Override
        public Map<String, String> getConfigOverrides() {
            return with(
                    super.getConfigOverrides(),
                    Map.of(
                            "weft.test.header-timeout", "PT1S",
                            "weft.test.body-timeout", "PT2S",
                            "weft.test.idle-timeout", "PT4S",
                            "weft.test.write-timeout", "PT1S"));
        }
    }

    /** The largest bodies, as the service takes them by default. */
    public static final class Large extends ServiceProfile {
        @Override
        public Map<String, String> getConfigOverrides() {
            return with(
                    super.getConfigOverrides(),
                    Map.of(
                            "weft.test.max-body-bytes",
                            "" + ServerLimits.DEFAULT_MAX_BODY_BYTES,
                            "weft.test.body-bytes",
                            "67108864"));
        }
    }

    /** Few connections, and memory for one of the largest bodies. */
    public static final class Crowded extends ServiceProfile {
        static final int CONNECTIONS = 24;

        @Override
        public Map<String, String> getConfigOverrides() {
            return with(
                    super.getConfigOverrides(),
                    Map.of("weft.test.max-connections", "" + CONNECTIONS, "weft.test.body-bytes", "1048576"));
        }
    }
}
