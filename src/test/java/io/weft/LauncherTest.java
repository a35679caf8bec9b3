package io.weft;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.Script.Outcome;
import io.weft.app.FatalErrors;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The script {@code weft}, in a folder of its own, with a JDK and a Maven wrapper that only say how they were called.
 */
class LauncherTest {

    @TempDir
    Path folder;

    private Path home;
    private Path jdk;
    private Path jar;

    @BeforeEach
    void copyLauncher() throws IOException {
        home = Files.createDirectory(folder.resolve("weft home")).toRealPath();
        jar = home.resolve("target/quarkus-app/quarkus-run.jar");
        Script.write(home.resolve("weft"), Files.readString(Path.of("weft")));
        Script.write(home.resolve("tools/jdk.sh"), Files.readString(Path.of("tools/jdk.sh")));
        Files.copy(Path.of("tools/jvm.options"), home.resolve("tools/jvm.options"));
        jdk = Script.writeJdk(folder.resolve("jdk"), "25.0.3");
    }

    @Test
    void argumentsReachTheProgramAsTheyAre() throws Exception {
        installJar();

        Outcome outcome = launch(home.resolve("weft"), Map.of(), "generate", "two words", "", "$HOME *");

        assertThat(outcome.status()).isZero();
        assertThat(outcome.errors()).isEmpty();
        assertThat(outcome.output())
                .contains("[@" + home + "/tools/jvm.options]")
                // With it the JVM warns at each start; the program adds the module itself.
                .noneMatch(argument -> argument.contains("--add-modules"))
                .endsWith("[-jar]", "[" + jar + "]", "[generate]", "[two words]", "[]", "[$HOME *]");
    }

    @Test
    void optionsOfTheJvmStandBeforeTheJar() throws Exception {
        installJar();

        Outcome outcome = launch(home.resolve("weft"), Map.of("WEFT_JAVA_OPTS", "-Xmx2g -Dkey=value"), "serve");

        assertThat(outcome.output()).endsWith("[-Xmx2g]", "[-Dkey=value]", "[-jar]", "[" + jar + "]", "[serve]");
    }

    /** With a real JVM: it has to understand the file of options. */
    @Test
    void whereMemoryRunsOutTheProcessEndsWithAStatusAndALine() throws Exception {
        installProgram(TakesAllMemory.class);
        jdk = Path.of(System.getProperty("java.home"));

        Outcome outcome = launch(home.resolve("weft"), Map.of("WEFT_JAVA_OPTS", "-Xmx16m"));

        assertThat(outcome.status()).isEqualTo(FatalErrors.OUT_OF_MEMORY);
        assertThat(outcome.output()).contains("Terminating due to java.lang.OutOfMemoryError: Java heap space");
    }

    /** Catches what it can, as servers do. */
    static final class TakesAllMemory {
        public static void main(String[] args) {
            List<byte[]> taken = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                try {
                    taken.add(new byte[1 << 20]);
                } catch (OutOfMemoryError e) {
                    taken.clear();
                }
            }
            System.out.println("went on with "
                    + taken.stream().mapToInt(piece -> piece.length).sum() + " bytes");
        }
    }

    @Test
    void imagesAndThePortableBundleStartWithTheSameOptions() throws Exception {
        for (String image : List.of("cpu", "jvm")) {
            assertThat(Files.readString(Path.of("src/main/docker/Dockerfile." + image)))
                    .contains("COPY tools/jdk.sh tools/jvm.options tools/", "ENTRYPOINT [\"/opt/weft/weft\"]");
        }
        assertThat(Files.readString(Path.of(".dockerignore"))).contains("!tools/jvm.options\n");
        assertThat(Files.readString(Path.of("src/main/docker/assemble.sh"))).contains("$build/tools/jvm.options");
        assertThat(Files.readString(Path.of("tools/portable/build.sh"))).contains("$here/../jvm.options");

        Path bundle = Files.createDirectory(folder.resolve("bundle")).toRealPath();
        Script.write(bundle.resolve("weft"), Files.readString(Path.of("tools/portable/weft")));
        Script.writeJdk(bundle.resolve("jre"), "25");
        assertThat(launch(bundle.resolve("weft"), Map.of("WEFT_JAVA_OPTS", "-Xmx2g"), "serve")
                        .output())
                .startsWith("[@" + bundle + "/jvm.options]")
                .endsWith("[-Xmx2g]", "[-jar]", "[" + bundle + "/app/quarkus-run.jar]", "[serve]");
    }

    @Test
    void aSymbolicLinkToALinkLeadsHome() throws Exception {
        installJar();
        Path first = Files.createSymbolicLink(folder.resolve("first"), Path.of("weft home/weft"));
        Path second = Files.createSymbolicLink(folder.resolve("second"), first);

        Outcome outcome = launch(second, Map.of());

        assertThat(outcome.output()).endsWith("[-jar]", "[" + jar + "]");
    }

    @Test
    void theStatusOfTheProgramIsPassedOn() throws Exception {
        installJar();
        Script.write(jdk.resolve("bin/java"), "#!/bin/sh\nexit 7\n");

        assertThat(launch(home.resolve("weft"), Map.of()).status()).isEqualTo(7);
    }

    @Test
    void anOldJdkIsRefusedWithoutBeingStarted() throws Exception {
        installJar();
        Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"24.0.2\"\n");

        Outcome outcome = launch(home.resolve("weft"), Map.of());

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.output()).isEmpty();
        assertThat(outcome.errors()).isEqualTo("weft: WEFT_JAVA_HOME is " + jdk + ", which has no JDK 25 or newer.\n");
    }

    @Test
    void aJdkWithoutReleaseFileIsAsked() throws Exception {
        installJar();
        Files.delete(jdk.resolve("release"));
        Script.write(
                jdk.resolve("bin/java"),
                "#!/bin/sh\nif [ \"$1\" = -version ]; then echo 'openjdk version \"26-ea\" 2026-03-17' >&2; else echo ran; fi\n");

        assertThat(launch(home.resolve("weft"), Map.of()).output()).containsExactly("ran");
    }

    @Test
    void theFirstUseBuilds() throws Exception {
        Script.write(
                home.resolve("mvnw"),
                "#!/bin/sh\necho \"$JAVA_HOME\" \"$@\"\nmkdir -p target/quarkus-app\n: > target/quarkus-app/quarkus-run.jar\n");

        Outcome outcome = launch(home.resolve("weft"), Map.of(), "serve");

        assertThat(outcome.status()).isZero();
        assertThat(outcome.errors()).startsWith("weft: first use, building with " + jdk);
        assertThat(outcome.output()).endsWith("[" + jar + "]", "[serve]");
        assertThat(home.resolve("target/weft-build.log")).hasContent(jdk + " -q -B -Dmaven.test.skip=true package");
    }

    @Test
    void aBuildThatFailsLeavesNothingToStartAndSaysWhereItsLogIs() throws Exception {
        Script.write(
                home.resolve("mvnw"),
                "#!/bin/sh\nmkdir -p target/quarkus-app\n: > target/quarkus-app/quarkus-run.jar\necho '[ERROR] no disk'\nexit 1\n");

        Outcome outcome = launch(home.resolve("weft"), Map.of());

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.output()).isEmpty();
        assertThat(outcome.errors())
                .endsWith("[ERROR] no disk\nweft: the build failed, see " + home + "/target/weft-build.log\n");
        assertThat(jar).doesNotExist();
    }

    @Test
    void buildingNeedsACompiler() throws Exception {
        Files.delete(jdk.resolve("bin/javac"));

        Outcome outcome = launch(home.resolve("weft"), Map.of());

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.errors()).contains("has no JDK 25.");
    }

    @Test
    void buildingTakesNoNewerJdk() throws Exception {
        Script.writeJdk(jdk, "26");

        Outcome outcome = launch(home.resolve("weft"), Map.of());

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.errors()).isEqualTo("weft: WEFT_JAVA_HOME is " + jdk + ", which has no JDK 25.\n");
    }

    @Test
    void aNewerJdkRunsWhatIsBuilt() throws Exception {
        installJar();
        Script.writeJdk(jdk, "26");

        assertThat(launch(home.resolve("weft"), Map.of()).output()).endsWith("[-jar]", "[" + jar + "]");
    }

    @Test
    void aBuildNotesItsCommitAndWhetherSourcesHaveChanged() throws Exception {
        Path script = home.resolve("src/main/build/commit.sh");
        Script.write(script, Files.readString(Path.of("src/main/build/commit.sh")));
        Path commit = home.resolve("target/commit");
        Path git = folder.resolve("bin/git");
        Map<String, String> path = Map.of("PATH", git.getParent() + ":" + System.getenv("PATH"));
        Script.write(git, "#!/bin/sh\ncase $3 in rev-parse) echo 0123abcd ;; esac\n");

        assertThat(Script.run(folder, path, "", script.toString(), commit.toString())
                        .status())
                .isZero();
        assertThat(commit).as("outside a clone").doesNotExist();

        Files.createDirectory(home.resolve(".git"));
        Script.run(folder, path, "", script.toString(), commit.toString());
        assertThat(commit).hasContent("0123abcd");

        Script.write(git, "#!/bin/sh\ncase $3 in rev-parse) echo 0123abcd ;; *) echo ' M pom.xml' ;; esac\n");
        Script.run(folder, path, "", script.toString(), commit.toString());
        assertThat(commit).hasContent("0123abcd-changed");

        Script.write(git, "#!/bin/sh\nexit 128\n");
        assertThat(Script.run(folder, path, "", script.toString(), commit.toString())
                        .status())
                .isZero();
        assertThat(commit).as("where git does not answer").doesNotExist();
    }

    private void installJar() throws IOException {
        Files.createDirectories(jar.getParent());
        Files.createFile(jar);
    }

    private void installProgram(Class<?> program) throws IOException {
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, program.getName());
        String file = program.getName().replace('.', '/') + ".class";
        Files.createDirectories(jar.getParent());
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest);
                InputStream code = program.getClassLoader().getResourceAsStream(file)) {
            out.putNextEntry(new ZipEntry(file));
            code.transferTo(out);
        }
    }

    private Outcome launch(Path launcher, Map<String, String> environment, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(launcher.toString()));
        command.addAll(List.of(arguments));
        Map<String, String> all = new HashMap<>(environment);
        all.putIfAbsent("PATH", System.getenv("PATH"));
        all.put("WEFT_JAVA_HOME", jdk.toString());
        return Script.run(folder, all, "", command.toArray(String[]::new));
    }
}
