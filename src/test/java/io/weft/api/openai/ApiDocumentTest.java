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
import org.junit.jupiter.params.provider.CsvSource;
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

    /** The fields that the vendors' clients know. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "Responses | Messages | background context_management conversation include input instructions"
                        + " max_output_tokens metadata model moderation parallel_tool_calls previous_response_id prompt"
                        + " prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier"
                        + " service_tier store stream stream_options temperature text tool_choice tools top_logprobs"
                        + " top_p truncation user max_tool_calls",
                "Messages | Fields at every door | max_tokens messages model billing_policy cache_control compaction"
                        + " container context_management diagnostics fallback_credit_token fallbacks inference_geo"
                        + " mcp_servers metadata output_config output_format service_tier speed stop_sequences stream"
                        + " system temperature thinking thread tool_choice tools top_k top_p betas user_profile_id"
                        + " workspace_id",
            })
    void saysWhatBecomesOfEachFieldAtOtherDoors(String door, String next, String fields) throws IOException {
        String document = Files.readString(Path.of("docs/api.md"));
        String section = document.substring(document.indexOf("## " + door), document.indexOf("## " + next));

        assertThat(fields.split(" ")).allSatisfy(field -> assertThat(section).contains("`" + field + "`"));
    }
}
