package io.weft.api.http;

import io.weft.engine.EngineFailedException;
import io.weft.engine.EngineStatus;
import io.weft.engine.NonFiniteLogitsException;
import io.weft.engine.RequestRejectedException;
import io.weft.engine.RequestRejectedException.Reason;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * An error, as clients see it.
 *
 * @param status HTTP status
 * @param type type of the error
 * @param message message that names field, value and limit
 * @param param the field at fault, if there is exactly one
 * @param code code for programs
 * @param retryAfter time after which to try again
 */
public record ApiError(
        int status,
        String type,
        String message,
        @Nullable String param,
        @Nullable String code,
        Optional<Duration> retryAfter) {
    private static final String INVALID_REQUEST = "invalid_request_error";
    private static final String UNAVAILABLE = "service_unavailable_error";
    private static final String RATE_LIMIT = "rate_limit_error";
    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    /** The body of the response, as OpenAI has it. */
    public Map<String, Object> body() {
        Map<String, @Nullable Object> error = new LinkedHashMap<>();
        error.put("message", message);
        error.put("type", type);
        error.put("param", param);
        error.put("code", code);
        return Map.of("error", error);
    }

    /**
     * The same error in the words of another API.
     *
     * @param words turns a field, and a message that begins with one
     */
    public ApiError in(UnaryOperator<String> words) {
        return new ApiError(
                status, type, words.apply(message), param == null ? null : words.apply(param), code, retryAfter);
    }

    public ApiException exception() {
        return new ApiException(this);
    }

    public static ApiError invalid(int status, String message, @Nullable String param, @Nullable String code) {
        return new ApiError(status, INVALID_REQUEST, message, param, code, Optional.empty());
    }

    private static ApiError tryLater(int status, String type, String message, String code, Duration retryAfter) {
        return new ApiError(status, type, message, null, code, Optional.of(retryAfter));
    }

    /** The error for a field's value that cannot be served. */
    public static ApiError badField(String field, String message) {
        return invalid(400, message, field, null);
    }

    static ApiError unknownModel(String name, List<String> served) {
        return invalid(
                404,
                "model is \"%s\", which is not served here; the model is \"%s\"."
                        .formatted(shortened(name), String.join("\" or \"", served)),
                "model",
                "model_not_found");
    }

    static ApiError bodyTooLarge(long limitBytes) {
        return invalid(413, "The body is larger than %,d bytes.".formatted(limitBytes), null, "body_too_large");
    }

    static ApiError notEncoded(String encoding) {
        return malformed("The body is not " + encoding + ", as Content-Encoding says.");
    }

    static ApiError unknownEncoding(String encoding) {
        return invalid(
                415,
                "Content-Encoding is \"%s\", must be gzip, deflate or identity.".formatted(shortened(encoding)),
                "Content-Encoding",
                "unsupported_media_type");
    }

    static ApiError bodyTooSlow(Duration limit) {
        return invalid(408, "The body did not arrive within %s.".formatted(seconds(limit)), null, "body_timeout");
    }

    /** The error for a body for which there is no memory, beside those that others send. */
    static ApiError bodiesTooLarge(long limitBytes) {
        return tryLater(
                503,
                UNAVAILABLE,
                "The bodies of all requests together are larger than %,d bytes (weft.body-memory); try again later."
                        .formatted(limitBytes),
                "too_many_bodies",
                RETRY_AFTER);
    }

    static ApiError tooManyConnections(int limit) {
        return tryLater(
                503,
                UNAVAILABLE,
                "There are more than %d connections (weft.max-connections); try again later.".formatted(limit),
                "too_many_connections",
                RETRY_AFTER);
    }

    static ApiError tooManyStreams(int limit) {
        return tryLater(
                429,
                RATE_LIMIT,
                "There are more than %d requests at once on this connection (weft.max-streams); try again later."
                        .formatted(limit),
                "too_many_streams",
                RETRY_AFTER);
    }

    static ApiError tooManyValues(int limit) {
        return invalid(
                400,
                "The body has more than %,d values in fields of free form, must have at most that many."
                        .formatted(limit),
                null,
                null);
    }

    static ApiError tooManyNames(int limit) {
        return invalid(
                400, "The body has more than %,d names, must have at most that many.".formatted(limit), null, null);
    }

    static ApiError unreadable(int status, String message) {
        return invalid(status, message + ".", null, "bad_request");
    }

    static ApiError nothingHere() {
        return invalid(404, "There is nothing at this path.", null, "not_found");
    }

    static ApiError otherMethod() {
        return invalid(405, "The method is not allowed at this path.", null, "method_not_allowed");
    }

    private static String seconds(Duration time) {
        return "%s s"
                .formatted(BigDecimal.valueOf(time.toMillis(), 3)
                        .stripTrailingZeros()
                        .toPlainString());
    }

    /** The error for a text that is too long for the context even without tokenizing it. */
    public static ApiError promptTooLong(String name, int leastTokens, int contextTokens) {
        return invalid(
                400,
                "This model's context is %d tokens, but %s has at least %d."
                        .formatted(contextTokens, name, leastTokens),
                null,
                "context_length_exceeded");
    }

    static ApiError malformed(String message) {
        return invalid(400, message, null, "malformed_json");
    }

    static ApiError wrongKey(String message) {
        return invalid(401, message, null, "invalid_api_key");
    }

    static ApiError ours(String requestId) {
        return new ApiError(
                500,
                "server_error",
                "The service failed to answer; its log has more under request id " + requestId + ".",
                null,
                "internal_error",
                Optional.empty());
    }

    static ApiError engineFailed(EngineFailedException failure) {
        return tryLater(
                503, UNAVAILABLE, "The service is out of order: " + failure.getMessage(), "engine_failed", RETRY_AFTER);
    }

    static ApiError nonFinite(NonFiniteLogitsException failure) {
        return new ApiError(
                503,
                "server_error",
                "The request failed: " + failure.getMessage() + ".",
                null,
                "non_finite_logits",
                Optional.empty());
    }

    /** The error at the end of a stream whose client does not read. */
    public static ApiError slowReader() {
        return new ApiError(
                408, "timeout_error", "The stream was not read fast enough.", null, "slow_reader", Optional.empty());
    }

    /** The error while no model is served. */
    static ApiError unavailable(EngineStatus status) {
        String message = switch (status) {
            case EngineStatus.Starting(String phase) -> "The service is starting (" + phase + "); try again later.";
            case EngineStatus.Failed failed -> "The service is out of order: " + failed.cause();
            case EngineStatus.Draining draining -> "The service is shutting down; try again later.";
            case EngineStatus.Serving serving -> "The service is starting; try again later.";
        };
        return tryLater(503, UNAVAILABLE, message, "unavailable", RETRY_AFTER);
    }

    /** The error for a model whose engine nobody observes. */
    public static ApiError unobserved() {
        return tryLater(503, UNAVAILABLE, "No plan is known yet; try again later.", "unavailable", RETRY_AFTER);
    }

    static ApiError rejected(RequestRejectedException rejection) {
        return switch (rejection.reason()) {
            case Reason.ContextTooLong reason -> invalid(400, reason.message(), null, "context_length_exceeded");
            case Reason.CacheTooSmall reason -> invalid(400, reason.message(), null, "cache_too_small");
            case Reason.UnknownToken reason -> badField(reason.field(), reason.message());
            case Reason.QueueFull reason ->
                tryLater(429, RATE_LIMIT, reason.message(), "queue_full", reason.retryAfter());
            case Reason.Displaced reason ->
                tryLater(429, RATE_LIMIT, reason.message(), "queue_full", reason.retryAfter());
            case Reason.TimedOut reason -> invalid(408, reason.message(), "timeout", "timeout");
            case Reason.NoPriorities reason -> badField("priority", reason.message());
            case Reason.Unavailable reason ->
                tryLater(503, UNAVAILABLE, reason.message(), "unavailable", reason.retryAfter());
        };
    }

    /** A client's value, short enough for a message. */
    public static String shortened(String value) {
        return value.length() <= 64 ? value : value.substring(0, 64) + "…";
    }
}
