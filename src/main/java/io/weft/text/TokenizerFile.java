package io.weft.text;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The parts of a {@code tokenizer.json} that its native reader does not expose: the vocabulary, the added tokens and
 * the decoder. Immutable.
 */
final class TokenizerFile {
    /** More than any known vocabulary; a file that claims more is damaged, and its table would not fit into memory. */
    private static final int ID_LIMIT = 1 << 24;

    /** Field names are the vocabulary here, too many for a symbol table. */
    private static final ObjectMapper JSON = new ObjectMapper(JsonFactory.builder()
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .build());

    /**
     * @param normalized whether it is looked for in the normalized text
     * @param special whether it is hidden in a text for people
     */
    record AddedToken(int id, String content, boolean normalized, boolean special) {}

    private final byte[] utf8;
    private final List<@Nullable String> vocabulary;
    private final List<AddedToken> added;
    private final JsonNode decoder;
    private final boolean normalizes;

    private TokenizerFile(
            byte[] utf8, @Nullable String[] vocabulary, List<AddedToken> added, JsonNode decoder, boolean normalizes) {
        this.utf8 = utf8;
        this.vocabulary = Collections.unmodifiableList(Arrays.asList(vocabulary));
        this.added = added;
        this.decoder = decoder;
        this.normalizes = normalizes;
    }

    /** A token's content by its id; null where there is none. */
    List<@Nullable String> vocabulary() {
        return vocabulary;
    }

    /** The added tokens, in the order of the file. */
    List<AddedToken> added() {
        return added;
    }

    /** The decoder's description; JSON's null, or missing, if there is none. */
    JsonNode decoder() {
        return decoder;
    }

    /** Whether text is normalized before it is cut. */
    boolean normalizes() {
        return normalizes;
    }

    /** The whole file, for the native reader. */
    String text() {
        return new String(utf8, StandardCharsets.UTF_8);
    }

    /** @throws TokenizerException naming file and cause */
    static TokenizerFile read(Path file) {
        byte[] bytes;
        try {
            bytes = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new TokenizerException(file + ": there is no such file; only this form of tokenizer is read", e);
        } catch (AccessDeniedException e) {
            throw new TokenizerException(file + ": may not be read", e);
        } catch (IOException e) {
            throw new TokenizerException(file + ": cannot be read: " + NativeTokenizer.oneLine(e), e);
        }
        try (JsonParser parser = JSON.createParser(bytes)) {
            return new Reader(parser).read(bytes);
        } catch (JsonProcessingException e) {
            throw new TokenizerException(file + ": " + jsonProblem(e), e);
        } catch (IOException e) {
            throw new TokenizerException(file + ": " + NativeTokenizer.oneLine(e), e);
        }
    }

    /** The same tokenizer with tokens among its added ones that another file names; itself if it has all of them. */
    TokenizerFile with(List<TokenizerConfig.NamedToken> named) {
        Set<String> known = added.stream().map(AddedToken::content).collect(Collectors.toSet());
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < vocabulary.size(); id++) {
            String content = vocabulary.get(id);
            if (content != null) {
                ids.putIfAbsent(content, id);
            }
        }
        var all = new ArrayList<>(added);
        var missing = JSON.createArrayNode();
        int most = vocabulary.size() - 1;
        for (TokenizerConfig.NamedToken token : named) {
            Integer id = ids.get(token.content());
            // The library gives a new token the next id, whatever is written.
            if (id == null && token.id().equals(OptionalInt.of(most + 1)) && most + 1 < ID_LIMIT) {
                id = most + 1;
            }
            if (id == null || token.content().isEmpty() || !known.add(token.content())) {
                continue;
            }
            most = Math.max(most, id);
            all.add(new AddedToken(id, token.content(), token.normalized(), token.special()));
            missing.add(JSON.createObjectNode()
                    .put("id", id)
                    .put("content", token.content())
                    .put("single_word", token.singleWord())
                    .put("lstrip", token.lstrip())
                    .put("rstrip", token.rstrip())
                    .put("normalized", token.normalized())
                    .put("special", token.special()));
        }
        if (missing.isEmpty()) {
            return this;
        }
        var contents = vocabulary.toArray(new @Nullable String[0]);
        var extended = Arrays.copyOf(contents, most + 1);
        all.forEach(token -> extended[token.id()] = token.content());
        return new TokenizerFile(withAdded(missing), extended, List.copyOf(all), decoder, normalizes);
    }

    private byte[] withAdded(ArrayNode missing) {
        var writer = new StringWriter(utf8.length);
        try (JsonParser parser = JSON.createParser(utf8);
                JsonGenerator generator = JSON.createGenerator(writer)) {
            parser.nextToken();
            generator.writeStartObject();
            boolean written = false;
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                generator.writeFieldName(field);
                if (field.equals("added_tokens")) {
                    JsonNode tokens = parser.readValueAsTree();
                    ArrayNode every = tokens instanceof ArrayNode list ? list : JSON.createArrayNode();
                    generator.writeTree(sorted(every.addAll(missing)));
                    written = true;
                } else {
                    generator.copyCurrentStructure(parser);
                }
            }
            if (!written) {
                generator.writeFieldName("added_tokens");
                generator.writeTree(sorted(missing));
            }
            generator.writeEndObject();
        } catch (IOException e) {
            throw new IllegalStateException("a text that was read before", e);
        }
        return writer.toString().getBytes(StandardCharsets.UTF_8);
    }

    /** In the order of ids, as the library wants those beyond the vocabulary. */
    private static ArrayNode sorted(ArrayNode tokens) {
        var list = new ArrayList<JsonNode>();
        tokens.forEach(list::add);
        list.sort(Comparator.comparingInt(token -> token.path("id").asInt()));
        return JSON.createArrayNode().addAll(list);
    }

    /** The cause and where it is, in one line. */
    static String jsonProblem(JsonProcessingException e) {
        String cause = e.getOriginalMessage().strip().replaceAll("\\s*\\R\\s*", "; ");
        return e.getLocation() == null
                ? "is not valid JSON: " + cause
                : "is not valid JSON: %s (line %d, column %d)"
                        .formatted(
                                cause,
                                e.getLocation().getLineNr(),
                                e.getLocation().getColumnNr());
    }

    /** Reads field by field: a tree of a large vocabulary takes ten times its file. */
    private static final class Reader {
        private final JsonParser parser;
        private final Map<Integer, String> contents = new HashMap<>();
        private final List<AddedToken> added = new ArrayList<>();
        private JsonNode decoder = MissingNode.getInstance();
        private boolean normalizes;
        private boolean hasVocabulary;
        private int idMax = -1;

        Reader(JsonParser parser) {
            this.parser = parser;
        }

        TokenizerFile read(byte[] utf8) throws IOException {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException("is no JSON object");
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                JsonToken value = parser.nextToken();
                switch (field) {
                    case "added_tokens" -> readAdded(parser.readValueAsTree());
                    case "decoder" -> decoder = parser.readValueAsTree();
                    case "normalizer" -> {
                        normalizes = value != JsonToken.VALUE_NULL;
                        parser.skipChildren();
                    }
                    case "model" -> readModel();
                    default -> parser.skipChildren();
                }
            }
            if (!hasVocabulary) {
                throw new IOException("has no \"vocab\" in \"model\"");
            }
            var vocabulary = new @Nullable String[idMax + 1];
            contents.forEach((id, content) -> vocabulary[id] = content);
            added.forEach(token -> vocabulary[token.id()] = token.content());
            return new TokenizerFile(utf8, vocabulary, List.copyOf(added), decoder, normalizes);
        }

        private void readAdded(JsonNode tokens) throws IOException {
            for (JsonNode token : tokens) {
                String content = token.path("content").asText("");
                if (content.isEmpty()) {
                    throw new IOException("has an added token without \"content\"");
                }
                added.add(new AddedToken(
                        checkedId(token.path("id").asLong(-1), content),
                        content,
                        token.path("normalized").asBoolean(),
                        token.path("special").asBoolean()));
            }
        }

        private void readModel() throws IOException {
            if (parser.currentToken() != JsonToken.START_OBJECT) {
                throw new IOException("\"model\" is no JSON object");
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                JsonToken value = parser.nextToken();
                if (!field.equals("vocab")) {
                    parser.skipChildren();
                } else if (value == JsonToken.START_OBJECT) {
                    readIds();
                } else if (value == JsonToken.START_ARRAY) {
                    readScores();
                } else {
                    throw new IOException("\"vocab\" is neither an object nor an array");
                }
            }
        }

        private void readIds() throws IOException {
            hasVocabulary = true;
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String content = parser.currentName();
                if (parser.nextToken() != JsonToken.VALUE_NUMBER_INT) {
                    throw new IOException("the id of token \"" + content + "\" is no integer");
                }
                contents.put(checkedId(parser.getLongValue(), content), content);
            }
        }

        /** A unigram model's vocabulary: pairs of content and score, an id being the place in the list. */
        private void readScores() throws IOException {
            hasVocabulary = true;
            int id = 0;
            while (parser.nextToken() == JsonToken.START_ARRAY) {
                String content = parser.nextTextValue();
                if (content == null) {
                    throw new IOException("token " + id + " of \"vocab\" has no content");
                }
                contents.put(checkedId(id++, content), content);
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    if (parser.currentToken() == null) {
                        throw new IOException("\"vocab\" does not end");
                    }
                }
            }
        }

        private int checkedId(long id, String content) throws IOException {
            if (id < 0 || id >= ID_LIMIT) {
                throw new IOException(
                        "the id of token \"%s\" is %d, not one of 0 to %d".formatted(content, id, ID_LIMIT - 1));
            }
            idMax = Math.max(idMax, (int) id);
            return (int) id;
        }
    }

    /**
     * The same tokenizer with other contents for some of its tokens: the old contents are plain text to it.
     *
     * @param names a token's new content by its old one
     */
    String renamed(Map<String, String> names) {
        var writer = new StringWriter(utf8.length);
        try (JsonParser parser = JSON.createParser(utf8);
                JsonGenerator generator = JSON.createGenerator(writer)) {
            parser.nextToken();
            generator.writeStartObject();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                generator.writeFieldName(field);
                switch (field) {
                    case "added_tokens" -> {
                        JsonNode tokens = parser.readValueAsTree();
                        for (JsonNode token : tokens) {
                            String content = token.path("content").asText();
                            ((ObjectNode) token).put("content", names.getOrDefault(content, content));
                        }
                        generator.writeTree(tokens);
                    }
                    case "model" -> renameModel(parser, generator, names);
                    case "post_processor" -> {
                        // The post-processor names tokens and adds them; the caller handles that.
                        parser.skipChildren();
                        generator.writeNull();
                    }
                    default -> generator.copyCurrentStructure(parser);
                }
            }
            generator.writeEndObject();
        } catch (IOException e) {
            throw new IllegalStateException("a text that was read before", e);
        }
        return writer.toString();
    }

    private static void renameModel(JsonParser parser, JsonGenerator generator, Map<String, String> names)
            throws IOException {
        generator.writeStartObject();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String field = parser.currentName();
            JsonToken value = parser.nextToken();
            generator.writeFieldName(field);
            if (field.equals("vocab") && value == JsonToken.START_OBJECT) {
                generator.writeStartObject();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    generator.writeFieldName(names.getOrDefault(parser.currentName(), parser.currentName()));
                    parser.nextToken();
                    generator.copyCurrentStructure(parser);
                }
                generator.writeEndObject();
            } else if (field.equals("vocab")) {
                generator.writeStartArray();
                while (parser.nextToken() == JsonToken.START_ARRAY) {
                    generator.writeStartArray();
                    String content = Objects.requireNonNull(parser.nextTextValue());
                    generator.writeString(names.getOrDefault(content, content));
                    while (parser.nextToken() != JsonToken.END_ARRAY) {
                        generator.copyCurrentStructure(parser);
                    }
                    generator.writeEndArray();
                }
                generator.writeEndArray();
            } else if (field.equals("merges") && value == JsonToken.START_ARRAY) {
                generator.writeStartArray();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    // A pair is an array, or in older files a text with one space.
                    JsonNode pair = parser.readValueAsTree();
                    String[] halves = pair.isArray()
                            ? new String[] {pair.path(0).asText(), pair.path(1).asText()}
                            : pair.asText().split(" ", 2);
                    boolean named = names.containsKey(String.join("", halves));
                    for (String half : halves) {
                        named |= names.containsKey(half);
                    }
                    if (!named) {
                        generator.writeTree(pair);
                    }
                }
                generator.writeEndArray();
            } else if (field.equals("unk_token") && value == JsonToken.VALUE_STRING) {
                generator.writeString(names.getOrDefault(parser.getText(), parser.getText()));
            } else {
                generator.copyCurrentStructure(parser);
            }
        }
        generator.writeEndObject();
    }
}
