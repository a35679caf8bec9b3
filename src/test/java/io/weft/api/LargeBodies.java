package io.weft.api;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * Bodies of the largest size, of each kind that costs a reader: long, deep and wide ones, many names, large numbers,
 * escapes, and fields that are known, refused, free and unknown.
 *
 * @param path where it is sent
 * @param name what it is
 */
record LargeBodies(String path, String name, byte[] body) {

    /** All kinds, of nearly so many bytes. */
    static List<LargeBodies> all(int bytes) {
        List<LargeBodies> all = new ArrayList<>();
        String completions = "/v1/completions";
        String chats = "/v1/chat/completions";
        String message = "{\"role\":\"user\",\"content\":\"a\"}";
        IntFunction<String> number = i -> "7";
        IntFunction<String> names = i -> "\"" + Integer.toString(i * 7919, 36) + "\":1";
        IntFunction<String> ids = i -> "\"" + i + "\":1";

        all.add(repeated("/detokenize", "nulls", "{\"tokens\":[", i -> "null", "]}", bytes));
        all.add(repeated("/detokenize", "tokens", "{\"tokens\":[", number, "]}", bytes));
        all.add(repeated(completions, "tokens", "{\"prompt\":[", number, "]}", bytes));
        all.add(repeated(completions, "lists of tokens", "{\"prompt\":[", i -> "[7]", "]}", bytes));
        all.add(repeated(completions, "texts", "{\"prompt\":[", i -> "\"a\"", "]}", bytes));
        all.add(repeated(completions, "stops", "{\"prompt\":\"a\",\"stop\":[", i -> "\"\"", "]}", bytes));
        all.add(repeated(completions, "biases", "{\"prompt\":\"a\",\"logit_bias\":{", ids, "}}", bytes));
        all.add(repeated(completions, "unknown numbers", "{\"x\":[", number, "]}", bytes));
        all.add(repeated(completions, "unknown names", "{", names, "}", bytes));
        all.add(repeated(completions, "unknown names below", "{\"x\":{", names, "}}", bytes));
        all.add(repeated(completions, "one name", "{", i -> "\"k\":1", "}", bytes));
        all.add(repeated(completions, "refused values", "{\"guided_json\":[", number, "]}", bytes));
        all.add(repeated(completions, "large numbers", "{\"guided_json\":[", i -> "9".repeat(50), "]}", bytes));
        all.add(repeated(completions, "larger numbers", "{\"x\":[", i -> "9".repeat(1000), "]}", bytes));
        all.add(repeated(completions, "deep", "{\"x\":[", i -> "[".repeat(90) + "]".repeat(90), "]}", bytes));
        all.add(repeated(completions, "long names", "{", i -> "\"" + "k".repeat(999) + "\":1", "}", bytes));
        all.add(text(completions, "letters", "{\"prompt\":\"", "a", "\"}", bytes));
        all.add(text(completions, "words", "{\"prompt\":\"", "word ", "\"}", bytes));
        all.add(text(completions, "escapes", "{\"prompt\":\"", "\\u0041", "\"}", bytes));
        all.add(text(completions, "characters of 3 bytes", "{\"prompt\":\"", "\u20ac", "\"}", bytes));
        all.add(text(completions, "characters of 4 bytes", "{\"prompt\":\"", "\ud83d\ude00", "\"}", bytes));
        all.add(text(completions, "blanks", "{", " ", "}", bytes));
        all.add(text(completions, "an unknown text", "{\"x\":\"", "\\n", "\"}", bytes));
        all.add(text(completions, "a large number", "{\"n\":", "9", "}", bytes));
        all.add(repeated(chats, "messages", "{\"messages\":[", i -> message, "]}", bytes));
        all.add(repeated(chats, "nulls", "{\"messages\":[", i -> "null", "]}", bytes));
        all.add(repeated(
                chats,
                "parts",
                "{\"messages\":[{\"role\":\"user\",\"content\":[",
                i -> "{\"type\":\"text\",\"text\":\"a\"}",
                "]}]}",
                bytes));
        for (String door : List.of("/v1/responses", "/v1/messages")) {
            String list = door.equals("/v1/responses") ? "\"input\"" : "\"max_tokens\":1,\"messages\"";
            all.add(repeated(door, "messages", "{" + list + ":[", i -> message, "]}", bytes));
            all.add(repeated(door, "unknown names", "{", names, "}", bytes));
            all.add(repeated(door, "unknown numbers", "{\"x\":[", number, "]}", bytes));
            all.add(text(door, "words", "{" + list + ":[{\"role\":\"user\",\"content\":\"", "word ", "\"}]}", bytes));
        }
        all.add(repeated(chats, "fields of a message", "{\"messages\":[{\"role\":\"user\",", names, "}]}", bytes));
        all.add(repeated(
                chats, "variables", "{\"messages\":[" + message + "],\"chat_template_kwargs\":{", names, "}}", bytes));
        all.add(text(chats, "one message", "{\"messages\":[{\"role\":\"user\",\"content\":\"", "a ", "\"}]}", bytes));
        all.add(repeated(
                chats,
                "long messages",
                "{\"messages\":[",
                i -> "{\"role\":\"user\",\"content\":\"" + "a ".repeat(1 << 14) + "\"}",
                "]}",
                bytes));
        all.add(repeated("/tokenize", "messages", "{\"messages\":[", i -> message, "]}", bytes));
        all.add(text("/tokenize", "letters", "{\"prompt\":\"", "a", "\"}", bytes));
        all.add(repeated("/weft/v1/plan", "forms", "{\"forms\":[", i -> "null", "]}", bytes));
        all.add(repeated("/weft/v1/plan", "unknown names", "{", names, "}", bytes));
        return all;
    }

    private static LargeBodies repeated(
            String path, String name, String before, IntFunction<String> element, String after, int bytes) {
        StringBuilder body = new StringBuilder(bytes).append(before).append(element.apply(0));
        for (int i = 1; body.length() < bytes - 2 * (element.apply(i).length() + after.length()); i++) {
            body.append(',').append(element.apply(i));
        }
        return new LargeBodies(path, name, body.append(after).toString().getBytes(StandardCharsets.UTF_8));
    }

    private static LargeBodies text(String path, String name, String before, String unit, String after, int bytes) {
        int count = (bytes - before.length() - after.length()) / unit.getBytes(StandardCharsets.UTF_8).length;
        return new LargeBodies(path, name, (before + unit.repeat(count) + after).getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public String toString() {
        return path + " " + name;
    }
}
