package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiChatRequestParameters;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.structured.Description;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.Result;
import dev.langchain4j.service.TokenStream;
import dev.langchain4j.service.UserMessage;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** LangChain4j's {@code AiServices}, as its users write them: only the base URL is Weft's. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class LangChain4jTest {
    @TestHTTPResource("/v1")
    URI base;

    enum Unit {
        CELSIUS,
        FAHRENHEIT
    }

    record Day(
            @JsonProperty(required = true) @Description("of the month")
            int number,

            @JsonProperty(required = true) boolean dry,
            @JsonProperty(required = true) Unit unit) {}

    record Weather(
            @JsonProperty(required = true) String city,
            @JsonProperty(required = true) List<Day> days,
            @JsonProperty(required = true) double degrees) {}

    interface Forecaster {
        @UserMessage("The weather in {{it}}")
        Weather weather(String city);

        @UserMessage("The unit in {{it}}")
        Unit unit(String city);
    }

    interface Agent {
        Result<String> chat(String words);
    }

    interface Teller {
        TokenStream tell(String words);
    }

    static final class Clock {
        final List<String> asked = new ArrayList<>();

        @Tool("The hour of a place")
        String hour(@P("its zone") Unit zone, @P("how many") int count) {
            asked.add(zone + " " + count);
            return "noon";
        }
    }

    private OpenAiChatModel.OpenAiChatModelBuilder model(int maxTokens) {
        return OpenAiChatModel.builder()
                .baseUrl(base.toString())
                .apiKey("unused")
                .modelName(TestService.MODEL_ID)
                .temperature(1.0)
                .seed(1)
                .maxTokens(maxTokens)
                .maxRetries(0)
                .timeout(OperationsTest.HANG);
    }

    @Test
    void aServiceAnswersWithObjects() {
        Forecaster forecaster = AiServices.create(
                Forecaster.class,
                model(120)
                        .supportedCapabilities(Capability.RESPONSE_FORMAT_JSON_SCHEMA)
                        .strictJsonSchema(true)
                        .build());

        Weather weather = forecaster.weather("Rome");
        assertThat(weather.city()).isNotNull();
        assertThat(weather.days())
                .isNotNull()
                .allSatisfy(day -> assertThat(day.unit()).isNotNull());
        assertThat(weather.degrees()).isFinite();
        assertThat(forecaster.unit("Rome")).isNotNull();
    }

    @Test
    void aServiceCallsToolsAndGoesOnWithTheirResults() {
        Clock clock = new Clock();
        Agent agent = AiServices.builder(Agent.class)
                .chatModel(model(100).strictTools(true).parallelToolCalls(false).build())
                .tools(clock)
                .chatRequestTransformer(LangChain4jTest::callingOnce)
                .build();

        Result<String> result = agent.chat("The king");
        assertThat(clock.asked).hasSize(1);
        assertThat(result.toolExecutions()).hasSize(1);
        assertThat(result.toolExecutions().getFirst().result()).isEqualTo("noon");
        assertThat(result.finishReason()).isIn(FinishReason.STOP, FinishReason.LENGTH);
        assertThat(result.content()).isNotEmpty();
    }

    /** The demo model would call nothing by itself, or never stop. */
    private static ChatRequest callingOnce(ChatRequest request) {
        ChatMessage last = request.messages().getLast();
        ToolChoice choice = last instanceof ToolExecutionResultMessage ? ToolChoice.NONE : ToolChoice.REQUIRED;
        return request.toBuilder()
                .parameters(request.parameters()
                        .overrideWith(OpenAiChatRequestParameters.builder()
                                .toolChoice(choice)
                                .build()))
                .build();
    }

    @Test
    void aServiceStreams() throws Exception {
        Teller teller = AiServices.create(
                Teller.class,
                OpenAiStreamingChatModel.builder()
                        .baseUrl(base.toString())
                        .apiKey("unused")
                        .modelName(TestService.MODEL_ID)
                        .temperature(0.0)
                        .maxTokens(12)
                        .timeout(OperationsTest.HANG)
                        .build());
        StringBuilder pieces = new StringBuilder();
        CompletableFuture<String> whole = new CompletableFuture<>();
        teller.tell("The king")
                .onPartialResponse(pieces::append)
                .onCompleteResponse(
                        response -> whole.complete(response.aiMessage().text()))
                .onError(whole::completeExceptionally)
                .start();

        assertThat(whole.get(OperationsTest.HANG.toMinutes(), TimeUnit.MINUTES)).isEqualTo(pieces.toString());
        assertThat(model(12).temperature(0.0).build().chat("The king")).isEqualTo(pieces.toString());
    }
}
