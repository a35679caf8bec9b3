package io.weft.device.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import jcuda.driver.JCudaDriver;

/**
 * Loads JCuda's native part. Unless {@code java.library.path} has it, JCuda unpacks it under a fixed name into the
 * directory for temporary files, and uses whatever file already has that name. So JCuda gets a directory of its own for
 * that moment.
 */
final class JCudaLibrary {
    private static final String TEMPORARY_FOLDER = "java.io.tmpdir";

    private JCudaLibrary() {}

    /**
     * Loads the library once.
     *
     * @throws LinkageError if it cannot be loaded
     */
    static synchronized void load() {
        String usual = System.getProperty(TEMPORARY_FOLDER);
        Path folder;
        try {
            folder = Files.createTempDirectory("weft-jcuda");
        } catch (IOException e) {
            throw new UncheckedIOException("no folder for JCuda's native part under " + usual, e);
        }
        System.setProperty(TEMPORARY_FOLDER, folder.toString());
        try {
            JCudaDriver.setExceptionsEnabled(false);
        } finally {
            System.setProperty(TEMPORARY_FOLDER, usual);
            delete(folder);
        }
    }

    /** A loaded library does not need its file. */
    private static void delete(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.deleteIfExists(file);
            }
            Files.deleteIfExists(folder);
        } catch (IOException e) {
            System.getLogger(JCudaLibrary.class.getName()).log(System.Logger.Level.DEBUG, "cannot delete " + folder, e);
        }
    }
}
