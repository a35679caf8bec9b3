package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;

class GenerationFieldsTest {
    private static GenerationFields fields(String json) throws JsonProcessingException {
        return new ObjectMapper().readValue(json, GenerationFields.class);
    }

    @Test
    void theChoicesOfAPromptFitTheCacheTogether() throws JsonProcessingException {
        GenerationFields many = fields("{\"n\": 96, \"max_tokens\": 4000}");
        assertThatCode(() -> many.requireMemory(100, 96 * 4100)).doesNotThrowAnyException();
        assertThatThrownBy(() -> many.requireMemory(100, 96 * 4100 - 1))
                .hasMessageContaining("n is 96")
                .hasMessageContaining("393,600 tokens of 4,100 each")
                .hasMessageContaining("holds 393,599");
    }

    /** One may be longer than the cache holds now, and the engine says so; an open end needs no more than a token. */
    @Test
    void oneChoiceAndOpenEndsAreTheEnginesToJudge() throws JsonProcessingException {
        assertThatCode(() -> fields("{\"max_tokens\": 4000}").requireMemory(100, 10))
                .doesNotThrowAnyException();
        assertThatCode(() -> fields("{\"n\": 4}").requireMemory(100, 404)).doesNotThrowAnyException();
        assertThatThrownBy(() -> fields("{\"n\": 4}").requireMemory(100, 403)).hasMessageContaining("n is 4");
    }
}
