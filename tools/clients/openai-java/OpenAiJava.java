import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.errors.BadRequestException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionMessageFunctionToolCall;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption.Auto;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseStreamEvent;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * OpenAI's client for Java against a service: completions, chats, streams, structured output, tools, responses, errors.
 * The model must be served with tools. Prints a line for each, and ends with 1 if one failed.
 *
 * <pre>
 * ./mvnw -f tools/clients/openai-java dependency:copy-dependencies
 * java -cp 'tools/clients/openai-java/target/dependency/*' tools/clients/openai-java/OpenAiJava.java \
 *     http://localhost:8080
 * </pre>
 */
public class OpenAiJava {
    public enum Unit {
        CELSIUS,
        FAHRENHEIT
    }

    public static class Weather {
        public Unit unit;
        public boolean dry;
        public Optional<String> note;
    }

    @JsonClassDescription("The hour of a place")
    public static class Hour {
        @JsonPropertyDescription("its zone")
        public Unit zone;

        public boolean summer;
    }

    private static final long FEW = 5;
    private static final long MANY = 200;

    private final OpenAIClient client;
    private final String model;
    private boolean failed;

    private OpenAiJava(OpenAIClient client) {
        this.client = client;
        this.model = client.models().list().data().getFirst().id();
    }

    public static void main(String[] arguments) {
        OpenAIClient client = OpenAIOkHttpClient.builder()
                .baseUrl(arguments[0] + "/v1")
                .apiKey(Objects.requireNonNullElse(System.getenv("OPENAI_API_KEY"), "any"))
                .maxRetries(0)
                .build();
        OpenAiJava all = new OpenAiJava(client);
        all.check("completion", all::completion);
        all.check("completion, streamed", all::completionStream);
        all.check("chat", all::chat);
        all.check("chat, streamed", all::chatStream);
        all.check("structured output", all::structuredOutput);
        all.check("tools", all::tools);
        all.check("tools, streamed", all::toolsStream);
        all.check("responses", all::responses);
        all.check("responses, streamed", all::responsesStream);
        all.check("errors", all::errors);
        // The client's threads would go on.
        System.exit(all.failed ? 1 : 0);
    }

    private void check(String name, Runnable what) {
        try {
            what.run();
            System.out.println("ok     " + name);
        } catch (RuntimeException | AssertionError e) {
            failed = true;
            System.out.println("FAILED " + name + ": " + e);
        }
    }

    private static void require(boolean condition, Object found) {
        if (!condition) {
            throw new AssertionError(found);
        }
    }

    private void completion() {
        Completion completion = client.completions().create(completionParams());
        completion.validate();
        require(completion.usage().orElseThrow().completionTokens() == FEW, completion);
    }

    private void completionStream() {
        try (var stream = client.completions().createStreaming(completionParams())) {
            long chunks = stream.stream().count();
            require(chunks >= FEW, chunks);
        }
    }

    private CompletionCreateParams completionParams() {
        return CompletionCreateParams.builder()
                .model(model)
                .prompt("Once upon a time")
                .maxTokens(FEW)
                .build();
    }

    private ChatCompletionCreateParams.Builder chatParams(String words, long tokens) {
        return ChatCompletionCreateParams.builder()
                .model(model)
                .addUserMessage(words)
                .maxCompletionTokens(tokens);
    }

    private void chat() {
        ChatCompletion chat =
                client.chat().completions().create(chatParams("Hello", FEW).build());
        chat.validate();
        require(chat.choices().getFirst().message().content().isPresent(), chat);
    }

    private void chatStream() {
        ChatCompletion chat = accumulated(chatParams("Hello", FEW)
                .streamOptions(
                        ChatCompletionStreamOptions.builder().includeUsage(true).build())
                .build());
        require(chat.usage().orElseThrow().completionTokens() == FEW, chat);
    }

    private ChatCompletion accumulated(ChatCompletionCreateParams params) {
        var all = ChatCompletionAccumulator.create();
        try (var stream = client.chat().completions().createStreaming(params)) {
            stream.stream().peek(ChatCompletionChunk::validate).forEach(all::accumulate);
        }
        return all.chatCompletion();
    }

    private void structuredOutput() {
        Weather weather = client.chat()
                .completions()
                .create(chatParams("The weather", MANY)
                        .responseFormat(Weather.class)
                        .build())
                .choices()
                .getFirst()
                .message()
                .content()
                .orElseThrow();
        require(weather.unit != null && weather.note != null, weather);
    }

    private ChatCompletionCreateParams.Builder toolParams() {
        return chatParams("What time is it?", MANY).addTool(Hour.class).toolChoice(choice(Auto.REQUIRED));
    }

    private static ChatCompletionToolChoiceOption choice(Auto auto) {
        return ChatCompletionToolChoiceOption.ofAuto(auto);
    }

    private static ChatCompletionMessageFunctionToolCall call(ChatCompletion chat) {
        return chat.choices()
                .getFirst()
                .message()
                .toolCalls()
                .orElseThrow()
                .getFirst()
                .asFunction();
    }

    /** A call, its result, and the answer to that. */
    private void tools() {
        ChatCompletion chat = client.chat().completions().create(toolParams().build());
        ChatCompletionMessageFunctionToolCall call = call(chat);
        require(call.function().arguments(Hour.class).zone != null, call);
        ChatCompletion answer = client.chat()
                .completions()
                .create(toolParams()
                        .addMessage(chat.choices().getFirst().message())
                        .addMessage(ChatCompletionToolMessageParam.builder()
                                .toolCallId(call.id())
                                .content("noon")
                                .build())
                        .toolChoice(choice(Auto.NONE))
                        .maxCompletionTokens(FEW)
                        .build());
        require(answer.choices().getFirst().message().content().isPresent(), answer);
    }

    private void toolsStream() {
        ChatCompletionMessageFunctionToolCall call = call(accumulated(toolParams().build()));
        require(call.function().arguments(Hour.class).zone != null, call);
    }

    private void responses() {
        List<Unit> units = client
                .responses()
                .create(ResponseCreateParams.builder()
                        .model(model)
                        .input("The weather")
                        .maxOutputTokens(MANY)
                        .text(Weather.class)
                        .build())
                .output()
                .stream()
                .flatMap(item -> item.message().stream())
                .flatMap(message -> message.content().stream())
                .flatMap(content -> content.outputText().stream())
                .map(weather -> weather.unit)
                .toList();
        require(units.size() == 1, units);
    }

    private void responsesStream() {
        var all = ResponseAccumulator.create();
        try (var stream = client.responses()
                .createStreaming(ResponseCreateParams.builder()
                        .model(model)
                        .input("Hello")
                        .maxOutputTokens(FEW)
                        .build())) {
            stream.stream().forEach((ResponseStreamEvent event) -> all.accumulate(event));
        }
        require(all.response().usage().orElseThrow().outputTokens() == FEW, all.response());
    }

    private void errors() {
        try {
            client.chat()
                    .completions()
                    .create(chatParams("Hello", FEW).temperature(9.0).build());
            throw new AssertionError("no error");
        } catch (BadRequestException e) {
            require(e.param().equals(Optional.of("temperature")), e);
        }
    }
}
