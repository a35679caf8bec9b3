package io.weft.api.http;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import jakarta.inject.Singleton;
import java.util.LinkedHashMap;
import java.util.Map;

/** Answers with errors where no resource is asked. */
@Singleton
class ErrorResponses {
    private static final int UNAUTHORIZED = 401;
    /** The rest of so large a body is awaited, so that the connection can be used again. */
    private static final long DISCARDED_BYTES_MOST = 1 << 16;

    private final ObjectMapper json;

    ErrorResponses(ObjectMapper json) {
        this.json = json;
    }

    /** Answers a request, if that is still possible, and discards the rest of its body. */
    void end(HttpServerRequest request, ApiError error) {
        HttpServerResponse response = request.response();
        if (response.ended() || response.closed()) {
            return;
        }
        response.setStatusCode(error.status()).putHeader(HttpHeaders.CONTENT_TYPE, "application/json");
        headers(error).forEach(response::putHeader);
        if (closes(request)) {
            response.putHeader(HttpHeaders.CONNECTION, "close");
        }
        // The edge has named the request before.
        String requestId = response.headers().get(RequestEdge.REQUEST_ID);
        Object body = ErrorForm.of(request).body(error, requestId == null ? "" : requestId);
        response.end(Buffer.buffer(EventStream.bytes(json, body)));
    }

    /** The headers of an error's response, beside its type. */
    static Map<String, String> headers(ApiError error) {
        Map<String, String> headers = new LinkedHashMap<>();
        error.retryAfter().ifPresent(wait -> headers.put("Retry-After", "" + Math.max(1, wait.toSeconds())));
        if (error.status() == UNAUTHORIZED) {
            headers.put("WWW-Authenticate", "Bearer");
        }
        return headers;
    }

    /** Whether the next request on the connection cannot be found, or comes after too much of this one's body. */
    private static boolean closes(HttpServerRequest request) {
        if (request.decoderResult().isFailure()) {
            return true;
        }
        if (request.version() == HttpVersion.HTTP_2 || request.isEnded()) {
            return false;
        }
        String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        return length == null
                ? request.headers().contains(HttpHeaders.TRANSFER_ENCODING)
                : length.length() > 9 || Long.parseLong(length) > DISCARDED_BYTES_MOST;
    }
}
