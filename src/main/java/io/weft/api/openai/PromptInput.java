package io.weft.api.openai;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.eclipse.microprofile.openapi.annotations.media.Schema;

/** The prompts of a request: one or several, as texts or as token ids. */
@JsonDeserialize(using = PromptInput.Reader.class)
@Schema(
        description = "A text, several texts, a list of token ids, or several such lists",
        oneOf = {String.class, String[].class, int[].class, int[][].class})
sealed interface PromptInput {
    /** The number of prompts. */
    int count();

    /** The tokens of a prompt. */
    List<Integer> tokens(int prompt, Tokenizer tokenizer, TextReading reading);

    /** A lower bound of a prompt's tokens that needs no tokenizing; 0 for a prompt of tokens. */
    int leastTokens(int prompt, Tokenizer tokenizer);

    /** The text of a prompt, which tokens follow. */
    String text(int prompt, Tokenizer tokenizer, SpecialTokens shown);

    /** Prompts that must be tokenized. */
    record Texts(List<String> texts) implements PromptInput {
        @Override
        public int count() {
            return texts.size();
        }

        @Override
        public List<Integer> tokens(int prompt, Tokenizer tokenizer, TextReading reading) {
            return reading.encode(texts.get(prompt), tokenizer);
        }

        @Override
        public int leastTokens(int prompt, Tokenizer tokenizer) {
            return tokenizer.leastTokens(texts.get(prompt));
        }

        @Override
        public String text(int prompt, Tokenizer tokenizer, SpecialTokens shown) {
            return texts.get(prompt);
        }
    }

    /** Prompts that are tokens already. */
    record Tokens(List<List<Integer>> prompts) implements PromptInput {
        @Override
        public int count() {
            return prompts.size();
        }

        @Override
        public List<Integer> tokens(int prompt, Tokenizer tokenizer, TextReading reading) {
            return prompts.get(prompt);
        }

        @Override
        public int leastTokens(int prompt, Tokenizer tokenizer) {
            return 0;
        }

        @Override
        public String text(int prompt, Tokenizer tokenizer, SpecialTokens shown) {
            return tokenizer.decodeOpen(prompts.get(prompt), shown);
        }
    }

    /** The name of a prompt in a message. */
    default String name(int prompt) {
        return count() == 1 ? "prompt" : "prompt[" + prompt + "]";
    }

    /** Reads a string, a list of strings, a list of token ids or a list of such lists. */
    final class Reader extends StdDeserializer<PromptInput> {
        private static final long serialVersionUID = 1L;
        /** More than one request may ask for. */
        private static final int PROMPTS_MOST = 1024;

        private static final String FORMS = "a string, a list of strings, a list of token ids or a list of such lists";

        Reader() {
            super(PromptInput.class);
        }

        @Override
        public PromptInput deserialize(JsonParser json, DeserializationContext context) throws IOException {
            return switch (json.currentToken()) {
                case VALUE_STRING -> new Texts(List.of(json.getText()));
                case START_ARRAY -> list(json);
                case null, default -> throw wrong("prompt must be " + FORMS + ".");
            };
        }

        private static PromptInput list(JsonParser json) throws IOException {
            return switch (json.nextToken()) {
                case END_ARRAY -> throw wrong("prompt is an empty list, must have at least 1 element.");
                case VALUE_STRING -> new Texts(texts(json));
                case VALUE_NUMBER_INT -> new Tokens(List.of(tokens(json, "prompt")));
                case START_ARRAY -> new Tokens(tokenLists(json));
                case null, default -> throw wrong("prompt[0] is of a wrong type: prompt must be " + FORMS + ".");
            };
        }

        private static List<String> texts(JsonParser json) throws IOException {
            List<String> texts = new ArrayList<>();
            for (JsonToken token = json.currentToken(); token != JsonToken.END_ARRAY; token = json.nextToken()) {
                requireRoom(texts);
                if (token != JsonToken.VALUE_STRING) {
                    throw wrong("prompt[" + texts.size() + "] must be a string, as prompt[0] is.");
                }
                texts.add(json.getText());
            }
            return texts;
        }

        private static List<List<Integer>> tokenLists(JsonParser json) throws IOException {
            List<List<Integer>> lists = new ArrayList<>();
            for (JsonToken token = json.currentToken(); token != JsonToken.END_ARRAY; token = json.nextToken()) {
                requireRoom(lists);
                String name = "prompt[" + lists.size() + "]";
                if (token != JsonToken.START_ARRAY) {
                    throw wrong(name + " must be a list of token ids, as prompt[0] is.");
                }
                json.nextToken();
                lists.add(tokens(json, name));
            }
            return lists;
        }

        private static void requireRoom(List<?> prompts) {
            if (prompts.size() == PROMPTS_MOST) {
                throw wrong("prompt is a list of more than %d, must have at most %d."
                        .formatted(PROMPTS_MOST, PROMPTS_MOST));
            }
        }

        private static List<Integer> tokens(JsonParser json, String name) throws IOException {
            IntStream.Builder tokens = IntStream.builder();
            int count = 0;
            for (JsonToken token = json.currentToken(); token != JsonToken.END_ARRAY; token = json.nextToken()) {
                if (token != JsonToken.VALUE_NUMBER_INT || json.getNumberType() != JsonParser.NumberType.INT) {
                    throw wrong(name + "[" + count + "] must be a token id, a whole number.");
                }
                tokens.add(json.getIntValue());
                count++;
            }
            return tokens.build().boxed().toList();
        }

        private static ApiException wrong(String message) {
            return ApiError.badField("prompt", message).exception();
        }
    }
}
