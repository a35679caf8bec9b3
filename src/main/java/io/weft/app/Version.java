package io.weft.app;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import picocli.CommandLine.IVersionProvider;

/** The version, from the jar's manifest. */
public final class Version implements IVersionProvider {
    private static final String COMMIT = "/weft/commit";

    /**
     * The commit that was built, followed by {@code -changed} if the sources had changes that it has not; empty if the
     * build did not know, such as outside a clone.
     */
    public static Optional<String> commit() {
        try (InputStream in = Version.class.getResourceAsStream(COMMIT)) {
            return in == null
                    ? Optional.empty()
                    : Optional.of(new String(in.readAllBytes(), StandardCharsets.US_ASCII).strip());
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + COMMIT, e);
        }
    }

    @Override
    public String[] getVersion() {
        String version = Version.class.getPackage().getImplementationVersion();
        return new String[] {"weft " + (version == null ? "(development)" : version)};
    }
}
