package io.weft;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Lines of prose in Markdown files and in comments of Java and CUDA code have at most 120 columns. Tables, code and
 * lines without a space to break at may be longer.
 */
class ProseTest {
    private static final int COLUMNS_MAX = 120;
    private static final Set<String> FOREIGN = Set.of("target", "node_modules", "shared");

    @Test
    void documentsAreNarrow() throws IOException {
        List<Path> documents = files(".md");
        List<String> wide = new ArrayList<>();
        for (Path document : documents) {
            wide.addAll(wideProse(document.toString(), Files.readAllLines(document)));
        }

        assertThat(documents).contains(Path.of("README.md"), Path.of("docs", "architecture.md"));
        assertThat(wide).isEmpty();
    }

    @Test
    void commentsAreNarrow() throws IOException {
        List<Path> sources = files(".java", ".cu", ".cuh");
        List<String> wide = new ArrayList<>();
        for (Path source : sources) {
            wide.addAll(wideComments(source.toString(), Files.readAllLines(source)));
        }

        assertThat(sources).contains(Path.of("src", "main", "cuda", "kernels.cu"));
        assertThat(wide).isEmpty();
    }

    @Test
    void aWideLineOfProseIsNamed() {
        List<String> lines = List.of("# Title", "words ".repeat(20).strip(), "words ".repeat(21));

        assertThat(wideProse("page.md", lines)).containsExactly("page.md:3 has 126 columns");
    }

    @Test
    void columnsAreCharactersAndNotBytes() {
        assertThat(wideProse("page.md", List.of("µ ".repeat(60), "µ ".repeat(61))))
                .hasSize(1);
    }

    @Test
    void tablesCodeAndLinksMayBeWide() {
        List<String> lines = List.of(
                "| " + "cell ".repeat(30) + " |", "```sh", "option ".repeat(30), "```", "- https://" + "a".repeat(120));

        assertThat(wideProse("page.md", lines)).isEmpty();
        assertThat(wideProse("page.md", List.of("```", "```", "words ".repeat(21))))
                .hasSize(1);
    }

    @Test
    void aWideCommentIsNamed() {
        String words = "words ".repeat(21);

        List<String> comments = List.of("// " + words, "/** " + words, " * " + words, "int a; // " + words);
        assertThat(wideComments("A.java", comments)).hasSize(4);

        List<String> others = List.of("String text = \"" + words + "\";", "// https://" + "a".repeat(120));
        assertThat(wideComments("A.java", others)).isEmpty();
    }

    /** Lines of Markdown outside of tables and fences that are too long and could be broken. */
    private static List<String> wideProse(String name, List<String> lines) {
        List<String> wide = new ArrayList<>();
        boolean inCode = false;
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i);
            if (line.strip().startsWith("```")) {
                inCode = !inCode;
            } else if (!inCode && !line.startsWith("|")) {
                addIfWide(wide, name, i, line);
            }
        }
        return wide;
    }

    private static List<String> wideComments(String name, List<String> lines) {
        List<String> wide = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            String text = lines.get(i).strip();
            if (text.startsWith("//") || text.startsWith("/*") || text.startsWith("*") || text.contains("; // ")) {
                addIfWide(wide, name, i, lines.get(i));
            }
        }
        return wide;
    }

    private static void addIfWide(List<String> wide, String name, int index, String line) {
        int columns = line.codePointCount(0, line.length());
        boolean breakable = line.strip().replaceFirst("^([-*]|//|/\\*+) ", "").contains(" ");
        if (columns > COLUMNS_MAX && breakable) {
            wide.add(name + ":" + (index + 1) + " has " + columns + " columns");
        }
    }

    private static List<Path> files(String... endings) throws IOException {
        try (Stream<Path> paths = Files.walk(Path.of(""))) {
            return paths.filter(path -> Stream.of(endings).anyMatch(path.toString()::endsWith))
                    .filter(path -> Stream.of(path.toString().split("/")).noneMatch(ProseTest::isForeign))
                    .toList();
        }
    }

    private static boolean isForeign(String folder) {
        return folder.startsWith(".") || FOREIGN.contains(folder);
    }
}
