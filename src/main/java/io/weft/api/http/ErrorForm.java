package io.weft.api.http;

import io.vertx.core.http.HttpServerRequest;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** How an API writes its errors. */
public enum ErrorForm {
    /** OpenAI's, and everything that is nobody else's. */
    OPENAI {
        @Override
        Map<String, Object> body(ApiError error, String requestId) {
            return error.body();
        }
    },
    /** That of Anthropic's messages. */
    ANTHROPIC {
        @Override
        Map<String, Object> body(ApiError error, String requestId) {
            return anthropic(error, requestId);
        }

        @Override
        Optional<String> idHeader() {
            return Optional.of("request-id");
        }
    };

    private static final String ANTHROPIC_PATH = "/v1/messages";

    /** The body of the response to a request. */
    abstract Map<String, Object> body(ApiError error, String requestId);

    /** Another header for the request's id. */
    Optional<String> idHeader() {
        return Optional.empty();
    }

    /** The form of a request's path. */
    static ErrorForm of(HttpServerRequest request) {
        return of(request.path());
    }

    static ErrorForm of(@Nullable String path) {
        return path != null && (path.equals(ANTHROPIC_PATH) || path.startsWith(ANTHROPIC_PATH + "/"))
                ? ANTHROPIC
                : OPENAI;
    }

    /** An error as Anthropic writes it, in a response or an event. */
    public static Map<String, Object> anthropic(ApiError error, String requestId) {
        Map<String, Object> inner = new LinkedHashMap<>();
        inner.put("type", anthropicType(error));
        inner.put("message", error.message());
        if (error.code() != null) {
            inner.put("details", Map.of("error_code", error.code()));
        }
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("type", "error");
        body.put("error", inner);
        body.put("request_id", requestId);
        return body;
    }

    private static String anthropicType(ApiError error) {
        return switch (error.status()) {
            case 401 -> "authentication_error";
            case 404 -> "not_found_error";
            case 408 -> "timeout_error";
            case 413 -> "request_too_large";
            case 429 -> "rate_limit_error";
            // Trying again helps.
            case 503 -> error.retryAfter().isPresent() ? "overloaded_error" : "api_error";
            default -> error.status() < 500 ? "invalid_request_error" : "api_error";
        };
    }
}
