package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiSettings;
import io.weft.engine.EngineStatus;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.GenerationRequest.StopTokens;
import io.weft.engine.RequestRejectedException;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.engine.SamplingParameters;
import io.weft.engine.ServedModel;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.Size;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/** The fields that completions and chats share. Null means the default. */
@JsonNaming(SnakeCaseStrategy.class)
record GenerationFields(
        @Nullable String model,
        @Nullable @Min(0) Long maxTokens,
        @Nullable @Min(0) Long maxCompletionTokens,
        @Nullable @DecimalMin("0") @DecimalMax("2") Double temperature,

        @Nullable @DecimalMin(value = "0", inclusive = false) @DecimalMax("1")
        Double topP,

        @Nullable @Min(-1) Integer topK,
        @Nullable @DecimalMin("0") @DecimalMax("1") Double minP,
        @Nullable @DecimalMin("-2") @DecimalMax("2") Double presencePenalty,
        @Nullable @DecimalMin("-2") @DecimalMax("2") Double frequencyPenalty,

        @Nullable @DecimalMin(value = "0", inclusive = false) @DecimalMax("100")
        Double repetitionPenalty,

        @Nullable @DecimalMin(value = "0", inclusive = false) @DecimalMax("100")
        Double repeatPenalty,

        @Nullable @Size(max = SamplingParameters.LOGIT_BIASES_MOST) @JsonDeserialize(using = LogitBiasReader.class)
        Map<Integer, Double> logitBias,

        @Nullable Long seed,

        @Nullable @Size(max = STOPS_MOST) @JsonFormat(with = JsonFormat.Feature.ACCEPT_SINGLE_VALUE_AS_ARRAY)
        List<String> stop,

        @Nullable @Size(max = StopTokens.TOKENS_MOST) List<Integer> stopTokenIds,
        @Nullable Boolean includeStopStrInOutput,
        @Nullable @Min(0) Integer minTokens,
        @Nullable @Min(-1) Integer truncatePromptTokens,
        @Nullable @Min(1) Integer n,
        @Nullable @Min(1) Integer bestOf,
        @Nullable Boolean stream,
        @Nullable StreamOptions streamOptions,
        @Nullable Boolean ignoreEos,
        @Nullable Boolean skipSpecialTokens,
        @Nullable Boolean returnTokenIds,

        @Nullable @Min(0) @Max(GenerationRequest.MAX_LOGPROBS)
        Integer promptLogprobs,

        @Nullable Integer priority,
        @Nullable @Size(min = 1, max = SALT_CHARACTERS_MOST) String cacheSalt,

        @Nullable @DecimalMin(value = "0", inclusive = false) @DecimalMax("" + TIMEOUT_SECONDS_MOST)
        Double timeout,

        @Nullable @Schema(implementation = Object.class) Object prediction,
        @Nullable WeftOptions weft) {
    private static final double NANOS_PER_SECOND = 1e9;
    /** A week. */
    static final long TIMEOUT_SECONDS_MOST = 604_800;

    /** The most characters of a salt. */
    private static final int SALT_CHARACTERS_MOST = 1024;

    /** The most stop strings, and the most characters of all of them together. */
    static final int STOPS_MOST = 256;

    private static final int STOP_CHARACTERS_MOST = 1 << 14;
    /** A prompt that is to be truncated may be longer than the context, within limits: it is tokenized whole. */
    private static final int TRUNCATED_CONTEXTS_MOST = 16;

    /** Options that other servers do not have. */
    record WeftOptions(@Nullable Boolean explain) {}

    /** Options of a stream. */
    @JsonNaming(SnakeCaseStrategy.class)
    record StreamOptions(
            @Nullable Boolean includeUsage, @Nullable Boolean continuousUsageStats) {}

    /** Where a stream reports the used tokens. */
    enum UsageReports {
        NONE,
        AT_END,
        ON_EVERY_CHUNK
    }

    /** What an answer is predicted to be, at least in part; what would not fit the context is of no use. */
    List<Integer> predicted(Tokenizer tokenizer, ServedModel model) {
        Optional<String> text = predictedText();
        if (text.isEmpty()) {
            return List.of();
        }
        long least = tokenizer.leastTokens(text.get());
        if (least > model.contextTokens()) {
            throw JsonFields.bad(
                    "prediction.content",
                    "has at least %d tokens, must have at most the model's context of %d"
                            .formatted(least, model.contextTokens()));
        }
        return tokenizer.encode(text.get(), SpecialTokens.WITHOUT);
    }

    private Optional<String> predictedText() {
        return switch (prediction) {
            case null -> Optional.empty();
            case Map<?, ?> object -> {
                if (!"content".equals(object.get("type"))) {
                    throw JsonFields.bad(
                            "prediction.type",
                            "is " + UnsupportedFields.shown(object.get("type")) + ", must be \"content\"");
                }
                if (object.get("content") == null) {
                    throw JsonFields.bad("prediction.content", "is missing or null, must be given");
                }
                yield Optional.of(ChatMessage.text("prediction.content", object.get("content")));
            }
            default ->
                throw JsonFields.bad(
                        "prediction",
                        "is " + UnsupportedFields.shown(prediction) + ", must be an object with a type and content");
        };
    }

    /** Checks rules that concern two fields. */
    void check() {
        checkStops();
        checkLengths();
        if (bestOf != null && bestOf != choicesPerPrompt()) {
            throw ApiError.badField("best_of", "best_of is " + bestOf + ", must equal n, " + choicesPerPrompt() + ".")
                    .exception();
        }
        if (repeatPenalty != null && repetitionPenalty != null && !repeatPenalty.equals(repetitionPenalty)) {
            throw ApiError.badField(
                            "repeat_penalty",
                            "repeat_penalty is %s, must be left out or equal repetition_penalty, %s."
                                    .formatted(repeatPenalty, repetitionPenalty))
                    .exception();
        }
        if (streamOptions != null && !streams()) {
            throw ApiError.badField("stream_options", "stream_options is given, but stream is not true.")
                    .exception();
        }
        if (promptLogprobs != null && streams()) {
            throw ApiError.badField(
                            "prompt_logprobs",
                            "prompt_logprobs is " + promptLogprobs + ", must be left out when stream is true.")
                    .exception();
        }
    }

    private void checkStops() {
        List<String> stops = stops();
        long characters = 0;
        for (int i = 0; i < stops.size(); i++) {
            if (stops.get(i).isEmpty()) {
                throw ApiError.badField("stop[" + i + "]", "stop[" + i + "] is \"\", must not be empty.")
                        .exception();
            }
            characters += stops.get(i).length();
        }
        if (characters > STOP_CHARACTERS_MOST) {
            throw ApiError.badField(
                            "stop",
                            "stop has %d characters in all, must have at most %d."
                                    .formatted(characters, STOP_CHARACTERS_MOST))
                    .exception();
        }
    }

    private void checkLengths() {
        OptionalLong asked = askedTokens();
        if (minTokens != null && asked.isPresent() && minTokens > asked.getAsLong()) {
            throw ApiError.badField(
                            "min_tokens",
                            "min_tokens is %d, must be at most max_tokens, %d.".formatted(minTokens, asked.getAsLong()))
                    .exception();
        }
        if (truncatePromptTokens != null && truncatePromptTokens == 0) {
            throw ApiError.badField("truncate_prompt_tokens", "truncate_prompt_tokens is 0, must be -1 or at least 1.")
                    .exception();
        }
    }

    /**
     * Checks that a request does not ask for too many choices, or for more than can ever run and wait.
     *
     * @param most choices the most choices of a request
     */
    void requireChoices(int prompts, int most, EngineStatus.Serving serving) {
        long choices = (long) prompts * choicesPerPrompt();
        String asked = "n is %d for each of the prompts, %d: that makes %d choices, there may be %%s at most."
                .formatted(choicesPerPrompt(), prompts, choices);
        if (choices > most) {
            throw ApiError.badField("n", asked.formatted(most)).exception();
        }
        if (choices > (long) serving.seats() + serving.queueLimit()) {
            throw ApiError.badField(
                            "n",
                            asked.formatted("%d that run (weft.max-sequences) and %d that wait (weft.queue-limit)"
                                    .formatted(serving.seats(), serving.queueLimit())))
                    .exception();
        }
    }

    /**
     * Checks that a prompt may fit the context, or may be truncated to fit, before it is tokenized, which takes most of
     * the time for the largest bodies.
     *
     * @param name of the prompt
     * @param leastTokens lower bound of its tokens
     */
    void requireRoom(String name, int leastTokens, ServedModel model) {
        if (truncatePromptTokens != null) {
            requireTruncatable(name, leastTokens, model.contextTokens());
        } else if (leastTokens > model.contextTokens()) {
            throw ApiError.promptTooLong(name, leastTokens, model.contextTokens())
                    .exception();
        }
    }

    private void requireTruncatable(String name, int leastTokens, int contextTokens) {
        if (truncatePromptTokens != null && truncatePromptTokens > contextTokens) {
            throw ApiError.badField(
                            "truncate_prompt_tokens",
                            "truncate_prompt_tokens is %d, must be at most the context, %d."
                                    .formatted(truncatePromptTokens, contextTokens))
                    .exception();
        }
        long most = (long) TRUNCATED_CONTEXTS_MOST * contextTokens;
        if (leastTokens > most) {
            throw ApiError.invalid(
                            400,
                            "%s has at least %d tokens, must have at most %d to be truncated: %d times the model's context."
                                    .formatted(name, leastTokens, most, TRUNCATED_CONTEXTS_MOST),
                            null,
                            "context_length_exceeded")
                    .exception();
        }
    }

    /** The last tokens of a prompt, as many as are to be kept. */
    List<Integer> truncated(List<Integer> promptTokens, ServedModel model) {
        if (truncatePromptTokens == null) {
            return promptTokens;
        }
        long kept = truncatePromptTokens > 0
                ? truncatePromptTokens
                : Math.max(1, model.contextTokens() - Math.max(1, askedTokens().orElse(1)));
        int dropped = (int) Math.max(0, promptTokens.size() - kept);
        return promptTokens.subList(dropped, promptTokens.size());
    }

    /** Whether usage reports where tokens were cached. */
    boolean explains() {
        return weft != null && Boolean.TRUE.equals(weft.explain());
    }

    int priorityOrUsual() {
        return priority == null ? 0 : priority;
    }

    String saltOrNone() {
        return cacheSalt == null ? "" : cacheSalt;
    }

    Optional<Duration> timeLimit() {
        return Optional.ofNullable(timeout)
                .map(seconds -> Duration.ofNanos(Math.max(1, Math.round(seconds * NANOS_PER_SECOND))));
    }

    boolean streams() {
        return Boolean.TRUE.equals(stream);
    }

    UsageReports usageReports() {
        if (streamOptions == null || !Boolean.TRUE.equals(streamOptions.includeUsage())) {
            return UsageReports.NONE;
        }
        return Boolean.TRUE.equals(streamOptions.continuousUsageStats())
                ? UsageReports.ON_EVERY_CHUNK
                : UsageReports.AT_END;
    }

    int choicesPerPrompt() {
        return n == null ? 1 : n;
    }

    List<String> stops() {
        return stop == null ? List.of() : stop;
    }

    /** The strings that end a choice. */
    Choice.Stops stopStrings() {
        return new Choice.Stops(
                stops(), Boolean.TRUE.equals(includeStopStrInOutput) ? Choice.StopText.SHOWN : Choice.StopText.HIDDEN);
    }

    /** The tokens that end a choice, beside the model's. */
    StopTokens stopTokens() {
        return new StopTokens(
                stopTokenIds == null ? Set.of() : Set.copyOf(stopTokenIds), minTokens == null ? 0 : minTokens);
    }

    SpecialTokens shownTokens() {
        return Boolean.FALSE.equals(skipSpecialTokens) ? SpecialTokens.WITH : SpecialTokens.WITHOUT;
    }

    EndTokens endTokens() {
        return Boolean.TRUE.equals(ignoreEos) ? EndTokens.IGNORE : EndTokens.STOP;
    }

    boolean returnsTokenIds() {
        return Boolean.TRUE.equals(returnTokenIds);
    }

    /** The requested limit of completion tokens. */
    OptionalLong askedTokens() {
        if (maxCompletionTokens != null) {
            return OptionalLong.of(maxCompletionTokens);
        }
        return maxTokens == null ? OptionalLong.empty() : OptionalLong.of(maxTokens);
    }

    /**
     * The limit of completion tokens: the requested one, else {@code set}, else the model's, else {@code fallback}; all
     * but the first never exceed the context.
     *
     * @throws RequestRejectedException for more than the engine can represent; the engine itself refuses what exceeds
     *     the context
     */
    int newTokens(int promptTokens, ServedModel model, OptionalInt set, int fallback) {
        int contextTokens = model.contextTokens();
        OptionalLong asked = askedTokens();
        if (asked.isEmpty()) {
            ServedModel.SamplingDefaults defaults = model.defaults();
            int most = Math.min(
                    contextTokens,
                    set.isPresent() ? contextTokens : defaults.allTokens().orElse(contextTokens));
            int usual = set.orElse(defaults.newTokens().orElse(fallback));
            return Math.max(1, Math.min(usual, most - promptTokens));
        }
        if (asked.getAsLong() > Integer.MAX_VALUE) {
            throw new RequestRejectedException(
                    new Reason.ContextTooLong(promptTokens, asked.getAsLong(), contextTokens));
        }
        return (int) asked.getAsLong();
    }

    /** The seed of the first choice; later choices count up. */
    long firstSeed(ApiSettings settings) {
        if (seed != null) {
            return seed;
        }
        return settings.defaultSeed()
                .orElseGet(() -> ThreadLocalRandom.current().nextLong());
    }

    SamplingParameters sampling(ServedModel.SamplingDefaults defaults, ApiSettings settings, long choiceSeed) {
        return new SamplingParameters(
                or(temperature, settings.defaultTemperature().orElse(defaults.temperature())),
                or(topP, defaults.topP()),
                Math.max(0, topK == null ? defaults.topK() : topK),
                or(minP, defaults.minP()),
                or(presencePenalty, 0),
                or(frequencyPenalty, 0),
                or(repetitionPenalty == null ? repeatPenalty : repetitionPenalty, defaults.repetitionPenalty()),
                Optional.ofNullable(logitBias).orElse(Map.of()),
                choiceSeed);
    }

    private static double or(@Nullable Double value, double fallback) {
        return value == null ? fallback : value;
    }

    static OptionalInt optional(@Nullable Integer value) {
        return value == null ? OptionalInt.empty() : OptionalInt.of(value);
    }
}
