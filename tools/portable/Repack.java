import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Writes the jars of a folder anew, their entries in the same order, uncompressed and all of one time:
 *
 * <pre>java Repack.java FOLDER TIMESTAMP [PREFIX OF NAMES TO LEAVE OUT]...</pre>
 */
final class Repack {
    public static void main(String[] arguments) throws IOException {
        LocalDateTime time = LocalDateTime.ofInstant(Instant.parse(arguments[1]), ZoneOffset.UTC);
        List<String> leftOut = List.of(arguments).subList(2, arguments.length);
        List<Path> jars;
        try (Stream<Path> files = Files.walk(Path.of(arguments[0]))) {
            jars = files.filter(file -> file.toString().endsWith(".jar")).toList();
        }
        for (Path jar : jars) {
            repack(jar, time, leftOut);
        }
    }

    private static void repack(Path jar, LocalDateTime time, List<String> leftOut) throws IOException {
        Path repacked = jar.resolveSibling(jar.getFileName() + ".new");
        try (ZipFile from = new ZipFile(jar.toFile());
                ZipOutputStream to = new ZipOutputStream(Files.newOutputStream(repacked))) {
            for (ZipEntry entry : from.stream().toList()) {
                if (leftOut.stream().noneMatch(entry.getName()::startsWith)) {
                    copy(from, entry, to, time);
                }
            }
        }
        Files.move(repacked, jar, StandardCopyOption.REPLACE_EXISTING);
    }

    private static void copy(ZipFile from, ZipEntry entry, ZipOutputStream to, LocalDateTime time) throws IOException {
        byte[] content = from.getInputStream(entry).readAllBytes();
        CRC32 checksum = new CRC32();
        checksum.update(content);
        ZipEntry stored = new ZipEntry(entry.getName());
        stored.setMethod(ZipEntry.STORED);
        stored.setSize(content.length);
        stored.setCrc(checksum.getValue());
        // In a zip a time has no zone: this one is the same wherever the build runs.
        stored.setTimeLocal(time);
        to.putNextEntry(stored);
        to.write(content);
        to.closeEntry();
    }
}
