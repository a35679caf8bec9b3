package io.weft.api.http;

import com.sun.management.UnixOperatingSystemMXBean;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOutboundBuffer;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.handler.codec.http2.Http2ConnectionAdapter;
import io.netty.handler.codec.http2.Http2ConnectionHandler;
import io.netty.handler.codec.http2.Http2Stream;
import io.netty.util.AttributeKey;
import io.netty.util.concurrent.ScheduledFuture;
import io.quarkus.vertx.http.HttpServerOptionsCustomizer;
import io.quarkus.vertx.http.runtime.VertxHttpRecorder;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.impl.HttpServerConnection;
import io.vertx.core.impl.VertxInternal;
import io.vertx.core.net.impl.ConnectionBase;
import io.vertx.core.net.impl.VertxHandler;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.Comparator;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The open connections of both ports, and their limits. Without a request a connection may stay for some time; so may
 * one whose request's head does not end, and one whose client does not read. When there are too many, a new one takes
 * the place of the one that has been without a request for longest. Where all have requests, some more are let in, so
 * that a probe still gets its answer; other requests of theirs are refused ({@link #isForProbes}).
 */
@Singleton
class Connections implements HttpServerOptionsCustomizer {
    private static final Logger LOG = Logger.getLogger(Connections.class);
    private static final AttributeKey<Watch> WATCH = AttributeKey.valueOf("weft.connection");

    /** Connections of the API's port where the process may open any number of files. */
    private static final int CONNECTIONS_USUAL = 4096;
    /** Connections of the management port, and for each port those beyond its limit. */
    private static final int RESERVED = 32;
    /** Files that the process opens later: profiles, libraries, the event loops' own. */
    private static final int FILES_RESERVED = 64;

    private static final Duration CHECK_MOST = Duration.ofSeconds(1);
    private static final Duration CHECK_LEAST = Duration.ofMillis(10);
    /** Heads of so many times the allowed size are read, in HTTP/2, so that they can be answered. */
    private static final long HEADERS_READ = 4;
    /** What a header of HTTP/2 counts beside its name and value (RFC 9113). */
    private static final int HEADER_OVERHEAD_BYTES = 32;
    /** Checks in the shortest time limit. */
    private static final int CHECKS = 10;

    private final ServerLimits limits;
    private final MeterRegistry metrics;
    private final int most;
    private final Duration checkPeriod;
    private final Set<Watch> open = ConcurrentHashMap.newKeySet();
    private final AtomicInteger openOfApi = new AtomicInteger();
    private final AtomicInteger openOfManagement = new AtomicInteger();
    private volatile int managementPort;
    private volatile BiConsumer<HttpServerRequest, Throwable> unreadable =
            (request, cause) -> HttpServerRequest.DEFAULT_INVALID_REQUEST_HANDLER.handle(request);
    private volatile int lineBytesMost = Integer.MAX_VALUE;
    private volatile int headerBytesMost = Integer.MAX_VALUE;

    /** Why a connection is closed. */
    private enum Cause {
        IDLE("no request for %s"),
        HEADER("the head of a request took longer than %s"),
        WRITE("the client accepted nothing for %s"),
        CROWDED("it was idle for longest of as many as may be open");

        private final String text;

        Cause(String text) {
            this.text = text;
        }

        private String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    Connections(Vertx vertx, ServerLimits limits, MeterRegistry metrics) {
        this.limits = limits;
        this.metrics = metrics;
        this.most = limits.maxConnections().orElseGet(Connections::allowedByFiles);
        Duration shortest = min(min(limits.headerTimeout(), limits.idleTimeout()), limits.writeTimeout());
        this.checkPeriod = max(CHECK_LEAST, min(CHECK_MOST, shortest.dividedBy(CHECKS)));
        for (Cause cause : Cause.values()) {
            closed(cause);
        }
        Gauge.builder("weft.connections", openOfApi, AtomicInteger::get)
                .description("Open connections of the API's port")
                .register(metrics);
        if (((VertxInternal) vertx).transport() instanceof ConnectionTransport transport) {
            transport.install(this::admit);
        }
    }

    private Counter closed(Cause cause) {
        return Counter.builder("weft.connections.closed")
                .description("Connections that the server closed because of a limit")
                .tag("cause", cause.label())
                .register(metrics);
    }

    private static Duration min(Duration a, Duration b) {
        return a.compareTo(b) < 0 ? a : b;
    }

    private static Duration max(Duration a, Duration b) {
        return a.compareTo(b) > 0 ? a : b;
    }

    /** As many as there are files left after a reserve, and after the connections that are reserved. */
    private static int allowedByFiles() {
        if (!(ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean system)) {
            return CONNECTIONS_USUAL;
        }
        long left = system.getMaxFileDescriptorCount() - system.getOpenFileDescriptorCount();
        return Math.clamp(left - FILES_RESERVED - 5 * RESERVED, 1, CONNECTIONS_USUAL);
    }

    /** Sets what Vert.x limits itself. */
    @Override
    public void customizeHttpServer(HttpServerOptions options) {
        lineBytesMost = options.getMaxInitialLineLength();
        headerBytesMost = options.getMaxHeaderSize();
        options.getInitialSettings()
                .setMaxConcurrentStreams(limits.maxStreams())
                // What is longer than this gets an answer without a body; what is only too long gets an error.
                .setMaxHeaderListSize(HEADERS_READ * (lineBytesMost + headerBytesMost));
        // Its own timeouts would end requests that wait for their first token.
        options.setIdleTimeout(0);
    }

    /** Sets who answers requests whose head cannot be read, and is told why; on connections from now on. */
    void answerUnreadable(BiConsumer<HttpServerRequest, Throwable> handler) {
        unreadable = handler;
    }

    /** Tells which port has connections of its own, that do not count on the API's. */
    void manage(int port) {
        managementPort = port;
    }

    private boolean admit(SocketChannel channel) {
        boolean managed =
                channel.localAddress() != null && channel.localAddress().getPort() == managementPort;
        AtomicInteger count = managed ? openOfManagement : openOfApi;
        int limit = managed ? RESERVED : most;
        int opened = count.incrementAndGet();
        boolean crowded = opened > limit && !makeRoom(managed);
        // The one that makes room is closed a little later.
        if (opened > limit + (crowded ? RESERVED : 2 * RESERVED)) {
            count.decrementAndGet();
            closed(Cause.CROWDED).increment();
            return false;
        }
        Watch watch = new Watch(channel, count, managed, crowded);
        channel.attr(WATCH).set(watch);
        channel.pipeline().addFirst(watch);
        channel.closeFuture().addListener(end -> watch.forget());
        open.add(watch);
        return true;
    }

    /** Closes the connection that has been without a request for longest, if there is one. */
    private boolean makeRoom(boolean managed) {
        // One that has just been accepted has no event loop yet, which alone can close it.
        Predicate<Watch> idle = watch ->
                watch.managed == managed && watch.requests.get() == 0 && !watch.closing && watch.channel.isRegistered();
        Optional<Watch> oldest =
                open.stream().filter(idle).min(Comparator.comparingLong(watch -> watch.idleSinceNanos - now()));
        oldest.ifPresent(watch -> watch.close(Cause.CROWDED, Duration.ZERO));
        return oldest.isPresent();
    }

    private static long now() {
        return System.nanoTime();
    }

    private static Optional<Watch> watch(HttpConnection connection) {
        return connection instanceof ConnectionBase base
                ? Optional.ofNullable(base.channel().attr(WATCH).get())
                : Optional.empty();
    }

    /** Counts a request whose head has arrived, until it has ended. */
    void began(RoutingContext routing) {
        HttpServerRequest request = routing.request();
        watch(request.connection()).ifPresent(watch -> {
            watch.began(request.version() == HttpVersion.HTTP_2);
            routing.addEndHandler(end -> watch.ended());
        });
    }

    /** Whether a connection was let in only for probes, and there is still no room for its other requests. */
    boolean isForProbes(HttpConnection connection) {
        return watch(connection)
                .map(watch -> {
                    watch.forProbes = watch.forProbes && openOfApi.get() > most && !makeRoom(false);
                    return watch.forProbes;
                })
                .orElse(false);
    }

    /** Whether a connection has more requests at once than it may. */
    boolean hasTooManyRequests(HttpConnection connection) {
        return watch(connection).map(watch -> watch.requests.get()).orElse(0) > limits.maxStreams();
    }

    /** The most connections that may have requests. */
    int most() {
        return most;
    }

    /**
     * Tells a connection who answers {@link #unreadable} requests: the platform, which makes the server, cannot be
     * told, and itself answers those whose path is no URI. Vert.x makes a connection of HTTP/1 when it has decoded its
     * first request; so this one waits at the end of the pipeline, first for bytes, after which the decoder is there,
     * then for requests. That of HTTP/2 is there after its first frame.
     */
    private final class ForUnreadable extends ChannelInboundHandlerAdapter {
        private final boolean managed;

        ForUnreadable(boolean managed) {
            this.managed = managed;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
            ChannelPipeline pipeline = context.pipeline();
            VertxHandler<?> http = pipeline.get(VertxHandler.class);
            Http2ConnectionHandler frames = pipeline.get(Http2ConnectionHandler.class);
            if (frames != null) {
                pipeline.remove(this);
                if (!managed) {
                    checkHeads(frames);
                }
            } else if (http == null) {
                pipeline.remove(this);
                pipeline.addLast(new ForUnreadable(managed));
            } else if (message instanceof HttpRequest request
                    && http.getConnection() instanceof HttpServerConnection connection) {
                connection.invalidRequestHandler(invalid ->
                        unreadable.accept(invalid, invalid.decoderResult().cause()));
                requireUri(request);
            }
            super.channelRead(context, message);
        }

        private static void requireUri(HttpRequest request) {
            try {
                var _ = new URI(request.uri());
            } catch (URISyntaxException e) {
                if (request.decoderResult().isSuccess()) {
                    request.setDecoderResult(DecoderResult.failure(e));
                }
            }
        }
    }

    /** Has the heads of a connection's requests checked; it is there once there is a stream, if not before. */
    private void checkHeads(Http2ConnectionHandler frames) {
        Runnable check = () -> {
            if (frames.decoder().frameListener() instanceof HttpServerConnection connection) {
                connection.handler(this::handle);
            }
        };
        check.run();
        frames.connection().addListener(new Http2ConnectionAdapter() {
            @Override
            public void onStreamAdded(Http2Stream stream) {
                check.run();
            }
        });
    }

    /** Hands a request of HTTP/2 on, or answers it as Netty's decoder would have it in HTTP/1. */
    private void handle(HttpServerRequest request) {
        try {
            requireHead(request);
        } catch (URISyntaxException | TooLongFrameException e) {
            unreadable.accept(request, e);
            return;
        }
        VertxHttpRecorder.getRootHandler().handle(request);
    }

    private void requireHead(HttpServerRequest request) throws URISyntaxException {
        String uri = request.uri();
        if (uri == null) {
            throw new URISyntaxException("", "no path");
        }
        if (uri.length() > lineBytesMost) {
            throw new TooLongHttpLineException("An HTTP line is larger than " + lineBytesMost + " bytes.");
        }
        long bytes = 0;
        for (Map.Entry<String, String> header : request.headers()) {
            bytes += header.getKey().length() + header.getValue().length() + HEADER_OVERHEAD_BYTES;
        }
        if (bytes > headerBytesMost) {
            throw new TooLongHttpHeaderException("HTTP header is larger than " + headerBytesMost + " bytes.");
        }
        var _ = new URI(uri);
    }

    /** One connection; on its event loop, but for what others ask about it. */
    private final class Watch extends ChannelInboundHandlerAdapter {
        private final SocketChannel channel;
        private final AtomicInteger count;
        private final boolean managed;
        private volatile boolean forProbes;
        private final AtomicInteger requests = new AtomicInteger();
        /** The time of the last byte of the last request, or of the connection's begin. */
        private volatile long idleSinceNanos = now();

        private volatile boolean closing;

        private boolean hasRead;

        /** Whether a request's head has begun; not known where frames of many kinds come. */
        private volatile boolean heading;

        private volatile boolean framed;
        private long headingSinceNanos;
        /** What was being written at the last check, and how much of it and after it there was. */
        private @Nullable Object written;

        private long writtenProgress;
        private long writingSinceNanos = now();
        private @Nullable ScheduledFuture<?> checks;

        Watch(SocketChannel channel, AtomicInteger count, boolean managed, boolean forProbes) {
            this.channel = channel;
            this.count = count;
            this.managed = managed;
            this.forProbes = forProbes;
        }

        @Override
        public void channelActive(ChannelHandlerContext context) throws Exception {
            checks = channel.eventLoop()
                    .scheduleAtFixedRate(
                            this::check, checkPeriod.toNanos(), checkPeriod.toNanos(), TimeUnit.NANOSECONDS);
            super.channelActive(context);
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object bytes) throws Exception {
            if (!hasRead) {
                hasRead = true;
                channel.pipeline().addLast(new ForUnreadable(managed));
            }
            if (!heading && !framed && requests.get() == 0) {
                headingSinceNanos = now();
                heading = true;
            }
            super.channelRead(context, bytes);
        }

        private void began(boolean inFrames) {
            requests.incrementAndGet();
            framed = inFrames;
            heading = false;
        }

        private void ended() {
            idleSinceNanos = now();
            heading = false;
            requests.decrementAndGet();
        }

        private void check() {
            long now = now();
            checkWriting(now);
            if (requests.get() > 0) {
                return;
            }
            if (heading && now - headingSinceNanos > limits.headerTimeout().toNanos()) {
                close(Cause.HEADER, limits.headerTimeout());
            } else if (now - idleSinceNanos > limits.idleTimeout().toNanos()) {
                close(Cause.IDLE, limits.idleTimeout());
            }
        }

        @SuppressWarnings("ReferenceEquality") // the same buffer, and not an equal one
        private void checkWriting(long now) {
            ChannelOutboundBuffer buffer = channel.unsafe().outboundBuffer();
            Object current = buffer == null ? null : buffer.current();
            if (current == null || current != written || buffer.currentProgress() != writtenProgress) {
                written = current;
                writtenProgress = current == null ? 0 : buffer.currentProgress();
                writingSinceNanos = now;
            } else if (now - writingSinceNanos > 2 * limits.writeTimeout().toNanos()) {
                // Streams of tokens end by themselves before, and know why.
                close(Cause.WRITE, limits.writeTimeout());
            }
        }

        private void close(Cause cause, Duration limit) {
            closing = true;
            closed(cause).increment();
            LOG.debugf("closed a connection from %s: " + cause.text, channel.remoteAddress(), limit);
            var _ = channel.close();
        }

        private void forget() {
            open.remove(this);
            count.decrementAndGet();
            if (checks != null) {
                checks.cancel(false);
            }
        }
    }
}
