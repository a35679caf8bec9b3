package io.weft.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What {@code tokenizer_config.json}, {@code special_tokens_map.json} and {@code chat_template.jinja} say; each may be
 * absent.
 *
 * @param specialTokens contents by name, such as {@code bos_token}: texts, or a list of them
 * @param addBos whether an encoded text begins with {@code bos_token}; empty to leave that to {@code tokenizer.json}
 * @param chatTemplate the source of the chat template
 */
record TokenizerConfig(Map<String, Object> specialTokens, Optional<Boolean> addBos, Optional<String> chatTemplate) {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static final List<String> TOKEN_NAMES =
            List.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token");

    TokenizerConfig {
        specialTokens = Map.copyOf(specialTokens);
    }

    /** @throws TokenizerException naming file and cause */
    static TokenizerConfig read(Path modelDirectory) {
        JsonNode config = readObject(modelDirectory.resolve("tokenizer_config.json"));
        JsonNode map = readObject(modelDirectory.resolve("special_tokens_map.json"));
        var specialTokens = new LinkedHashMap<String, Object>();
        for (String name : TOKEN_NAMES) {
            String content = content(config.path(name));
            if (content == null) {
                content = content(map.path(name));
            }
            if (content != null) {
                specialTokens.put(name, content);
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
            }
        }
        if (!contents.isEmpty()) {
            specialTokens.put("additional_special_tokens", List.copyOf(contents));
        }
        JsonNode addBos = config.path("add_bos_token");
        return new TokenizerConfig(
                specialTokens,
                addBos.isBoolean() ? Optional.of(addBos.booleanValue()) : Optional.empty(),
                chatTemplate(modelDirectory.resolve("chat_template.jinja"), config.path("chat_template")));
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
