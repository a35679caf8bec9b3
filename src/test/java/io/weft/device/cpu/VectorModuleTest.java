package io.weft.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** In a JVM of its own, which was not told of the module. */
class VectorModuleTest {
    private static final String EXPORTS = "quarkus.package.jar.manifest.attributes.\"Add-Exports\"";

    @TempDir
    Path directory;

    /** What runs in the other JVM: arithmetic that needs the module. */
    static final class Program {
        private Program() {}

        public static void main(String[] args) {
            VectorModule.add();
            VectorModule.add();
            System.out.println(
                    FloatVector.broadcast(FloatVector.SPECIES_128, 3).mul(2).lane(0));
        }
    }

    @Test
    void theProgramsJarAddsItWithoutAWord() throws Exception {
        Properties properties = new Properties();
        try (InputStream in = VectorModule.class.getResourceAsStream("/application.properties")) {
            properties.load(in);
        }
        assertThat(run(jar(properties.getProperty(EXPORTS)))).isEqualTo("6.0\n");
    }

    @Test
    void whatIsMissingIsNamedWhereTheJarIsAnotherOne() throws Exception {
        assertThat(run(jar(null))).contains("start it with --add-modules=jdk.incubator.vector");
    }

    private Path jar(String exports) throws IOException, URISyntaxException {
        Manifest manifest = new Manifest();
        Attributes attributes = manifest.getMainAttributes();
        attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
        attributes.put(Attributes.Name.MAIN_CLASS, Program.class.getName());
        attributes.put(Attributes.Name.CLASS_PATH, folder(VectorModule.class) + " " + folder(Program.class));
        if (exports != null) {
            attributes.putValue("Add-Exports", exports);
        }
        Path jar = directory.resolve("program.jar");
        try (OutputStream out = Files.newOutputStream(jar)) {
            new JarOutputStream(out, manifest).close();
        }
        return jar;
    }

    private static String folder(Class<?> type) throws URISyntaxException {
        return type.getProtectionDomain().getCodeSource().getLocation().toURI().toString();
    }

    /** All that it says, to both streams. */
    private static String run(Path jar) throws Exception {
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        Process process = new ProcessBuilder(List.of(java.toString(), "-XX:+UseSerialGC", "-jar", jar.toString()))
                .redirectErrorStream(true)
                .start();
        try (InputStream out = process.getInputStream()) {
            String text = new String(out.readAllBytes(), StandardCharsets.UTF_8);
            process.waitFor();
            return text;
        } finally {
            process.destroyForcibly();
        }
    }
}
