package io.weft.api.openai;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import com.fasterxml.jackson.databind.util.NameTransformer;
import io.weft.api.http.ApiError;
import java.io.IOException;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Fields of completions and chats that other servers support and Weft does not, although they would change the text: a
 * client that sends one must not mistake the response for what it asked for. Each is refused by name, unless its value
 * asks for nothing. {@link #ROWS} is the list; a test compares it with the fields of OpenAI, vLLM, llama.cpp's server,
 * TGI and Hugging Face's generation config.
 *
 * @param given values by field, of the fields in the list that a request has
 */
@JsonDeserialize(using = UnsupportedFields.Reader.class)
record UnsupportedFields(@Schema(hidden = true) Map<String, Object> given) {

    /** The values that ask for nothing. */
    private enum Without {
        /** Null, false, 0 and what is empty. */
        OFF(""),
        /** Null alone: an empty object and 0 ask for something. */
        NULL(""),
        TRUE(" or true"),
        OFF_OR_ONE(" or 1"),
        MINUS_ONE(" or -1"),
        ZERO_OR_LESS(" or 0"),
        MEDIUM(" or \"medium\"");

        private final String allowed;

        Without(String allowed) {
            this.allowed = allowed;
        }

        boolean has(Object value) {
            return switch (this) {
                case OFF -> isOff(value);
                case NULL -> false;
                case TRUE -> Boolean.TRUE.equals(value);
                case OFF_OR_ONE -> isOff(value) || isNumber(value, 1);
                case MINUS_ONE -> isNumber(value, -1);
                case ZERO_OR_LESS -> value instanceof Number number && number.doubleValue() <= 0;
                case MEDIUM -> value.equals("medium");
            };
        }
    }

    /**
     * A field.
     *
     * @param instead what there is instead of it; empty for nothing
     */
    private record Row(String name, Without without, String instead) {
        void check(Object value) {
            if (!without.has(value)) {
                throw ApiError.badField(
                                name,
                                "%s is %s, must be left out%s: it is not supported%s."
                                        .formatted(
                                                name,
                                                shown(value),
                                                without.allowed,
                                                instead.isEmpty() ? "" : ", but " + instead + " is"))
                        .exception();
            }
        }
    }

    private static Stream<Row> rows(Without without, String... names) {
        return Arrays.stream(names).map(name -> new Row(name, without, ""));
    }

    private static Stream<Row> row(String name, Without without, String instead) {
        return Stream.of(new Row(name, without, instead));
    }

    private static final Map<String, Row> ROWS = Stream.of(
                    // Other ways to choose a token.
                    rows(Without.OFF, "allowed_token_ids", "bad_words", "bad_words_ids", "logits_processors"),
                    rows(Without.OFF, "suppress_tokens", "begin_suppress_tokens", "sequence_bias", "force_words_ids"),
                    rows(Without.OFF, "constraints", "token_healing", "watermark", "watermarking_config"),
                    rows(Without.NULL, "forced_bos_token_id", "forced_eos_token_id", "repetition_detection"),
                    rows(Without.OFF, "exponential_decay_length_penalty", "vllm_xargs", "extra_args"),
                    rows(Without.OFF, "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"),
                    rows(Without.OFF_OR_ONE, "typical_p", "typ_p", "tfs", "tfs_z", "encoder_repetition_penalty"),
                    rows(Without.OFF, "mirostat", "mirostat_mode", "top_a", "smoothing_factor", "dynatemp_range"),
                    rows(Without.OFF, "dry_multiplier", "xtc_probability", "epsilon_cutoff", "eta_cutoff"),
                    rows(Without.OFF, "penalty_alpha", "dola_layers", "samplers", "min_keep", "penalize_nl"),
                    rows(Without.ZERO_OR_LESS, "top_n_sigma", "nsigma", "adaptive_target"),
                    rows(Without.OFF_OR_ONE, "guidance_scale"),
                    rows(Without.MINUS_ONE, "repeat_last_n"),
                    row("do_sample", Without.TRUE, "temperature 0"),
                    // Beams.
                    rows(Without.OFF, "use_beam_search", "diversity_penalty"),
                    rows(Without.OFF_OR_ONE, "num_beams", "num_beam_groups", "beam_width", "length_penalty"),
                    // What the model reads.
                    rows(Without.OFF, "adapter_id", "lora", "prompt_embeds", "image_data", "multimodal_data", "audio"),
                    rows(Without.NULL, "web_search_options"),
                    rows(Without.MEDIUM, "verbosity"),
                    row("truncate", Without.NULL, "truncate_prompt_tokens"),
                    // Where the text begins and ends.
                    row("n_predict", Without.NULL, "max_tokens"),
                    row("max_new_tokens", Without.NULL, "max_tokens"),
                    row("max_length", Without.NULL, "max_tokens"),
                    row("min_new_tokens", Without.OFF, "min_tokens"),
                    row("min_length", Without.OFF, "min_tokens"),
                    row("max_time", Without.OFF, "timeout"),
                    row("t_max_predict_ms", Without.ZERO_OR_LESS, "timeout"),
                    row("stop_strings", Without.OFF, "stop"),
                    row("eos_token_id", Without.NULL, "stop_token_ids"),
                    row("return_full_text", Without.OFF, "echo"),
                    row("num_return_sequences", Without.OFF_OR_ONE, "n"),
                    row("n_cmpl", Without.OFF_OR_ONE, "n"),
                    row("detokenize", Without.TRUE, "return_token_ids"),
                    rows(Without.OFF, "n_indent"),
                    rows(Without.NULL, "thinking_token_budget"))
            .flatMap(Function.identity())
            .collect(Collectors.toUnmodifiableMap(Row::name, Function.identity()));

    /** The names of the fields. */
    static Set<String> names() {
        return ROWS.keySet();
    }

    /** Checks that each field is absent or has a value that asks for nothing. */
    void check() {
        given.forEach((name, value) -> Objects.requireNonNull(ROWS.get(name)).check(value));
    }

    /** Checks that a field is absent or has a value that asks for nothing: null, false, 0, or an empty one. */
    static void requireOff(String field, @Nullable Object value) {
        if (value != null) {
            new Row(field, Without.OFF, "").check(value);
        }
    }

    private static boolean isOff(Object value) {
        return switch (value) {
            case Boolean is -> !is;
            case String text -> text.isEmpty();
            case Collection<?> list -> list.isEmpty();
            case Map<?, ?> object -> object.isEmpty();
            default -> isNumber(value, 0);
        };
    }

    private static boolean isNumber(Object value, double wanted) {
        return value instanceof Number number && number.doubleValue() == wanted;
    }

    /** A value in a message. */
    static String shown(@Nullable Object value) {
        return switch (value) {
            case null -> "missing or null";
            case Collection<?> list -> "a list of " + list.size();
            case Map<?, ?> object -> "an object of " + object.size();
            case String text -> '"' + ApiError.shortened(text) + '"';
            default -> ApiError.shortened(value.toString());
        };
    }

    /** Reads the fields of the list from a body, and skips all others. */
    static final class Reader extends StdDeserializer<UnsupportedFields> {
        private static final long serialVersionUID = 1L;

        Reader() {
            super(UnsupportedFields.class);
        }

        /** Jackson takes another one as a sign that the fields stand among those of the body. */
        @Override
        public JsonDeserializer<UnsupportedFields> unwrappingDeserializer(NameTransformer names) {
            return new Reader();
        }

        @Override
        public UnsupportedFields deserialize(JsonParser json, DeserializationContext context) throws IOException {
            Map<String, Object> given = new LinkedHashMap<>();
            for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
                json.nextToken();
                Object value = ROWS.containsKey(name) ? context.readValue(json, Object.class) : null;
                if (value == null) {
                    json.skipChildren();
                } else {
                    given.put(name, value);
                }
            }
            return new UnsupportedFields(given);
        }
    }
}
