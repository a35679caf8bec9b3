package io.weft.text;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Directories with tokenizers of the kinds that models have. */
public final class TestTokenizers {
    public static final Path DEMO = Path.of("src/main/resources/models/demo");
    public static final Path WORDS = Path.of("src/test/resources/goldens/opt");
    static final ObjectMapper JSON = new ObjectMapper();

    private TestTokenizers() {}

    /** The demo model's byte-level vocabulary with chat markers, one of them not special, one that takes spaces. */
    public static Path chatMarkers(Path directory) {
        ObjectNode tokenizer = read(DEMO.resolve("tokenizer.json"));
        int id = tokenizer.path("model").path("vocab").size();
        var added = (ArrayNode) tokenizer.path("added_tokens");
        for (String content : List.of("<|im_start|>", "<|im_end|>", "<|im_end|>!", "<think>", "  ")) {
            added.add(addedToken(id++, content)
                    .put("special", content.startsWith("<|"))
                    .put("rstrip", content.equals("<|im_end|>!")));
        }
        return write(directory, tokenizer, """
                {"bos_token": {"content": "</s>", "lstrip": false}, "eos_token": "<|im_end|>",
                 "chat_template": [
                   {"name": "tool_use", "template": "tools"},
                   {"name": "default", "template": "{% for m in messages %}<|im_start|>{{ m.content }}<think>  {% endfor %}"}]}
                """);
    }

    /** A sentencepiece vocabulary as Llama 2 has it: byte tokens, U+2581 for spaces, one put before the text. */
    public static Path sentencePiece(Path directory) {
        ObjectNode tokenizer = JSON.createObjectNode();
        ObjectNode model = tokenizer.putObject("model");
        model.put("type", "BPE")
                .put("byte_fallback", true)
                .put("fuse_unk", true)
                .put("unk_token", "<unk>");
        ObjectNode vocabulary = model.putObject("vocab");
        for (String content : List.of("<unk>", "<s>", "</s>")) {
            vocabulary.put(content, vocabulary.size());
        }
        for (int b = 0; b < 256; b++) {
            vocabulary.put("<0x%02X>".formatted(b), vocabulary.size());
        }
        String alphabet = "\u2581abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,!</>[]\u00e9";
        alphabet.chars().forEach(c -> vocabulary.put(Character.toString(c), vocabulary.size()));
        ArrayNode merges = model.putArray("merges");
        for (String pair : List.of(
                "\u2581 t",
                "\u2581t h",
                "\u2581th e",
                "h e",
                "l l",
                "he ll",
                "hell o",
                "\u2581 \u2581",
                "< s",
                "<s >")) {
            String merged = pair.replace(" ", "");
            if (!vocabulary.has(merged)) {
                vocabulary.put(merged, vocabulary.size());
            }
            merges.add(pair);
        }
        tokenizer.put("version", "1.0");
        tokenizer
                .putObject("truncation")
                .put("direction", "Right")
                .put("max_length", 512)
                .put("strategy", "LongestFirst")
                .put("stride", 0);
        tokenizer.putNull("padding");
        ArrayNode added = tokenizer.putArray("added_tokens");
        for (int id = 0; id < 3; id++) {
            added.add(addedToken(id, List.of("<unk>", "<s>", "</s>").get(id)));
        }
        tokenizer.set("normalizer", parse("""
                        {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
                         {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
                        """));
        tokenizer.putNull("pre_tokenizer");
        tokenizer.set("post_processor", parse("""
                        {"type": "TemplateProcessing",
                         "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                         "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
                        """));
        tokenizer.set("decoder", parse("""
                        {"type": "Sequence", "decoders": [
                         {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                         {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
                        """));
        return write(directory, tokenizer, "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}");
    }

    /** A unigram vocabulary with a Metaspace decoder, which this package leaves to the library. */
    public static Path unigram(Path directory) {
        ObjectNode tokenizer = JSON.createObjectNode();
        ObjectNode model = tokenizer.putObject("model");
        model.put("type", "Unigram").put("unk_id", 0).put("byte_fallback", false);
        ArrayNode vocabulary = model.putArray("vocab");
        for (String content :
                List.of("<unk>", "<s>", "</s>", "\u2581", "\u2581hello", "\u2581world", "he", "ll", "o")) {
            vocabulary.addArray().add(content).add(content.startsWith("<") ? 0.0 : -2.0 - 1.0 / content.length());
        }
        "abcdefghijklmnopqrstuvwxyz</>.\u00e9\u65e5"
                .chars()
                .forEach(c -> vocabulary.addArray().add(Character.toString(c)).add(-9.0));
        tokenizer.put("version", "1.0");
        ArrayNode added = tokenizer.putArray("added_tokens");
        for (int id = 0; id < 3; id++) {
            added.add(addedToken(id, List.of("<unk>", "<s>", "</s>").get(id)));
        }
        JsonNode metaspace = parse("""
                {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true}
                """);
        tokenizer.putNull("normalizer");
        tokenizer.set("pre_tokenizer", metaspace);
        tokenizer.putNull("post_processor");
        tokenizer.set("decoder", metaspace);
        return write(directory, tokenizer, "{\"bos_token\": \"<s>\", \"add_bos_token\": true}");
    }

    static ObjectNode addedToken(int id, String content) {
        return JSON.createObjectNode()
                .put("id", id)
                .put("content", content)
                .put("single_word", false)
                .put("lstrip", false)
                .put("rstrip", false)
                .put("normalized", false)
                .put("special", true);
    }

    static Path write(Path directory, JsonNode tokenizer, String config) {
        try {
            Files.createDirectories(directory);
            JSON.writeValue(directory.resolve("tokenizer.json").toFile(), tokenizer);
            Files.writeString(directory.resolve("tokenizer_config.json"), config);
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static ObjectNode read(Path file) {
        try {
            return (ObjectNode) JSON.readTree(file.toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static JsonNode parse(String json) {
        try {
            return JSON.readTree(json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
