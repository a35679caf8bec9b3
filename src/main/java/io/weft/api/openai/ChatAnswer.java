package io.weft.api.openai;

import com.fasterxml.jackson.databind.node.TextNode;
import io.weft.engine.GenerationEvent.TokenScore;
import io.weft.text.tools.Output;
import io.weft.text.tools.OutputParser;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Takes apart the answer of one choice, as it arrives. One thread at a time. */
final class ChatAnswer {
    private static final String LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private static final int ID_LETTERS = 24;
    private static final String FUNCTION = "function";

    private final OutputParser parser;
    /** What the ids of calls are made of. */
    private final String seed;
    /** Of tokens whose text was held back. */
    private final List<TokenScore> scores = new ArrayList<>();

    private final List<Integer> tokens = new ArrayList<>();

    /** @param responseId random, so that ids of calls are */
    ChatAnswer(ChatReading reading, String responseId, int choice) {
        this.parser = reading.parser();
        this.seed = responseId + "/" + choice;
    }

    /** A part of a stream's chunks: new parts of the message, and the tokens since the last part. */
    record Part(ChatResponse.Message message, List<TokenScore> scores, List<Integer> tokens) {}

    /** The parts that a token and its text make certain. */
    List<Part> add(String text, int token, Optional<TokenScore> score) {
        score.ifPresent(scores::add);
        tokens.add(token);
        return parts(parser.add(text));
    }

    /** The last parts; tokens without one are those of {@link #rest}. */
    List<Part> end(String text) {
        List<Output> last = new ArrayList<>(parser.add(text));
        last.addAll(parser.finish());
        return parts(last);
    }

    /** A part without text, of tokens that had none. */
    Part rest() {
        return part(new ChatResponse.Message(null, null, null, null));
    }

    private List<Part> parts(List<Output> outputs) {
        return outputs.stream().map(this::message).map(this::part).toList();
    }

    private Part part(ChatResponse.Message message) {
        Part part = new Part(message, List.copyOf(scores), List.copyOf(tokens));
        scores.clear();
        tokens.clear();
        return part;
    }

    private ChatResponse.Message message(Output output) {
        return switch (output) {
            case Output.Content(String text) -> ChatResponse.Message.content(text);
            case Output.Reasoning(String text) -> new ChatResponse.Message(null, null, text, null);
            case Output.Call(int index, String name) ->
                call(new ChatResponse.ToolCall(index, id(index), FUNCTION, new ChatResponse.CalledFunction(name, "")));
            case Output.Arguments(int index, String text) ->
                call(new ChatResponse.ToolCall(index, null, null, new ChatResponse.CalledFunction(null, text)));
        };
    }

    private static ChatResponse.Message call(ChatResponse.ToolCall call) {
        return new ChatResponse.Message(null, null, null, List.of(call));
    }

    /** The message of a whole answer. */
    ChatResponse.Message whole(String role, String before, String text) {
        StringBuilder content = new StringBuilder(before);
        StringBuilder reasoning = new StringBuilder();
        List<String> names = new ArrayList<>();
        List<StringBuilder> arguments = new ArrayList<>();
        List<Output> outputs = new ArrayList<>(parser.add(text));
        outputs.addAll(parser.finish());
        for (Output output : outputs) {
            switch (output) {
                case Output.Content(String more) -> content.append(more);
                case Output.Reasoning(String more) -> reasoning.append(more);
                case Output.Call(int index, String name) -> {
                    names.add(name);
                    arguments.add(new StringBuilder());
                }
                case Output.Arguments(int index, String more) ->
                    arguments.get(index).append(more);
            }
        }
        List<ChatResponse.ToolCall> calls = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            var function = new ChatResponse.CalledFunction(
                    names.get(i), arguments.get(i).toString());
            calls.add(new ChatResponse.ToolCall(null, id(i), FUNCTION, function));
        }
        boolean silent = content.isEmpty() && (!calls.isEmpty() || !reasoning.isEmpty());
        return new ChatResponse.Message(
                role,
                silent ? ChatResponse.NO_CONTENT : TextNode.valueOf(content.toString()),
                reasoning.isEmpty() ? null : reasoning.toString(),
                calls.isEmpty() ? null : calls);
    }

    /** The reason of an end, given the engine's. */
    String finishReason(String reason) {
        return parser.calls() > 0 && reason.equals("stop") ? "tool_calls" : reason;
    }

    int malformedCalls() {
        return parser.malformedCalls();
    }

    private String id(int call) {
        return "call_" + letters(seed + "/" + call, ID_LETTERS);
    }

    /** Letters and digits that a text alone decides, at random. */
    static String letters(String of, int count) {
        byte[] hash;
        try {
            hash = MessageDigest.getInstance("SHA-256").digest(of.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
        var text = new StringBuilder();
        for (int i = 0; i < count; i++) {
            text.append(LETTERS.charAt((hash[i] & 0xFF) % LETTERS.length()));
        }
        return text.toString();
    }
}
