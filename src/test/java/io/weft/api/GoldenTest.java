package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What another implementation computed for a model comes out of the API. */
@QuarkusTest
@TestProfile(ServiceProfile.Golden.class)
class GoldenTest {
    @TestHTTPResource("/")
    URI root;

    static Stream<JsonNode> prompts() throws IOException {
        Path golden = Path.of("src/test/resources/goldens/mistral/golden.json");
        return ApiClient.JSON.readTree(golden.toFile()).path("prompts").valueStream();
    }

    @ParameterizedTest
    @MethodSource("prompts")
    void greedyTokensAndTheirLogprobs(JsonNode prompt) throws Exception {
        int tokens = prompt.path("greedy").size();
        String fields =
                "\"prompt\":%s,\"max_tokens\":%d,\"temperature\":0,\"logprobs\":5,\"ignore_eos\":true,\"return_token_ids\":true"
                        .formatted(prompt.path("input_ids"), tokens);

        JsonNode choice = new ApiClient(root)
                .answer("/v1/completions", "{" + fields + "}")
                .at("/choices/0");

        assertThat(choice.path("token_ids")).isEqualTo(prompt.path("greedy"));
        assertThat(choice.path("prompt_token_ids")).isEqualTo(prompt.path("input_ids"));
        assertThat(choice.at("/logprobs/tokens")).hasSize(tokens);
        assertThat(choice.at("/logprobs/token_logprobs/0").doubleValue())
                .isCloseTo(likeliestLogprob(prompt.path("last_logits")), Offset.offset(1e-3));
    }

    private static double likeliestLogprob(JsonNode logits) {
        double largest =
                logits.valueStream().mapToDouble(JsonNode::doubleValue).max().orElseThrow();
        double sum = logits.valueStream()
                .mapToDouble(logit -> Math.exp(logit.doubleValue() - largest))
                .sum();
        return -Math.log(sum);
    }
}
