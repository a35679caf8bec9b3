package io.weft.text.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Compares with what Jinja 3.1.6 made of the same; {@code tools/chat-templates/generate.py} asked it. */
class TemplateOracleTest {
    private static final Path FOLDER = Path.of("src/test/resources/chat-templates");
    private static final ObjectMapper JSON = new ObjectMapper();

    /** When the oracle was asked, as far as its templates know. */
    static final Clock CLOCK = Clock.fixed(Instant.parse("2025-03-07T09:05:01Z"), ZoneOffset.UTC);

    @TestFactory
    List<DynamicNode> chatTemplates() {
        return files().map(file -> {
                    JsonNode recorded = read(file);
                    Template template = Template.parse(recorded.path("template").textValue());
                    Stream<DynamicTest> cases = StreamSupport.stream(
                                    recorded.path("cases").spliterator(), false)
                            .map(one -> DynamicTest.dynamicTest(
                                    one.path("name").textValue(),
                                    () -> check(
                                            one,
                                            () -> text(template.render(
                                                    own(recorded, one),
                                                    Map.of("messages", list(one.path("messages"))),
                                                    CLOCK)))));
                    return (DynamicNode)
                            DynamicContainer.dynamicContainer(file.getFileName().toString(), cases);
                })
                .toList();
    }

    @TestFactory
    Stream<DynamicTest> snippets() {
        return snippets("snippets.json");
    }

    /** What templates for tools and agents use. */
    @TestFactory
    Stream<DynamicTest> moreSnippets() {
        return snippets("snippets-more.json");
    }

    private static Stream<DynamicTest> snippets(String file) {
        JsonNode recorded = read(FOLDER.resolve(file));
        Map<String, Object> variables = map(recorded.path("variables"));
        return StreamSupport.stream(recorded.path("cases").spliterator(), false)
                .map(one -> DynamicTest.dynamicTest(
                        "'" + one.path("template").textValue() + "'",
                        () -> check(
                                one,
                                () -> text(Template.parse(one.path("template").textValue())
                                        .render(Map.of(), variables, CLOCK)))));
    }

    private static void check(JsonNode recorded, java.util.function.Supplier<String> rendered) {
        if (recorded.has("output")) {
            assertThat(rendered.get()).isEqualTo(recorded.path("output").textValue());
        } else if (recorded.has("raised")) {
            assertThatExceptionOfType(TemplateException.class)
                    .isThrownBy(rendered::get)
                    .withMessage(recorded.path("raised").textValue());
        } else {
            assertThatExceptionOfType(TemplateException.class)
                    .isThrownBy(rendered::get)
                    .withMessageMatching("line \\d+: \\S.*");
        }
    }

    static Stream<Path> files() {
        try (Stream<Path> files = Files.list(FOLDER)) {
            return files
                    .filter(file -> !file.getFileName().toString().startsWith("snippets"))
                    .sorted()
                    .toList()
                    .stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What is not the conversation: special tokens, what a server sets, and what the case has. */
    static Map<String, Object> own(JsonNode recorded, JsonNode one) {
        var own = new HashMap<>(map(recorded.path("specialTokens")));
        own.put("add_generation_prompt", true);
        own.put("tools", null);
        own.put("documents", null);
        own.putAll(map(one.path("variables")));
        return own;
    }

    static JsonNode read(Path file) {
        try {
            return JSON.readTree(file.toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static List<Object> list(JsonNode node) {
        return JSON.convertValue(node, new TypeReference<>() {});
    }

    static Map<String, Object> map(JsonNode node) {
        return JSON.convertValue(node, new TypeReference<>() {});
    }

    static String text(List<Template.Part> parts) {
        return parts.stream().map(Template.Part::text).collect(Collectors.joining());
    }
}
