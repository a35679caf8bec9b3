package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every kernel of the CPU device against its formula, and a small model as a whole. */
class SelftestCommandTest {
    @Test
    void theCpuDevicePassesWithAModelToCompare(@TempDir Path goldens) throws IOException {
        copy(Path.of("src/test/resources/goldens/llama-w4a16"), goldens.resolve("llama-w4a16"));

        CommandRun run = CommandRun.run("selftest --small --device cpu --goldens", goldens.toString());

        assertThat(run.error()).isEmpty();
        List<String> lines = run.out().lines().toList();
        assertThat(lines.getFirst()).startsWith("device: CPU");
        assertThat(lines.getLast()).endsWith(" checks, 0 failed");
        assertThat(lines).hasSizeGreaterThan(500);
        assertThat(lines)
                .anyMatch(line -> line.startsWith("ok   llama-w4a16 in F32, blocks of 16: logits after"))
                .noneMatch(line -> line.contains("F16, blocks"));
        assertThat(run.status()).isZero();
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectory(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
    }
}
