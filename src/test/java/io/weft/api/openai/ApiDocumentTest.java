package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code docs/api.md} names each field of the requests, where it belongs. */
class ApiDocumentTest {
    private static final SnakeCaseStrategy NAMES = new SnakeCaseStrategy();
    /** Components that are no fields: what is unwrapped. */
    private static final Set<String> UNWRAPPED = Set.of("fields", "unsupported", "output", "toolFields");

    private static List<String> fields(Class<?> request) {
        return Arrays.stream(request.getRecordComponents())
                .map(RecordComponent::getName)
                .filter(name -> !UNWRAPPED.contains(name))
                .map(NAMES::translate)
                .toList();
    }

    @ParameterizedTest
    @ValueSource(
            classes = {
                CompletionRequest.class,
                ChatRequest.class,
                GenerationFields.class,
                GenerationFields.StreamOptions.class
            })
    void namesEachField(Class<?> request) throws IOException {
        String document = Files.readString(Path.of("docs/api.md"));

        assertThat(fields(request))
                .isNotEmpty()
                .allSatisfy(field -> assertThat(document).as(field).contains("`" + field + "`"));
    }

    @Test
    void saysWhatIsRefused() throws IOException {
        String document = Files.readString(Path.of("docs/api.md"));
        String section = document.substring(document.indexOf("## Refused"), document.indexOf("## Ignored"));

        assertThat(UnsupportedFields.names())
                .allSatisfy(field -> assertThat(section).contains("`" + field + "`"))
                .doesNotContainAnyElementsOf(fields(GenerationFields.class))
                .doesNotContainAnyElementsOf(fields(ChatRequest.class))
                .doesNotContainAnyElementsOf(fields(CompletionRequest.class));
    }
}
