package io.weft.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * What {@code tokenizer_config.json}, {@code special_tokens_map.json} and {@code chat_template.jinja} say; each may be
 * absent.
 *
 * @param specialTokens contents by name, such as {@code bos_token}: texts, or a list of them
 * @param added tokens that are named here, which {@code tokenizer.json} may lack among its added ones
 * @param addBos whether an encoded text begins with {@code bos_token}; empty to leave that to {@code tokenizer.json}
 * @param chatTemplate the source of the chat template
 * @param toolTemplate the source of another one, for chats with tools
 */
record TokenizerConfig(
        Map<String, Object> specialTokens,
        List<NamedToken> added,
        Optional<Boolean> addBos,
        Optional<String> chatTemplate,
        Optional<String> toolTemplate) {
    /** Python writes and reads NaN and Infinity. */
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    private static final List<String> TOKEN_NAMES =
            List.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token");

    TokenizerConfig {
        specialTokens = Map.copyOf(specialTokens);
        added = List.copyOf(added);
    }

    /**
     * A token that a configuration names.
     *
     * @param id empty to look its content up
     * @param special whether it is hidden in a text for people
     * @param lstrip whether it takes the spaces before it
     * @param rstrip whether it takes the spaces after it
     */
    record NamedToken(
            OptionalInt id,
            String content,
            boolean special,
            boolean normalized,
            boolean singleWord,
            boolean lstrip,
            boolean rstrip) {
        static NamedToken of(OptionalInt id, JsonNode json, String content, boolean special) {
            return new NamedToken(
                    id,
                    content,
                    special,
                    json.path("normalized").asBoolean(),
                    json.path("single_word").asBoolean(),
                    json.path("lstrip").asBoolean(),
                    json.path("rstrip").asBoolean());
        }
    }

    /** @throws TokenizerException naming file and cause */
    static TokenizerConfig read(Path modelDirectory) {
        JsonNode config = readObject(modelDirectory.resolve("tokenizer_config.json"));
        JsonNode map = readObject(modelDirectory.resolve("special_tokens_map.json"));
        var specialTokens = new LinkedHashMap<String, Object>();
        var added = new LinkedHashMap<String, NamedToken>();
        for (Map.Entry<String, JsonNode> token :
                config.path("added_tokens_decoder").properties()) {
            String content = content(token.getValue());
            if (content != null && token.getKey().matches("\\d{1,8}")) {
                added.put(
                        content,
                        NamedToken.of(
                                OptionalInt.of(Integer.parseInt(token.getKey())),
                                token.getValue(),
                                content,
                                token.getValue().path("special").asBoolean()));
            }
        }
        for (String name : TOKEN_NAMES) {
            JsonNode token = content(config.path(name)) == null ? map.path(name) : config.path(name);
            String content = content(token);
            if (content != null) {
                specialTokens.put(name, content);
                added.putIfAbsent(content, NamedToken.of(OptionalInt.empty(), token, content, true));
            }
        }
        JsonNode additional = config.path("additional_special_tokens");
        if (!additional.isArray()) {
            additional = map.path("additional_special_tokens");
        }
        var contents = new ArrayList<String>();
        for (JsonNode token : additional) {
            String content = content(token);
            if (content != null) {
                contents.add(content);
                added.putIfAbsent(content, NamedToken.of(OptionalInt.empty(), token, content, true));
            }
        }
        if (!contents.isEmpty()) {
            specialTokens.put("additional_special_tokens", List.copyOf(contents));
        }
        JsonNode addBos = config.path("add_bos_token");
        return new TokenizerConfig(
                specialTokens,
                List.copyOf(added.values()),
                addBos.isBoolean() ? Optional.of(addBos.booleanValue()) : Optional.empty(),
                chatTemplate(modelDirectory.resolve("chat_template.jinja"), config.path("chat_template")),
                toolTemplate(modelDirectory.resolve("chat_template.jinja"), config.path("chat_template")));
    }

    /** A token is its content, or an object that has it. */
    private static @Nullable String content(JsonNode token) {
        JsonNode content = token.isObject() ? token.path("content") : token;
        return content.isTextual() ? content.textValue() : null;
    }

    private static Optional<String> chatTemplate(Path file, JsonNode configured) {
        if (Files.exists(file)) {
            try {
                return Optional.of(Files.readString(file));
            } catch (IOException e) {
                throw new TokenizerException(file + ": cannot be read: " + NativeTokenizer.oneLine(e), e);
            }
        }
        if (configured.isTextual()) {
            return Optional.of(configured.textValue());
        }
        // Named templates; all except "default" are for tools and retrieval.
        JsonNode chosen = configured.path(0);
        for (JsonNode named : configured) {
            if (named.path("name").asText().equals("default")) {
                chosen = named;
            }
        }
        return Optional.ofNullable(chosen.path("template").textValue());
    }

    private static Optional<String> toolTemplate(Path file, JsonNode configured) {
        if (configured.isArray() && !Files.exists(file)) {
            for (JsonNode named : configured) {
                if (named.path("name").asText().equals("tool_use")) {
                    return Optional.ofNullable(named.path("template").textValue());
                }
            }
        }
        return Optional.empty();
    }

    private static JsonNode readObject(Path file) {
        if (!Files.exists(file)) {
            return MissingNode.getInstance();
        }
        JsonNode node;
        try {
            node = JSON.readTree(Files.readAllBytes(file));
        } catch (JsonProcessingException e) {
            throw new TokenizerException(file + ": " + TokenizerFile.jsonProblem(e), e);
        } catch (IOException e) {
            throw new TokenizerException(file + ": cannot be read: " + NativeTokenizer.oneLine(e), e);
        }
        if (!node.isObject()) {
            throw new TokenizerException(file + ": is no JSON object");
        }
        return node;
    }
}
