package io.weft.api.openai;

import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.ApiError;
import io.weft.api.http.RequestEdge;
import io.weft.engine.RequestTerms;
import jakarta.inject.Singleton;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Reads whose request it is, with whom it shares cached blocks, and how long it may take. */
@Singleton
class Terms {
    /** Seconds after which a request ends, as in the field {@code timeout}. */
    static final String TIMEOUT_HEADER = "X-Request-Timeout";

    private static final BigDecimal SECONDS_MOST = BigDecimal.valueOf(GenerationFields.TIMEOUT_SECONDS_MOST);

    /** @throws io.weft.api.http.ApiException if the header is no number of seconds */
    RequestTerms of(GenerationFields fields, RoutingContext routing) {
        Optional<Duration> header = header(routing.request().getHeader(TIMEOUT_HEADER));
        Optional<Duration> timeout =
                Stream.concat(header.stream(), fields.timeLimit().stream()).min(Duration::compareTo);
        return new RequestTerms(RequestEdge.client(routing), fields.priorityOrUsual(), timeout)
                .sharing(RequestEdge.cacheOwner(routing), fields.saltOrNone());
    }

    private static Optional<Duration> header(@Nullable String text) {
        if (text == null) {
            return Optional.empty();
        }
        if (text.matches("\\d{1,9}(\\.\\d{1,9})?")) {
            BigDecimal seconds = new BigDecimal(text);
            if (seconds.signum() > 0 && seconds.compareTo(SECONDS_MOST) <= 0) {
                return Optional.of(Duration.ofNanos(seconds.movePointRight(9).longValue()));
            }
        }
        throw ApiError.badField(
                        TIMEOUT_HEADER,
                        "%s is \"%s\", must be seconds, above 0 and at most %d."
                                .formatted(TIMEOUT_HEADER, ApiError.shortened(text), SECONDS_MOST.longValue()))
                .exception();
    }
}
