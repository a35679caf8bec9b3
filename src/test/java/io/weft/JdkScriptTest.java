package io.weft;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.weft.Script.Outcome;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The script {@code tools/jdk.sh} on a machine without Java: a copy of it that has the test's folders for the usual
 * ones, and the checksum of an archive that the test serves.
 */
class JdkScriptTest {

    @TempDir
    Path folder;

    private Path script;
    private Path path;
    private Path installed;
    private Path cache;
    private byte[] archive;
    private HttpServer mirror;
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final Map<String, String> environment = new HashMap<>();

    @BeforeEach
    void layOutTheMachine() throws Exception {
        path = Script.writeBarePath(folder.resolve("path"));
        installed = Files.createDirectory(folder.resolve("jvm"));
        cache = folder.resolve("cache/weft/jdk");
        Script.writeJdk(folder.resolve("archived/jdk-25"), "25.0.4");
        Path packed = folder.resolve("archive.tar.gz");
        assertThat(run(
                                "tar",
                                "-czf",
                                packed.toString(),
                                "-C",
                                folder.resolve("archived").toString(),
                                "jdk-25")
                        .status())
                .isZero();
        archive = Files.readAllBytes(packed);
        writeScript(
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(archive)));
        mirror = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        mirror.createContext("/mirror/", exchange -> {
            requests.add(exchange.getRequestURI().getPath());
            try (exchange) {
                exchange.sendResponseHeaders(200, archive.length);
                exchange.getResponseBody().write(archive);
            }
        });
        mirror.start();
        environment.put("PATH", path.toString());
        environment.put("XDG_CACHE_HOME", folder.resolve("cache").toString());
        environment.put("WEFT_JDK_URL", address("/mirror"));
    }

    @AfterEach
    void stopTheMirror() {
        mirror.stop(0);
    }

    @Test
    void javaHomeIsTakenBeforeTheUsualFolders() throws Exception {
        Path mine = Script.writeJdk(folder.resolve("mine"), "25.0.1");
        Script.writeJdk(installed.resolve("jdk-25"), "25.0.3");
        environment.put("JAVA_HOME", mine.toString());

        assertThat(find("javac")).isEqualTo(new Outcome(0, List.of(mine.toString()), ""));
    }

    @Test
    void aJavaHomeThatIsTooOldIsPassedOver() throws Exception {
        environment.put(
                "JAVA_HOME", Script.writeJdk(folder.resolve("mine"), "17.0.9").toString());
        Path found = Script.writeJdk(installed.resolve("jdk-25"), "25.0.3");

        assertThat(find("javac")).isEqualTo(new Outcome(0, List.of(found.toString()), ""));
    }

    @Test
    void aJavaOnPathIsFollowedToItsJdk() throws Exception {
        Path mine = Script.writeJdk(folder.resolve("mine"), "25").toRealPath();
        Path link = Files.createSymbolicLink(folder.resolve("alternative"), mine.resolve("bin/java"));
        Files.createSymbolicLink(path.resolve("java"), link);

        assertThat(find("javac")).isEqualTo(new Outcome(0, List.of(mine.toString()), ""));
    }

    @Test
    void aNewerJdkRunsWeftAndDoesNotBuildIt() throws Exception {
        Path newer = Script.writeJdk(installed.resolve("a-newer"), "26-ea");
        Path exact = Script.writeJdk(installed.resolve("b-exact"), "25");

        assertThat(find("java").output()).containsExactly(newer.toString());
        assertThat(find("javac").output()).containsExactly(exact.toString());
    }

    @Test
    void whereThereIsNoneTemurinIsDownloadedOnce() throws Exception {
        Outcome first = find("javac");
        Outcome second = find("javac");

        assertThat(first.status()).as(first.errors()).isZero();
        assertThat(first.output()).hasSize(1);
        assertThat(Path.of(first.output().getFirst())).hasParent(cache).isExecutable();
        assertThat(Path.of(first.output().getFirst(), "bin/javac")).isExecutable();
        assertThat(first.errors().lines())
                .satisfiesExactly(
                        line -> assertThat(line)
                                .isEqualTo("weft: no JDK 25 in JAVA_HOME, PATH, the usual folders or " + cache),
                        line -> assertThat(line)
                                .startsWith("weft: getting Temurin 25")
                                .contains(cache.toString()),
                        line -> assertThat(line).startsWith("weft: downloading " + address("/mirror/OpenJDK25U-jdk_")),
                        line -> assertThat(line)
                                .isEqualTo("weft: JDK " + first.output().getFirst()));
        assertThat(second).isEqualTo(new Outcome(0, first.output(), ""));
        assertThat(requests).hasSize(1);
    }

    @Test
    void anArchiveOfAnotherChecksumIsDeleted() throws Exception {
        writeScript("0".repeat(64));

        Outcome outcome = find("javac");

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.output()).isEmpty();
        assertThat(outcome.errors()).contains("SHA-256", "0".repeat(64), "WEFT_JAVA_HOME");
        assertThat(Script.namesIn(cache)).isEmpty();
    }

    @Test
    void aDownloadThatFailsSaysWhatToSet() throws Exception {
        environment.put("WEFT_JDK_URL", address("/elsewhere"));

        Outcome outcome = find("javac");

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.output()).isEmpty();
        assertThat(outcome.errors())
                .contains("downloading " + address("/elsewhere/"), "https_proxy", "WEFT_JDK_URL", "WEFT_JAVA_HOME");
        assertThat(Script.namesIn(cache)).isEmpty();
    }

    @Test
    void aJdkThatDoesNotStartIsNotKept() throws Exception {
        Script.write(folder.resolve("archived/jdk-25/bin/java"), "#!/bin/sh\nexit 127\n");
        run("tar", "-czf", "archive.tar.gz", "-C", "archived", "jdk-25");
        archive = Files.readAllBytes(folder.resolve("archive.tar.gz"));
        writeScript(
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(archive)));

        Outcome outcome = find("javac");

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.errors()).contains("does not start here", "WEFT_JAVA_HOME");
        assertThat(Script.namesIn(cache)).isEmpty();
    }

    @Test
    void aSystemWithoutAnArchiveIsToldWhatToDo() throws Exception {
        replace("uname", "#!/bin/sh\necho Plan9\n");

        Outcome outcome = find("javac");

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.errors()).contains("no JDK for Plan9", "https://adoptium.net", "WEFT_JAVA_HOME");
        assertThat(requests).isEmpty();
    }

    @Test
    void rootGetsThePackageOfTheDistribution() throws Exception {
        Path target = installed.resolve("java-25-openjdk");
        replacePackageManager("cp -R '" + folder.resolve("archived/jdk-25") + "' '" + target + "'");

        Outcome outcome = find("javac");

        assertThat(outcome.status()).isZero();
        assertThat(outcome.output()).containsExactly(target.toString());
        assertThat(outcome.errors())
                .contains("weft: getting the package openjdk-25-jdk-headless, or where there is none Temurin")
                .endsWith("weft: installing the package openjdk-25-jdk-headless\n");
        assertThat(folder.resolve("calls"))
                .hasContent("-qq update\n-qq -y --no-install-recommends install openjdk-25-jdk-headless\n");
        assertThat(requests).isEmpty();
    }

    @Test
    void aPackageThatCannotBeInstalledLeavesTemurin() throws Exception {
        replacePackageManager("echo 'E: no room'; exit 100");

        Outcome outcome = find("javac");

        assertThat(outcome.status()).isZero();
        assertThat(Path.of(outcome.output().getFirst())).hasParent(cache);
        assertThat(outcome.errors()).contains("weft: the package cannot be installed:\nweft: E: no room\n");
    }

    @Test
    void aDistributionWithoutThePackageLeavesTemurin() throws Exception {
        replacePackageManager("exit 100");
        replace("apt-cache", "#!/bin/sh\nexit 100\n");

        Outcome outcome = find("javac");

        assertThat(outcome.status()).isZero();
        assertThat(Path.of(outcome.output().getFirst())).hasParent(cache);
        assertThat(outcome.errors()).doesNotContain("installing the package");
        assertThat(folder.resolve("calls")).hasContent("-qq update\n");
    }

    @Test
    void whoIsNotRootLeavesThePackagesAlone() throws Exception {
        replacePackageManager("exit 100");
        replace("id", "#!/bin/sh\necho 1000\n");

        assertThat(find("javac").status()).isZero();
        assertThat(folder.resolve("calls")).doesNotExist();
    }

    @Test
    void inATerminalItAsksFirst() throws Exception {
        Outcome no = findInTerminal("n\n");

        assertThat(no.status()).isEqualTo(1);
        assertThat(String.join("\n", no.output())).contains("get Temurin 25", "? [Y/n]", "set WEFT_JAVA_HOME");
        assertThat(requests).isEmpty();
        assertThat(Script.namesIn(cache)).isEmpty();
    }

    @Test
    void inATerminalReturnMeansYes() throws Exception {
        Outcome yes = findInTerminal("\n");

        assertThat(yes.status()).as("%s", yes).isZero();
        assertThat(yes.output().getLast()).startsWith(cache.toString());
        assertThat(requests).hasSize(1);
    }

    @Test
    void theWrapperRunsMavenUnderTheJdkThatIsFound() throws Exception {
        Path jdk = Script.writeJdk(installed.resolve("jdk-25"), "25");
        Path wrapper = Script.write(folder.resolve("home/mvnw"), Files.readString(Path.of("mvnw")));
        Script.write(folder.resolve("home/tools/jdk.sh"), Files.readString(script));
        Path maven = folder.resolve("maven");
        String properties = Files.readString(Path.of(".mvn/wrapper/maven-wrapper.properties"));
        Files.createDirectories(folder.resolve("home/.mvn/wrapper"));
        Files.writeString(folder.resolve("home/.mvn/wrapper/maven-wrapper.properties"), properties);
        // Without unzip the wrapper takes the .tar.gz; its folder's last part is a hash of the address.
        Script.write(folder.resolve("packed/apache-maven-3/bin/mvn"), "#!/bin/sh\necho \"$JAVA_HOME $*\"\n");
        run("tar", "-czf", "archive.tar.gz", "-C", "packed", "apache-maven-3");
        archive = Files.readAllBytes(folder.resolve("archive.tar.gz"));
        String sha256 =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(archive));
        Files.writeString(
                folder.resolve("home/.mvn/wrapper/maven-wrapper.properties"),
                replaced(
                        properties, "distributionSha256SumTarGz=[0-9a-f]{64}", "distributionSha256SumTarGz=" + sha256));
        environment.put("MVNW_REPOURL", address("/mirror"));
        environment.put("MAVEN_USER_HOME", maven.toString());

        Outcome outcome = run(wrapper.toString(), "-B", "verify");

        assertThat(outcome).isEqualTo(new Outcome(0, List.of(jdk + " -B verify"), ""));
        assertThat(requests).singleElement().asString().endsWith("-bin.tar.gz");
    }

    private Outcome find(String program) throws Exception {
        return run("sh", script.toString(), program);
    }

    private Outcome findInTerminal(String answer) throws Exception {
        environment.put("SHELL", "/bin/sh");
        return Script.run(folder, environment, answer, which("script"), "-qec", "sh '" + script + "'", "/dev/null");
    }

    private Outcome run(String... command) throws Exception {
        command[0] = which(command[0]);
        return Script.run(folder, environment, "", command);
    }

    /** The program as it is on the machine's path: a process is found before its environment is set. */
    private String which(String program) {
        return program.startsWith("/") ? program : path.resolve(program).toString();
    }

    private void replace(String program, String text) throws IOException {
        Script.write(path.resolve(program), text);
    }

    /** Makes the script root, of a distribution that has the package; the command is what installing it does. */
    private void replacePackageManager(String install) throws IOException {
        replace("id", "#!/bin/sh\necho 0\n");
        replace("apt-cache", "#!/bin/sh\n[ \"$*\" = 'show openjdk-25-jdk-headless' ]\n");
        replace(
                "apt-get",
                "#!/bin/sh\necho \"$*\" >>'" + folder.resolve("calls") + "'\ncase $* in *install*) " + install
                        + " ;; esac\n");
    }

    private void writeScript(String sha256) throws IOException {
        String text = Files.readString(Path.of("tools/jdk.sh"));
        text = replaced(text, "/usr/lib/jvm/\\*", installed + "/*");
        text = replaced(text, "/opt/java/\\*", folder.resolve("none") + "/*");
        text = replaced(text, "/Library/Java/JavaVirtualMachines/\\*/Contents/Home", folder.resolve("none") + "/*");
        text = replaced(text, "(?m)^sha256_x64=[0-9a-f]{64}$", "sha256_x64=" + sha256);
        text = replaced(text, "(?m)^sha256_aarch64=[0-9a-f]{64}$", "sha256_aarch64=" + sha256);
        script = Script.write(folder.resolve("jdk.sh"), text);
    }

    private static String replaced(String text, String pattern, String replacement) {
        String result = text.replaceAll(pattern, replacement);
        assertThat(result).as("with %s replaced", pattern).isNotEqualTo(text);
        return result;
    }

    private String address(String path) {
        return "http://127.0.0.1:" + mirror.getAddress().getPort() + path;
    }
}
