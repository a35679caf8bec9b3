package io.weft.api.openai;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.vertx.core.net.HostAndPort;
import io.weft.engine.GenerationRequest;
import io.weft.engine.PrefixHit;
import io.weft.engine.RequestRejectedException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The spans of one request, by OpenTelemetry's semantic conventions for generative AI: the request, and below it for
 * each choice its time in the queue, its prompt ({@code prefill}) and its tokens ({@code decode}). They hold sizes,
 * times and settings, never a text. Where nobody gets traces, a span is a constant that does nothing.
 */
final class RequestTrace {
    private static final AttributeKey<String> OPERATION = AttributeKey.stringKey("gen_ai.operation.name");
    private static final AttributeKey<String> PROVIDER = AttributeKey.stringKey("gen_ai.provider.name");
    private static final AttributeKey<String> MODEL = AttributeKey.stringKey("gen_ai.request.model");
    private static final AttributeKey<Long> MAX_TOKENS = AttributeKey.longKey("gen_ai.request.max_tokens");
    private static final AttributeKey<Double> TEMPERATURE = AttributeKey.doubleKey("gen_ai.request.temperature");
    private static final AttributeKey<Double> TOP_P = AttributeKey.doubleKey("gen_ai.request.top_p");
    private static final AttributeKey<Long> CHOICES = AttributeKey.longKey("gen_ai.request.choice.count");
    private static final AttributeKey<String> ANSWERED_BY = AttributeKey.stringKey("gen_ai.response.model");
    private static final AttributeKey<List<String>> REASONS =
            AttributeKey.stringArrayKey("gen_ai.response.finish_reasons");
    private static final AttributeKey<Long> INPUT_TOKENS = AttributeKey.longKey("gen_ai.usage.input_tokens");
    private static final AttributeKey<Long> CACHED_INPUT_TOKENS =
            AttributeKey.longKey("gen_ai.usage.cache_read.input_tokens");
    private static final AttributeKey<Long> OUTPUT_TOKENS = AttributeKey.longKey("gen_ai.usage.output_tokens");
    private static final AttributeKey<String> SERVER_ADDRESS = AttributeKey.stringKey("server.address");
    private static final AttributeKey<Long> SERVER_PORT = AttributeKey.longKey("server.port");
    private static final AttributeKey<String> ERROR_TYPE = AttributeKey.stringKey("error.type");
    private static final AttributeKey<String> REQUEST_ID = AttributeKey.stringKey("weft.request.id");
    private static final AttributeKey<Long> FOUND_ON_DEVICE = AttributeKey.longKey("weft.prompt.found_on_device");
    private static final AttributeKey<Long> FOUND_ON_HOST = AttributeKey.longKey("weft.prompt.found_on_host");
    private static final AttributeKey<Long> FOUND_ON_DISK = AttributeKey.longKey("weft.prompt.found_on_disk");
    private static final AttributeKey<Long> COMPUTED = AttributeKey.longKey("weft.prompt.computed");
    private static final AttributeKey<Long> CHOICE = AttributeKey.longKey("weft.choice.index");

    private final Tracer tracer;
    private final Context parent;
    private final Operation operation;
    private final String model;
    private final int each;
    private final Optional<HostAndPort> server;
    private final String requestId;
    private final Instant arrived = Instant.now();
    private final long arrivedNanos = System.nanoTime();

    private final String[] reasons;
    private @Nullable Span request;
    private int left;
    private long inputTokens;
    private long cachedInputTokens;
    private long outputTokens;

    /** What is asked for, as the conventions name it. */
    enum Operation {
        CHAT("chat"),
        COMPLETION("text_completion");

        private final String label;

        Operation(String label) {
            this.label = label;
        }
    }

    /**
     * Notes the time of arrival.
     *
     * @param prompts prompts of the request
     * @param each choices of each prompt
     */
    RequestTrace(
            Tracer tracer,
            Context parent,
            Operation operation,
            String model,
            int prompts,
            int each,
            Optional<HostAndPort> server,
            String requestId) {
        this.tracer = tracer;
        this.parent = parent;
        this.operation = operation;
        this.model = model;
        this.each = each;
        this.server = server;
        this.requestId = requestId;
        this.left = prompts * each;
        this.reasons = new String[left];
        Arrays.fill(reasons, "error");
    }

    private Instant now() {
        return arrived.plusNanos(System.nanoTime() - arrivedNanos);
    }

    /** A choice goes to the engine; the request's span begins with the first one, and ends with the last. */
    synchronized ChoiceTrace submitted(Choice choice) {
        if (request == null) {
            request = begin(choice.request());
        }
        if (choice.index() % each == 0) {
            inputTokens += choice.request().promptTokens().size();
        }
        return new ChoiceTrace(choice.index(), choice.request().promptTokens().size(), parent.with(request));
    }

    /** A prompt's first choice counts: later ones may find what it has computed. */
    private synchronized void found(int choice, int tokens) {
        if (choice % each == 0) {
            cachedInputTokens += tokens;
        }
    }

    private Span begin(GenerationRequest generation) {
        SpanBuilder span = tracer.spanBuilder(operation.label + " " + model)
                .setParent(parent)
                .setSpanKind(SpanKind.SERVER)
                .setStartTimestamp(arrived)
                .setAttribute(OPERATION, operation.label)
                .setAttribute(PROVIDER, "weft")
                .setAttribute(MODEL, model)
                .setAttribute(MAX_TOKENS, (long) generation.maxNewTokens())
                .setAttribute(TEMPERATURE, generation.sampling().temperature())
                .setAttribute(TOP_P, generation.sampling().topP())
                .setAttribute(REQUEST_ID, requestId);
        if (reasons.length > 1) {
            span.setAttribute(CHOICES, (long) reasons.length);
        }
        server.ifPresent(address -> {
            span.setAttribute(SERVER_ADDRESS, address.host());
            if (address.port() > 0) {
                span.setAttribute(SERVER_PORT, (long) address.port());
            }
        });
        return span.startSpan();
    }

    private synchronized void ended(int choice, String reason, int tokens, Optional<Throwable> failure) {
        Span span = request;
        if (span == null) {
            return;
        }
        reasons[choice] = reason;
        outputTokens += tokens;
        failure.ifPresent(cause -> span.setStatus(StatusCode.ERROR).setAttribute(ERROR_TYPE, errorType(cause)));
        left--;
        if (left == 0) {
            span.setAttribute(ANSWERED_BY, model)
                    .setAttribute(REASONS, List.of(reasons))
                    .setAttribute(INPUT_TOKENS, inputTokens)
                    .setAttribute(CACHED_INPUT_TOKENS, cachedInputTokens)
                    .setAttribute(OUTPUT_TOKENS, outputTokens)
                    .end(now());
        }
    }

    /** A class and no message: a message may hold what the client sent. */
    private static String errorType(Throwable cause) {
        return cause instanceof RequestRejectedException rejected
                ? rejected.reason().getClass().getSimpleName()
                : cause.getClass().getSimpleName();
    }

    /** The spans of one choice, one after the other. */
    final class ChoiceTrace {
        private final int choice;
        private final int promptTokens;
        private final Context within;
        private final List<Span> open = new ArrayList<>(1);

        private ChoiceTrace(int choice, int promptTokens, Context within) {
            this.choice = choice;
            this.promptTokens = promptTokens;
            this.within = within;
            begin("queue", now());
        }

        private Span begin(String name, Instant at) {
            open.forEach(span -> span.end(at));
            open.clear();
            Span span = tracer.spanBuilder(name)
                    .setParent(within)
                    .setStartTimestamp(at)
                    .setAttribute(OPERATION, operation.label)
                    .setAttribute(CHOICE, (long) choice)
                    .startSpan();
            open.add(span);
            return span;
        }

        /** The choice left the queue, as is heard a little later. */
        void admitted(PrefixHit hit) {
            found(choice, hit.tokens());
            begin("prefill", now())
                    .setAttribute(FOUND_ON_DEVICE, (long) hit.deviceTokens())
                    .setAttribute(FOUND_ON_HOST, (long) hit.hostTokens())
                    .setAttribute(FOUND_ON_DISK, (long) hit.diskTokens())
                    .setAttribute(COMPUTED, (long) promptTokens - hit.tokens());
        }

        void firstToken() {
            begin("decode", now());
        }

        /**
         * The choice ended; called once.
         *
         * @param reason as in the response
         * @param tokens generated tokens
         */
        void ended(String reason, int tokens, Optional<Throwable> failure) {
            Instant at = now();
            open.forEach(span -> {
                failure.ifPresent(cause -> span.setStatus(StatusCode.ERROR).setAttribute(ERROR_TYPE, errorType(cause)));
                span.end(at);
            });
            open.clear();
            RequestTrace.this.ended(choice, reason, tokens, failure);
        }
    }
}
