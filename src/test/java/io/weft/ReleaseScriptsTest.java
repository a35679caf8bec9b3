package io.weft;

import static org.assertj.core.api.Assertions.assertThat;

import com.marcnuri.helm.Helm;
import io.weft.Script.Outcome;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What makes a release's archives the same bytes wherever and whenever they are made. */
class ReleaseScriptsTest {

    private static final String TIMESTAMP = "2026-11-30T00:00:00Z";

    @TempDir
    Path folder;

    @Test
    void aFolderIsPackedToTheSameBytesAnywhere() throws Exception {
        List<String> names = List.of("b.txt", "a.txt", "sub/c.txt");
        write("one/chart", names, Instant.parse("2020-01-01T00:00:00Z"), "rw-r--r--");
        write("two/chart", names.reversed(), Instant.parse("2025-06-01T12:00:00Z"), "rw-------");

        pack(folder.resolve("one/chart"), "one.tgz", "UTC");
        pack(folder.resolve("two/chart"), "two.tgz", "Asia/Tokyo");

        assertThat(folder.resolve("one.tgz")).hasSameBinaryContentAs(folder.resolve("two.tgz"));
    }

    @Test
    void aProgramIsPackedAsOneAndAnotherTextAsOtherBytes() throws Exception {
        write("one/chart", List.of("a.txt"), Instant.EPOCH, "rw-r--r--");
        write("two/chart", List.of("a.txt"), Instant.EPOCH, "rwxr--r--");

        pack(folder.resolve("one/chart"), "one.tgz", "UTC");
        pack(folder.resolve("two/chart"), "two.tgz", "UTC");

        assertThat(Files.mismatch(folder.resolve("one.tgz"), folder.resolve("two.tgz")))
                .isNotNegative();
    }

    @Test
    void helmReadsThePackedChart() throws Exception {
        pack(Path.of("helm/weft").toAbsolutePath(), "weft-0.1.0.tgz", "UTC");

        String manifests = new Helm(folder.resolve("weft-0.1.0.tgz"))
                .template()
                .withName("weft")
                .withKubeVersion("1.34.0")
                .call();

        assertThat(manifests).contains("kind: Deployment", "app.kubernetes.io/version: \"0.1.0\"");
    }

    @Test
    void jarsAreWrittenAnewWithoutTheirTimesAndWhatIsLeftOut() throws Exception {
        writeJar(folder.resolve("one/app.jar"), Instant.parse("2020-01-01T00:00:00Z"));
        writeJar(folder.resolve("two/app.jar"), Instant.parse("2025-06-01T12:00:00Z"));

        repack(folder.resolve("one"), "UTC");
        repack(folder.resolve("two"), "Asia/Tokyo");

        assertThat(folder.resolve("one/app.jar")).hasSameBinaryContentAs(folder.resolve("two/app.jar"));
        try (ZipFile jar = new ZipFile(folder.resolve("one/app.jar").toFile())) {
            assertThat(jar.stream().map(ZipEntry::getName)).containsExactly("b/", "b/kept", "a");
            assertThat(jar.stream().map(ZipEntry::getMethod)).containsOnly(ZipEntry.STORED);
            assertThat(jar.getInputStream(jar.getEntry("b/kept"))).hasContent("b/kept");
        }
    }

    private void write(String name, List<String> files, Instant time, String permissions) throws IOException {
        for (String file : files) {
            Path path = folder.resolve(name).resolve(file);
            Files.createDirectories(path.getParent());
            Files.writeString(path, file);
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(permissions));
            Files.setLastModifiedTime(path, FileTime.from(time));
        }
    }

    private void pack(Path packed, String archive, String zone) throws Exception {
        Outcome outcome = Script.run(
                folder,
                Map.of("TZ", zone, "PATH", System.getenv("PATH")),
                "",
                Path.of("tools/release/pack.sh").toAbsolutePath().toString(),
                packed.toString(),
                folder.resolve(archive).toString(),
                TIMESTAMP);
        assertThat(outcome).isEqualTo(new Outcome(0, List.of(), ""));
    }

    private void repack(Path jars, String zone) throws Exception {
        Outcome outcome = Script.run(
                folder,
                Map.of("TZ", zone),
                "",
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                Path.of("tools/portable/Repack.java").toAbsolutePath().toString(),
                jars.toString(),
                TIMESTAMP,
                "left-out/");
        assertThat(outcome).isEqualTo(new Outcome(0, List.of(), ""));
    }

    private static void writeJar(Path file, Instant time) throws IOException {
        Files.createDirectories(file.getParent());
        try (OutputStream out = Files.newOutputStream(file);
                ZipOutputStream jar = new ZipOutputStream(out)) {
            for (String name : List.of("b/", "b/kept", "left-out/file", "a")) {
                ZipEntry entry = new ZipEntry(name);
                entry.setLastModifiedTime(FileTime.from(time));
                jar.putNextEntry(entry);
                if (!name.endsWith("/")) {
                    jar.write(name.getBytes(StandardCharsets.UTF_8));
                }
                jar.closeEntry();
            }
        }
    }
}
