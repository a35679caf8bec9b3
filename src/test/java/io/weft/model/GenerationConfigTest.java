package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GenerationConfigTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static GenerationConfig read(String generation, String config) throws IOException {
        return GenerationConfig.read(
                new ConfigReader(Path.of("generation_config.json"), JSON.readTree(generation)),
                new ConfigReader(Path.of("config.json"), JSON.readTree(config)),
                384);
    }

    @Test
    void whatItSaysHolds() throws IOException {
        GenerationConfig read = read("""
                {"temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1,
                 "max_new_tokens": 30, "max_length": 200, "eos_token_id": [2, 7], "do_sample": true}
                """, "{\"eos_token_id\": 3}");
        assertThat(read.temperature()).isEqualTo(OptionalDouble.of(0.6));
        assertThat(read.topP()).isEqualTo(OptionalDouble.of(0.9));
        assertThat(read.topK()).isEqualTo(OptionalInt.of(20));
        assertThat(read.minP()).isEqualTo(OptionalDouble.of(0.05));
        assertThat(read.repetitionPenalty()).isEqualTo(OptionalDouble.of(1.1));
        assertThat(read.newTokens()).isEqualTo(OptionalInt.of(30));
        assertThat(read.allTokens()).isEqualTo(OptionalInt.of(200));
        assertThat(read.endTokens()).isEqualTo(Set.of(2, 7));
        assertThat(read.ignored()).isEmpty();
    }

    @Test
    void silenceLeavesEverythingOpen() throws IOException {
        assertThat(read("{}", "{}")).isEqualTo(GenerationConfig.NONE);
        assertThat(read("{\"temperature\": null, \"top_k\": null, \"eos_token_id\": null}", "{}"))
                .isEqualTo(GenerationConfig.NONE);
        assertThat(read("{}", "{\"eos_token_id\": [3.0]}").endTokens()).isEqualTo(Set.of(3));
        assertThat(read("{\"top_k\": -1}", "{}").topK()).isEqualTo(OptionalInt.of(0));
    }

    @Test
    void aModelThatDoesNotSampleIsGreedy() throws IOException {
        assertThat(read("{\"do_sample\": false, \"temperature\": 0.7}", "{}").temperature())
                .isEqualTo(OptionalDouble.of(0));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"temperature": 5}          | temperature is 5, must be a number from 0, to 2
            {"temperature": -0.1}       | temperature is -0.1, must be a number from 0, to 2
            {"temperature": "0.5"}      | temperature is "0.5", must be a number from 0, to 2
            {"top_p": 0}                | top_p is 0, must be a number above 0, to 1
            {"top_p": 1.5}              | top_p is 1.5, must be a number above 0, to 1
            {"top_k": 2.5}              | top_k is 2.5, must be a whole number of at least -1
            {"top_k": -2}               | top_k is -2, must be a whole number of at least -1
            {"min_p": 2}                | min_p is 2, must be a number from 0, to 1
            {"repetition_penalty": 0}   | repetition_penalty is 0, must be a number above 0, to 100
            {"max_new_tokens": 0}       | max_new_tokens is 0, must be a whole number of at least 1
            {"max_length": "long"}      | max_length is "long", must be a whole number of at least 1
            {"do_sample": 1}            | do_sample is 1, must be true or false
            {"eos_token_id": 384}       | eos_token_id is 384, must be a token id or a list of them, from 0 to 383
            {"eos_token_id": [1, "</s>"]} | eos_token_id is [1,"</s>"], must be a token id or a list of them
            """)
    void aValueOutOfRangeIsNamedAtOnce(String generation, String message) {
        assertThatThrownBy(() -> read(generation, "{}"))
                .isInstanceOf(ModelLoadException.class)
                .hasMessageStartingWith("generation_config.json: " + message);
    }

    @Test
    void whatHasNoEffectIsListed() throws IOException {
        assertThat(read("""
                        {"num_beams": 4, "no_repeat_ngram_size": 3, "typical_p": 0.9, "suppress_tokens": [1],
                         "begin_suppress_tokens": [], "bad_words_ids": null, "forced_bos_token_id": 0,
                         "encoder_repetition_penalty": 1.0, "epsilon_cutoff": 0.0, "guidance_scale": 1, "min_length": 0,
                         "token_healing": false, "stop_strings": "x", "use_cache": true, "pad_token_id": 1,
                         "length_penalty": 1.0, "transformers_version": "5"}
                        """, "{}").ignored())
                .containsExactly(
                        "forced_bos_token_id",
                        "no_repeat_ngram_size",
                        "num_beams",
                        "stop_strings",
                        "suppress_tokens",
                        "typical_p");
    }
}
