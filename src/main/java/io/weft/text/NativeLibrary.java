package io.weft.text;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import java.util.Objects;
import java.util.Properties;

/**
 * The native library in DJL's jar, loaded once for a process: from {@code RUST_LIBRARY_PATH} (the file, or its
 * directory), or unpacked into {@code DJL_CACHE_DIR}, the home directory's {@code .djl.ai}, or a temporary directory.
 * As in DJL, each name is an environment variable or a system property.
 *
 * <p>Weft avoids DJL's own loader where it can: that one starts the CUDA runtime, which takes most of a second, and on
 * a machine with a GPU it looks for another build of the library on the network.
 */
final class NativeLibrary {
    private NativeLibrary() {}

    /** @throws TokenizerException if there is no library for this machine, or no place to unpack it */
    static void load() {
        // DJL's lock, since several loaders may have this class: see loadByDjl.
        synchronized (TokenizersLibrary.LIB) {
            if (isLoaded()) {
                return;
            }
            Path file = locate();
            try {
                if (Objects.equals(TokenizersLibrary.class.getClassLoader(), NativeLibrary.class.getClassLoader())) {
                    System.load(file.toAbsolutePath().toString());
                } else {
                    loadByDjl(file);
                }
            } catch (IOException | EngineException | UnsatisfiedLinkError e) {
                throw failure(file.toString(), e);
            }
        }
    }

    /** A second copy would replace some functions, and abort the process when it meets objects of the first copy. */
    private static boolean isLoaded() {
        try {
            TokenizersLibrary.LIB.deleteTokenizer(TokenizersLibrary.LIB.createTokenizerFromString(""));
        } catch (UnsatisfiedLinkError e) {
            return false;
        } catch (RuntimeException e) {
            // The library is loaded: it refused an empty text, which is no tokenizer.
        }
        return true;
    }

    /**
     * A library serves only the classes of the class loader that loaded it. If DJL has another loader than this class
     * (tests, live reload), DJL must load the library, from a copy of its own: the JVM gives a file to one loader only.
     */
    private static void loadByDjl(Path file) throws IOException {
        Path copy = Files.copy(file, privateDirectory().resolve(file.getFileName()));
        System.setProperty("RUST_LIBRARY_PATH", copy.toString());
        System.setProperty("RUST_FLAVOR", "cpu");
        System.setProperty("ai.djl.offline", "true");
        LibUtils.checkStatus();
    }

    private static Path locate() {
        String fileName = System.mapLibraryName("tokenizers");
        String placed = setting("RUST_LIBRARY_PATH");
        if (!placed.isEmpty()) {
            Path path = Path.of(placed);
            return Files.isDirectory(path) ? path.resolve(fileName) : path;
        }
        String platform = platform();
        String resource = "/native/lib/" + platform + "/cpu/" + fileName;
        try (InputStream library = TokenizersLibrary.class.getResourceAsStream(resource)) {
            if (library == null) {
                throw new IOException("there is no build for " + platform);
            }
            Path directory = cacheDirectory(platform);
            Path file = directory.resolve(fileName);
            if (!Files.exists(file)) {
                // Other processes may unpack at the same time, so a file gets its final name only when it is complete.
                Path part = Files.createTempFile(directory, fileName, ".part");
                Files.copy(library, part, StandardCopyOption.REPLACE_EXISTING);
                Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
            }
            return file;
        } catch (IOException e) {
            throw failure(resource, e);
        }
    }

    private static String platform() {
        String system = System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("mac") ? "osx" : "linux";
        String machine = System.getProperty("os.arch");
        return system + "-" + (machine.equals("amd64") ? "x86_64" : machine);
    }

    private static Path cacheDirectory(String platform) throws IOException {
        String configured = setting("DJL_CACHE_DIR");
        Path home = Path.of(System.getProperty("user.home"));
        if (configured.isEmpty() && !Files.isWritable(home)) {
            return privateDirectory();
        }
        Path cache = configured.isEmpty() ? home.resolve(".djl.ai") : Path.of(configured);
        return Files.createDirectories(cache.resolve("tokenizers").resolve(version() + "-cpu-" + platform));
    }

    /**
     * Another user may have put a library into an existing temporary directory. This one is new and belongs to this
     * user.
     */
    private static Path privateDirectory() throws IOException {
        Path directory = Files.createTempDirectory("weft-tokenizers");
        directory.toFile().deleteOnExit();
        directory.resolve(System.mapLibraryName("tokenizers")).toFile().deleteOnExit();
        return directory;
    }

    private static String version() throws IOException {
        var properties = new Properties();
        try (InputStream stream = TokenizersLibrary.class.getResourceAsStream("/native/lib/tokenizers.properties")) {
            if (stream != null) {
                properties.load(stream);
            }
        }
        return properties.getProperty("version", "unknown");
    }

    private static String setting(String name) {
        String environment = System.getenv(name);
        return environment != null ? environment : System.getProperty(name, "");
    }

    private static TokenizerException failure(String library, Throwable cause) {
        return new TokenizerException(
                "the tokenizer's native library %s cannot be loaded (DJL_CACHE_DIR names a writable directory to unpack it into, RUST_LIBRARY_PATH the unpacked file): %s: %s"
                        .formatted(library, cause.getClass().getSimpleName(), NativeTokenizer.oneLine(cause)),
                cause);
    }
}
