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
 * Each name is an environment variable or a system property, as DJL has it.
 *
 * <p>DJL's own loader is not used where that can be helped: it starts the CUDA runtime, takes most of a second to do
 * so, and with a GPU there looks for another build of the library on the network.
 */
final class NativeLibrary {
    private NativeLibrary() {}

    /** @throws TokenizerException if there is none for this machine, or no place to unpack it */
    static void load() {
        // Theirs, as there may be several of ours: see loadByDjl.
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

    /** A second copy would take over some functions, and abort the process over what the first one made. */
    private static boolean isLoaded() {
        try {
            TokenizersLibrary.LIB.deleteTokenizer(TokenizersLibrary.LIB.createTokenizerFromString(""));
        } catch (UnsatisfiedLinkError e) {
            return false;
        } catch (RuntimeException e) {
            // It answers, and refuses: an empty text is no tokenizer.
        }
        return true;
    }

    /**
     * A library's functions are for the classes of the loader that loaded it. Where ours is not theirs (tests, live
     * reload), DJL must do it, with a copy of this loader's own: the JVM gives a file to one loader only.
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
                // Other processes may do the same now: a file that has its name is whole.
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
     * A temporary directory of others may have a library that they put there: this one is new, and of this user alone.
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
