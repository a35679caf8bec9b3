package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * The scripts of {@code src/test/clients}, with the packages that its lock file names, in {@code target/clients}. Node
 * is one of these packages, since distributions have older versions than the clients want; machines for which there is
 * no such package use their own.
 */
record NodeScripts(Path folder, String node) {
    private static final Path SOURCES = Path.of("src", "test", "clients");

    /**
     * Installs the packages, unless they are there. Where that cannot be done, the test is skipped; where {@code CI} is
     * set, it fails.
     */
    static NodeScripts install() throws IOException, InterruptedException {
        Path folder = Files.createDirectories(Path.of("target", "clients"));
        try (Stream<Path> sources = Files.list(SOURCES)) {
            for (Path source : sources.toList()) {
                Files.copy(source, folder.resolve(source.getFileName()), StandardCopyOption.REPLACE_EXISTING);
            }
        }
        Path lock = folder.resolve("package-lock.json");
        Path installed = folder.resolve("installed-lock.json");
        if (!Files.exists(installed) || Files.mismatch(lock, installed) >= 0) {
            if (Stream.of(System.getenv("PATH").split(File.pathSeparator))
                    .noneMatch(path -> new File(path, "npm").canExecute())) {
                return missing("npm is not on the PATH: apt-get install npm");
            }
            // Node's version, which npm warns of, is not the one that runs the scripts.
            Ended npm = run(folder, List.of("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"));
            if (npm.status() != 0) {
                return missing("npm cannot install the clients: " + npm.output());
            }
            Files.copy(lock, installed, StandardCopyOption.REPLACE_EXISTING);
        }
        for (String machine : List.of("x64", "arm64")) {
            Path node = folder.resolve("node_modules/node-linux-" + machine + "/bin/node");
            if (Files.isExecutable(node)) {
                return new NodeScripts(folder, node.toAbsolutePath().toString());
            }
        }
        return new NodeScripts(folder, "node");
    }

    private static NodeScripts missing(String what) {
        String reason = "other programs are tried as clients under Node, and " + what;
        return System.getenv("CI") == null ? abort(reason) : fail(reason);
    }

    /** How a program ended, and all that it said. */
    private record Ended(int status, String output) {}

    private static Ended run(Path folder, List<String> command) throws IOException, InterruptedException {
        Path output = Files.createTempFile("weft-node-", ".txt");
        Process process = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            boolean ended = process.waitFor(OperationsTest.HANG.toMillis(), TimeUnit.MILLISECONDS);
            return new Ended(ended ? process.exitValue() : -1, Files.readString(output, StandardCharsets.UTF_8));
        } finally {
            process.destroyForcibly();
            Files.delete(output);
        }
    }

    /**
     * Runs a script to its end; it must find all as it should be.
     *
     * @param root address of the service
     * @param name without its ending
     * @param more what the script is told besides the address
     */
    void run(URI root, String name, String... more) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of(node, name + ".mjs", root.toString().replaceAll("/$", "")));
        command.addAll(List.of(more));
        Ended script = run(folder, command);
        assertThat(script.status())
                .as("%s: %s", String.join(" ", command), script.output())
                .isZero();
    }
}
