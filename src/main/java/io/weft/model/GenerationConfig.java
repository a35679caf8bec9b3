package io.weft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;

/**
 * What {@code generation_config.json} says, which holds where a request is silent. A number out of range is an error
 * here, not in each request.
 *
 * @param endTokens ids that end a completion; empty if neither this file nor {@code config.json} names one
 * @param temperature default of sampling; 0 if the file says that it does not sample
 * @param topP default of sampling
 * @param topK default of sampling; 0 keeps all
 * @param minP default of sampling
 * @param repetitionPenalty default of sampling
 * @param newTokens default of a completion's tokens
 * @param allTokens the most tokens of prompt and completion, unless a request says how many it wants
 * @param ignored fields with values that would change the text elsewhere, and do not here
 */
public record GenerationConfig(
        Set<Integer> endTokens,
        OptionalDouble temperature,
        OptionalDouble topP,
        OptionalInt topK,
        OptionalDouble minP,
        OptionalDouble repetitionPenalty,
        OptionalInt newTokens,
        OptionalInt allTokens,
        List<String> ignored) {
    /** The configuration of a model without {@code generation_config.json}. */
    public static final GenerationConfig NONE = new GenerationConfig(
            Set.of(),
            OptionalDouble.empty(),
            OptionalDouble.empty(),
            OptionalInt.empty(),
            OptionalDouble.empty(),
            OptionalDouble.empty(),
            OptionalInt.empty(),
            OptionalInt.empty(),
            List.of());

    /** Fields of transformers' GenerationConfig that change the text, with the number that changes nothing. */
    private static final Map<String, Double> NEUTRAL_NUMBERS = Map.ofEntries(
            Map.entry("num_beams", 1.0),
            Map.entry("num_beam_groups", 1.0),
            Map.entry("diversity_penalty", 0.0),
            Map.entry("penalty_alpha", 0.0),
            Map.entry("no_repeat_ngram_size", 0.0),
            Map.entry("encoder_no_repeat_ngram_size", 0.0),
            Map.entry("encoder_repetition_penalty", 1.0),
            Map.entry("typical_p", 1.0),
            Map.entry("top_h", 1.0),
            Map.entry("epsilon_cutoff", 0.0),
            Map.entry("eta_cutoff", 0.0),
            Map.entry("guidance_scale", 1.0),
            Map.entry("min_length", 0.0),
            Map.entry("min_new_tokens", 0.0),
            Map.entry("forced_bos_token_id", Double.NaN),
            Map.entry("forced_eos_token_id", Double.NaN),
            Map.entry("max_time", Double.NaN));

    /** Those of which any value changes the text, except an empty one. */
    private static final Set<String> OTHERS = Set.of(
            "bad_words_ids",
            "force_words_ids",
            "constraints",
            "suppress_tokens",
            "begin_suppress_tokens",
            "forced_decoder_ids",
            "sequence_bias",
            "exponential_decay_length_penalty",
            "watermarking_config",
            "dola_layers",
            "stop_strings",
            "token_healing");

    public GenerationConfig {
        endTokens = Set.copyOf(endTokens);
        ignored = List.copyOf(ignored);
    }

    /**
     * Reads the file.
     *
     * @param generation the file; a file that is absent reads as an empty object
     * @param config {@code config.json}, which names end tokens if this file does not
     * @param vocabularySize number of token ids
     * @throws ModelLoadException naming file, field, value and limit
     */
    static GenerationConfig read(ConfigReader generation, ConfigReader config, int vocabularySize) {
        boolean samples = generation.flag("do_sample", true);
        OptionalDouble temperature = generation.within("temperature", 0, 2);
        OptionalInt topK = generation.whole("top_k", -1);
        return new GenerationConfig(
                generation.has("eos_token_id")
                        ? endTokens(generation, vocabularySize)
                        : endTokens(config, vocabularySize),
                samples ? temperature : OptionalDouble.of(0),
                generation.within("top_p", Double.MIN_VALUE, 1),
                topK.isPresent() ? OptionalInt.of(Math.max(0, topK.getAsInt())) : topK,
                generation.within("min_p", 0, 1),
                generation.within("repetition_penalty", Double.MIN_VALUE, 100),
                generation.whole("max_new_tokens", 1),
                generation.whole("max_length", 1),
                ignored(generation.json()));
    }

    private static Set<Integer> endTokens(ConfigReader config, int vocabularySize) {
        JsonNode end = config.json().path("eos_token_id");
        List<JsonNode> ids = new ArrayList<>();
        if (end.isArray()) {
            end.forEach(ids::add);
        } else if (config.has("eos_token_id")) {
            ids.add(end);
        }
        Set<Integer> tokens = new TreeSet<>();
        for (JsonNode id : ids) {
            Optional<Integer> token = ConfigReader.wholeNumber(id);
            if (token.isEmpty() || token.get() < 0 || token.get() >= vocabularySize) {
                throw config.wrong("eos_token_id", "a token id or a list of them, from 0 to " + (vocabularySize - 1));
            }
            tokens.add(token.get());
        }
        return tokens;
    }

    private static List<String> ignored(JsonNode json) {
        Set<String> names = new TreeSet<>();
        json.properties().forEach(field -> {
            JsonNode value = field.getValue();
            Double neutral = NEUTRAL_NUMBERS.get(field.getKey());
            boolean isEmpty = value.isNull() || (value.isContainerNode() && value.isEmpty());
            boolean isOff = value.isBoolean() && !value.booleanValue();
            boolean changes = neutral == null
                    ? OTHERS.contains(field.getKey())
                    : !value.isNumber() || value.doubleValue() != neutral;
            if (changes && !isEmpty && !isOff) {
                names.add(field.getKey());
            }
        });
        return List.copyOf(names);
    }
}
