package io.weft.deploy;

import io.smallrye.config.ConfigSourceContext;
import io.smallrye.config.ConfigSourceFactory;
import io.smallrye.config.EnvConfigSource;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.eclipse.microprofile.config.spi.ConfigSource;

/**
 * Gives an application under test the environment of a container, as the environment would: by names such as
 * {@code WEFT_QUEUE_LIMIT}. Remembers what it was asked for, which is how a test learns what the application reads.
 */
public final class ChartEnvironment implements ConfigSourceFactory {
    /** Key of the environment, as the text of a properties file; without it there is none. */
    static final String KEY = "weft-test.environment";

    private static final Set<String> ASKED_FOR = ConcurrentHashMap.newKeySet();

    /** Names of the environment's form that the application asked for, such as {@code WEFT_QUEUE_LIMIT}. */
    static Set<String> askedFor() {
        return Set.copyOf(ASKED_FOR);
    }

    @Override
    public Iterable<ConfigSource> getConfigSources(ConfigSourceContext context) {
        String text = Optional.ofNullable(context.getValue(KEY).getValue()).orElse("");
        return text.isEmpty() ? List.of() : List.of(new Source(parse(text)));
    }

    @Override
    public OptionalInt getPriority() {
        return OptionalInt.of(290);
    }

    private static Map<String, String> parse(String text) {
        try {
            Properties properties = new Properties();
            properties.load(new StringReader(text));
            return properties.stringPropertyNames().stream()
                    .collect(Collectors.toMap(name -> name, properties::getProperty));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static final class Source extends EnvConfigSource {
        private static final long serialVersionUID = 1L;

        private Source(Map<String, String> environment) {
            super(environment, 310);
        }

        /** None, or those who list all names and read each would be taken for readers of settings. */
        @Override
        public Set<String> getPropertyNames() {
            return Set.of();
        }

        @Override
        public String getValue(String name) {
            if (name.startsWith("weft.")) {
                ASKED_FOR.add(name.toUpperCase(Locale.ROOT).replaceAll("[^A-Z0-9]", "_"));
            }
            return super.getValue(name);
        }
    }
}
