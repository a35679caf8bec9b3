package io.weft.api.http;

import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.impl.HttpServerRequestInternal;
import io.vertx.core.http.impl.HttpServerRequestWrapper;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.impl.RoutingContextDecorator;
import io.vertx.ext.web.impl.RoutingContextInternal;
import jakarta.annotation.PreDestroy;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Takes requests of the API in: checks the key, collects the body on the event loop within limits of size, time and
 * memory, and hands the request to one of a few threads that read and tokenize. So no thread waits for a client, and
 * neither probes nor tokens wait for a body.
 */
@Singleton
class Intake {
    static final String BODY = "weft.body";

    private static final Logger LOG = Logger.getLogger(Intake.class);
    private static final String SCHEME = "Bearer ";
    private static final String API_KEY = "x-api-key";
    private static final String CONTINUE = "100-continue";
    /** After {@link RequestEdge} and {@link Probes}. */
    private static final int PRIORITY = 800;
    /** Reading and tokenizing is all computation: more threads than processors would not be faster. */
    private static final int THREADS_MOST = 16;

    private final Vertx vertx;
    private final ApiSettings settings;
    private final ServerLimits limits;
    private final BodyMemory memory;
    private final Connections connections;
    private final ErrorResponses errors;
    private final WorkerExecutor readers;
    /** By the key's number. */
    private final List<String> keyDigests;
    /** Null until the routes are known. */
    private @Nullable Router router;

    Intake(
            Vertx vertx,
            ApiSettings settings,
            ServerLimits limits,
            BodyMemory memory,
            Connections connections,
            ErrorResponses errors) {
        this.vertx = vertx;
        this.settings = settings;
        this.limits = limits;
        this.memory = memory;
        this.connections = connections;
        this.errors = errors;
        this.keyDigests = settings.apiKeys().stream().map(Intake::digest).toList();
        this.readers = vertx.createSharedWorkerExecutor(
                "weft-reader", Math.clamp(Runtime.getRuntime().availableProcessors(), 2, THREADS_MOST));
    }

    /** Names a key for as long as it is in use, whatever its place among the others. */
    private static String digest(String key) {
        try {
            MessageDigest sha = MessageDigest.getInstance("SHA-256");
            return HexFormat.of().formatHex(sha.digest(key.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    void register(@Observes Filters filters) {
        filters.register(this::handle, PRIORITY);
    }

    void remember(@Observes Router all) {
        router = all;
    }

    @PreDestroy
    void close() {
        readers.close();
    }

    private void handle(RoutingContext routing) {
        HttpServerRequest request = routing.request();
        if (routing.get(BODY) != null) {
            routing.next();
        } else if (connections.isForProbes(request.connection())) {
            errors.end(request, ApiError.tooManyConnections(connections.most()));
        } else if (connections.hasTooManyRequests(request.connection())) {
            errors.end(request, ApiError.tooManyStreams(limits.maxStreams()));
        } else if (!isGuarded(routing.normalizedPath())) {
            routing.next();
        } else {
            ApiError refusal = refusal(routing);
            String encoding = request.getHeader(HttpHeaders.CONTENT_ENCODING);
            Optional<ContentEncoding> known = ContentEncoding.of(encoding);
            if (refusal != null) {
                errors.end(request, refusal);
            } else if (known.isEmpty()) {
                errors.end(request, ApiError.unknownEncoding(encoding));
            } else {
                new Arrival(routing, known.get()).collect();
            }
        }
    }

    /** The paths of all resources that are {@link Guarded}. */
    static boolean isGuarded(@Nullable String path) {
        return path != null
                && (path.startsWith("/v1/")
                        || path.startsWith("/weft/")
                        || path.equals("/tokenize")
                        || path.equals("/detokenize"));
    }

    private @Nullable ApiError refusal(RoutingContext routing) {
        HttpServerRequest request = routing.request();
        if (!settings.apiKeys().isEmpty()) {
            String sent = sentKey(request);
            if (sent == null) {
                return ApiError.wrongKey(
                        "An API key is needed: send it as Authorization: Bearer KEY, or as x-api-key.");
            }
            int key = key(sent.getBytes(StandardCharsets.UTF_8));
            if (key < 0) {
                return ApiError.wrongKey("The API key is wrong.");
            }
            // One key that all share says nothing of the client.
            if (settings.apiKeys().size() > 1) {
                RequestEdge.named(routing, "key " + key);
            }
            RequestEdge.sharesAs(
                    routing,
                    switch (settings.cacheIsolation()) {
                        case NONE -> "";
                        case API_KEY -> keyDigests.get(key);
                    });
        }
        return announcedBytes(request) > limits.maxBodyBytes() ? ApiError.bodyTooLarge(limits.maxBodyBytes()) : null;
    }

    /** The key as OpenAI's clients send it, or else as Anthropic's do. */
    private static @Nullable String sentKey(HttpServerRequest request) {
        String header = request.getHeader(HttpHeaders.AUTHORIZATION);
        if (header != null && header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
            return header.substring(SCHEME.length()).strip();
        }
        String key = request.getHeader(API_KEY);
        return key == null ? null : key.strip();
    }

    /** The number of a key; -1 if it is none of the service's. The time it takes does not tell which one is close. */
    private int key(byte[] sent) {
        int found = -1;
        for (int i = 0; i < settings.apiKeys().size(); i++) {
            if (MessageDigest.isEqual(sent, settings.apiKeys().get(i).getBytes(StandardCharsets.UTF_8))) {
                found = i;
            }
        }
        return found;
    }

    /** The length of the body if the head says it, else 0. */
    private static long announcedBytes(HttpServerRequest request) {
        String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        // Vert.x answers itself what is no number.
        return length == null ? 0 : Long.parseLong(length);
    }

    /** A body that arrives, on the event loop of its connection. */
    private final class Arrival {
        private final RoutingContext routing;
        private final HttpServerRequest request;
        private final Body body;
        private final long timer;
        private boolean isOver;

        Arrival(RoutingContext routing, ContentEncoding encoding) {
            this.routing = routing;
            this.request = routing.request();
            this.body = new Body(memory, encoding, limits.maxBodyBytes());
            this.timer = vertx.setTimer(limits.bodyTimeout().toMillis(), late -> late());
        }

        void collect() {
            if (request.isEnded()) {
                end();
                return;
            }
            request.exceptionHandler(this::left);
            request.endHandler(end -> end());
            request.handler(this::add);
            if (CONTINUE.equalsIgnoreCase(request.getHeader(HttpHeaders.EXPECT))) {
                routing.response().writeContinue();
            }
        }

        private void add(Buffer chunk) {
            if (isOver) {
                return;
            }
            if (body.bytes() + chunk.length() > limits.maxBodyBytes()) {
                refuse(ApiError.bodyTooLarge(limits.maxBodyBytes()));
            } else if (!body.add(chunk)) {
                refuse(ApiError.bodiesTooLarge(memory.limitBytes()));
            }
        }

        private void late() {
            if (isOver) {
                // It was refused, and the rest of its body still comes; other streams may share its connection.
                if (request.version() != HttpVersion.HTTP_2) {
                    request.connection().close();
                }
            } else {
                refuse(ApiError.bodyTooSlow(limits.bodyTimeout()));
            }
        }

        private void refuse(ApiError error) {
            isOver = true;
            body.close();
            errors.end(request, error);
        }

        private void left(Throwable failure) {
            LOG.debugf("request %s: its client left before the body ended: %s", id(), failure);
            vertx.cancelTimer(timer);
            if (!isOver) {
                isOver = true;
                body.close();
                routing.response().reset();
            }
        }

        private String id() {
            return RequestEdge.requestId(routing);
        }

        private void end() {
            vertx.cancelTimer(timer);
            if (isOver) {
                return;
            }
            isOver = true;
            routing.put(BODY, body);
            readers.executeBlocking(
                    () -> {
                        read();
                        return null;
                    },
                    false);
        }

        private void read() {
            try {
                if (routing.response().closed()) {
                    LOG.debugf("request %s: its client left before it was read", id());
                } else {
                    Objects.requireNonNull(router).handleContext(new WithBody(routing));
                }
            } finally {
                body.close();
            }
        }
    }

    /** A request whose body has come. REST pauses each request, which Vert.x refuses where nothing more comes. */
    private static final class WithBody extends RoutingContextDecorator {
        private final HttpServerRequest request;

        WithBody(RoutingContext routing) {
            super(routing.currentRoute(), (RoutingContextInternal) routing);
            this.request = new Ended((HttpServerRequestInternal) routing.request());
        }

        @Override
        public HttpServerRequest request() {
            return request;
        }

        /** All routes have been asked. */
        @Override
        public void next() {
            fail(404);
        }
    }

    private static final class Ended extends HttpServerRequestWrapper {
        Ended(HttpServerRequestInternal request) {
            super(request);
        }

        @Override
        public HttpServerRequest pause() {
            return this;
        }

        @Override
        public HttpServerRequest resume() {
            return this;
        }

        @Override
        public HttpServerRequest fetch(long amount) {
            return this;
        }
    }
}
