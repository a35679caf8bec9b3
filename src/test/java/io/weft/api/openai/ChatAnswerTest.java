package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.api.openai.ChatAnswer.Part;
import io.weft.engine.GenerationEvent.TokenScore;
import io.weft.text.tools.ReasoningFormat;
import io.weft.text.tools.ReasoningFormat.Start;
import io.weft.text.tools.ToolFormat;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ChatAnswerTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ChatReading READING = new ChatReading(
            Optional.of(ReasoningFormat.THINK),
            Start.ANSWER,
            Optional.of(ToolFormat.HERMES),
            Set.of("f", "g"),
            Optional.empty());
    private static final List<String> TEXTS = List.of(
            "Hello",
            "<think>\nHm.\n</think>\n\nHello\n",
            "<think>Hm.",
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>",
            "<think>So</think>I ask.\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>\n"
                    + "<tool_call>{\"name\": \"g\", \"arguments\": {\"b\": \"\uD83D\uDE00\"}}</tool_call>",
            "<tool_call>{\"name\": }",
            "");

    private static ChatAnswer answer() {
        return new ChatAnswer(READING, "chatcmpl-1", 0);
    }

    /** What OpenAI's clients do with the parts of a stream. */
    private static ChatResponse.Message assembled(List<Part> parts) {
        var content = new StringBuilder();
        var reasoning = new StringBuilder();
        var calls = new ArrayList<ChatResponse.ToolCall>();
        for (Part part : parts) {
            ChatResponse.Message message = part.message();
            assertThat(message.role()).isNull();
            JsonNode text = message.content();
            content.append(text == null ? "" : text.textValue());
            reasoning.append(message.reasoningContent() == null ? "" : message.reasoningContent());
            for (ChatResponse.ToolCall call :
                    Optional.ofNullable(message.toolCalls()).orElse(List.of())) {
                int index = Optional.ofNullable(call.index()).orElseThrow();
                if (index == calls.size()) {
                    assertThat(call.id()).matches("call_[0-9A-Za-z]{24}");
                    assertThat(call.type()).isEqualTo("function");
                    assertThat(call.function().arguments()).isEmpty();
                    calls.add(new ChatResponse.ToolCall(null, call.id(), call.type(), call.function()));
                } else {
                    assertThat(index).isEqualTo(calls.size() - 1);
                    assertThat(call.id()).isNull();
                    ChatResponse.ToolCall before = calls.removeLast();
                    calls.add(new ChatResponse.ToolCall(
                            null,
                            before.id(),
                            before.type(),
                            new ChatResponse.CalledFunction(
                                    before.function().name(),
                                    before.function().arguments()
                                            + call.function().arguments())));
                }
            }
        }
        boolean silent = content.isEmpty() && !(calls.isEmpty() && reasoning.isEmpty());
        return new ChatResponse.Message(
                "assistant",
                silent ? ChatResponse.NO_CONTENT : JSON.valueToTree(content.toString()),
                reasoning.isEmpty() ? null : reasoning.toString(),
                calls.isEmpty() ? null : calls);
    }

    @Test
    void aStreamAddsUpToTheWholeAnswer() {
        var random = new Random(5);
        for (String text : TEXTS) {
            ChatAnswer whole = answer();
            ChatResponse.Message expected = whole.whole("assistant", "", text);
            for (int i = 0; i < 50; i++) {
                ChatAnswer streamed = answer();
                var parts = new ArrayList<Part>();
                var tokens = new ArrayList<Integer>();
                int from = 0;
                while (from < text.length() && random.nextInt(20) > 0) {
                    int to = Math.min(text.length(), from + random.nextInt(5));
                    tokens.add(tokens.size());
                    parts.addAll(streamed.add(
                            text.substring(from, to),
                            tokens.getLast(),
                            Optional.of(new TokenScore(tokens.getLast(), -1, List.of()))));
                    from = to;
                }
                parts.addAll(streamed.end(text.substring(from)));
                parts.add(streamed.rest());
                assertThat(assembled(parts)).isEqualTo(expected);
                assertThat(parts.stream().flatMap(part -> part.tokens().stream()))
                        .isEqualTo(tokens);
                assertThat(parts.stream().flatMap(part -> part.scores().stream()))
                        .extracting(TokenScore::token)
                        .isEqualTo(tokens);
                assertThat(streamed.malformedCalls()).isEqualTo(whole.malformedCalls());
                assertThat(streamed.finishReason("stop")).isEqualTo(whole.finishReason("stop"));
            }
        }
    }

    @Test
    void aMessageOfCallsHasNoContent() {
        ChatAnswer answer = answer();
        ChatResponse.Message message = answer.whole("assistant", "", TEXTS.get(3));
        assertThat(JSON.valueToTree(message).toString())
                .matches(
                        "\\{\"role\":\"assistant\",\"content\":null,\"tool_calls\":\\[\\{\"id\":\"call_\\w{24}\","
                                + "\"type\":\"function\",\"function\":\\{\"name\":\"f\",\"arguments\":\"\\{\\\\\"a\\\\\": 1}\"}}]}");
        assertThat(answer.finishReason("stop")).isEqualTo("tool_calls");
        assertThat(answer.finishReason("length")).isEqualTo("length");
        assertThat(answer().whole("assistant", "", "Hi"))
                .isEqualTo(new ChatResponse.Message("assistant", JSON.valueToTree("Hi"), null, null));
    }

    @Test
    void idsOfCallsDiffer() {
        var ids = new ArrayList<String>();
        for (String response : List.of("chatcmpl-1", "chatcmpl-2")) {
            for (int choice = 0; choice < 2; choice++) {
                ChatResponse.Message message =
                        new ChatAnswer(READING, response, choice).whole("assistant", "", TEXTS.get(4));
                Optional.ofNullable(message.toolCalls()).orElseThrow().forEach(call -> ids.add(call.id()));
            }
        }
        assertThat(ids).hasSize(8).doesNotHaveDuplicates();
    }
}
