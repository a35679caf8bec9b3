package io.weft.profile;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import io.weft.device.Device;
import io.weft.device.DeviceInfo;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelDimensions;
import io.weft.plan.machine.HardwareProfile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.CRC32;

/**
 * Profiles as JSON files in a directory, one for each key. A file that cannot be read counts as missing: its contents
 * can be measured again.
 */
public final class ProfileStore {
    /** The version of the file's format and of the measurement; files of other versions are ignored. */
    static final int VERSION = 13;

    private static final String PREFIX = "profile-";
    private static final System.Logger LOG = System.getLogger(ProfileStore.class.getName());
    private static final ObjectMapper JSON = new ObjectMapper()
            .registerModule(new JavaTimeModule())
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
            .enable(SerializationFeature.INDENT_OUTPUT)
            .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES);

    private final Path directory;

    /**
     * The contents of a file.
     *
     * @param version {@link #VERSION}
     * @param key the properties on which the profile depends, as text
     * @param measuredAt when
     * @param geometry geometry of the cache in the measurement
     * @param deviceBytes device memory of the service at that time
     * @param hostBytes host memory of the service at that time
     * @param profile what was measured
     */
    public record StoredProfile(
            int version,
            String key,
            Instant measuredAt,
            CacheGeometry geometry,
            long deviceBytes,
            long hostBytes,
            HardwareProfile profile) {
        /** What was measured on a device, just now. */
        public static StoredProfile of(Device device, CacheGeometry geometry, HardwareProfile profile) {
            DeviceInfo info = device.info();
            return new StoredProfile(
                    VERSION,
                    HardwareProfiler.key(device, geometry),
                    Instant.now().truncatedTo(ChronoUnit.SECONDS),
                    geometry,
                    info.deviceBudgetBytes(),
                    info.hostBudgetBytes(),
                    profile);
        }

        /** The same for a model whose weights are stored in another way. */
        StoredProfile forKey(String other) {
            return new StoredProfile(version, other, measuredAt, geometry, deviceBytes, hostBytes, profile);
        }
    }

    public ProfileStore(Path directory) {
        this.directory = directory;
    }

    /** The file for a key. */
    Path file(String key) {
        CRC32 checksum = new CRC32();
        checksum.update(key.getBytes(StandardCharsets.UTF_8));
        return directory.resolve(PREFIX + "%08x.json".formatted(checksum.getValue()));
    }

    /** The stored profile for a key; empty, with a line in the log, if it cannot be used. */
    public Optional<HardwareProfile> load(String key) {
        Path file = file(key);
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try {
            StoredProfile stored = read(file);
            if (stored.key().equals(key)) {
                return Optional.of(stored.profile());
            }
            LOG.log(Level.INFO, "{0} is of another machine, measuring again", file);
        } catch (IOException e) {
            LOG.log(Level.WARNING, "{0} cannot be used ({1}), measuring again", file, cause(e));
        }
        return Optional.empty();
    }

    /** The last stored profile of a model, of any device; skips files that cannot be read. */
    public Optional<StoredProfile> newest(ModelDimensions dimensions) {
        if (!Files.isDirectory(directory)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(file -> file.getFileName().toString().startsWith(PREFIX))
                    .sorted(Comparator.comparingLong(
                                    (Path file) -> file.toFile().lastModified())
                            .reversed())
                    .map(ProfileStore::readable)
                    .flatMap(Optional::stream)
                    .filter(stored -> stored.geometry().dimensions().equals(dimensions))
                    .findFirst();
        } catch (IOException | UncheckedIOException e) {
            LOG.log(Level.WARNING, "{0} cannot be searched ({1})", directory, cause(e));
            return Optional.empty();
        }
    }

    private static Optional<StoredProfile> readable(Path file) {
        try {
            return Optional.of(read(file));
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "{0} cannot be used ({1})", file, cause(e));
            return Optional.empty();
        }
    }

    /** Stores a profile; logs a failure. */
    public void save(StoredProfile profile) {
        try {
            Files.createDirectories(directory);
            write(profile, file(profile.key()));
        } catch (IOException e) {
            LOG.log(
                    Level.WARNING,
                    "the profile cannot be kept in {0} ({1}), it will be measured at each start",
                    directory,
                    e);
        }
    }

    /**
     * Reads a profile of any machine.
     *
     * @throws IOException if it cannot be read or is not a profile; the message is one line
     */
    public static StoredProfile read(Path file) throws IOException {
        try {
            StoredProfile stored = JSON.readValue(file.toFile(), StoredProfile.class);
            if (stored == null) {
                throw new IOException("not a profile: null");
            }
            if (stored.version() != VERSION) {
                throw new IOException(
                        "a profile of version %d, must be %d: measure again".formatted(stored.version(), VERSION));
            }
            return stored;
        } catch (JacksonException e) {
            throw new IOException("not a profile: " + cause(e), e);
        }
    }

    /** Writes a profile atomically: whatever happens, the file is either the old or the new one. */
    public static void write(StoredProfile stored, Path file) throws IOException {
        Path parent = file.toAbsolutePath().getParent();
        Path temporary = Files.createTempFile(parent, ".profile-", ".json");
        try {
            JSON.writeValue(temporary.toFile(), stored);
            move(temporary, file);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static String cause(Exception e) {
        String message = e instanceof JacksonException json ? json.getOriginalMessage() : e.getMessage();
        return message == null ? e.toString() : message.lines().findFirst().orElse(e.toString());
    }
}
