package io.weft.api.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.StreamResetException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Readers that read, that do not, and that go away. The clock is the test's; sockets hold little. */
class ResponseStreamTest {
    private static final int SOCKET_BYTES = 4096;
    /** More than sockets and windows of flow control hold, so that a reader that falls behind has not got all. */
    private static final long BUFFER_BYTES = 2_000_000;

    /** What a client takes of a stream of HTTP/2 that it does not read, in whole events. */
    private static final long WINDOW_BYTES = 65_000;

    private static final long TIMEOUT_NANOS = 1000;
    private static final String END = "too slow";
    private static final byte[] EVENT = "e".repeat(1000).getBytes(StandardCharsets.US_ASCII);
    /** More than sockets and windows of flow control hold. */
    private static final int MUCH_BYTES = 8 << 20;

    private final AtomicLong clock = new AtomicLong();
    private final Vertx vertx = Vertx.vertx();
    private final DeliveryThread thread = new DeliveryThread("test-delivery", clock::get, 1);
    private final BlockingQueue<Served> served = new LinkedBlockingQueue<>();
    private HttpServer server;

    /** A response, and what was said of its reader. */
    private final class Served implements ResponseStream.Reader {
        private final ResponseStream stream;
        private final CompletableFuture<Void> behind = new CompletableFuture<>();
        private final CompletableFuture<Void> gone = new CompletableFuture<>();

        Served(HttpServerRequest request) {
            this.stream = new ResponseStream(
                    thread,
                    request,
                    Map.of("Content-Type", "text/plain"),
                    new ResponseStream.Limits(BUFFER_BYTES, TIMEOUT_NANOS),
                    this);
            request.response().closeHandler(closed -> thread.execute(this::gone));
        }

        @Override
        public void fellBehind() {
            stream.write(END.getBytes(StandardCharsets.US_ASCII));
            stream.end();
            assertThat(behind.complete(null)).as("told once").isTrue();
        }

        @Override
        public void gone() {
            stream.drop();
            gone.complete(null);
        }

        /** Writes as one step. */
        void step(byte[] bytes) {
            run(() -> stream.write(bytes));
        }

        void end() {
            run(stream::end);
        }

        /** Writes until the reader is slow; returns the bytes. */
        int writeUntilSlow() {
            int bytes = 0;
            while (!behind.isDone()) {
                step(EVENT);
                bytes += EVENT.length;
                assertThat(bytes).isLessThan(64 << 20);
            }
            return bytes;
        }
    }

    private void run(Runnable task) {
        CompletableFuture<Void> ran = new CompletableFuture<>();
        thread.execute(() -> {
            task.run();
            ran.complete(null);
        });
        ran.join();
    }

    /** Lets time pass, and the thread see it. */
    private void pass(long nanos) {
        clock.addAndGet(nanos);
        // Twice, since it looks at the clock after its tasks.
        run(() -> {});
        run(() -> {});
    }

    @BeforeEach
    void listen() {
        server = vertx.createHttpServer(new HttpServerOptions().setSendBufferSize(SOCKET_BYTES))
                .requestHandler(request -> served.add(new Served(request)))
                .listen(0, "127.0.0.1")
                .toCompletionStage()
                .toCompletableFuture()
                .join();
    }

    @AfterEach
    void close() {
        thread.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    private HttpClient client(HttpVersion version) {
        return vertx.createHttpClient(new HttpClientOptions()
                .setProtocolVersion(version)
                .setHttp2ClearTextUpgrade(false)
                .setReceiveBufferSize(SOCKET_BYTES)
                // Else a stream that is not read takes the window of all others with it.
                .setHttp2ConnectionWindowSize(1 << 20)
                .setHttp2MaxPoolSize(1));
    }

    /** A client's side of a response. */
    private static final class Reading {
        private final CompletableFuture<HttpClientResponse> response = new CompletableFuture<>();
        private final Buffer body = Buffer.buffer();
        private final AtomicLong bytes = new AtomicLong();
        private final CompletableFuture<Buffer> ended = new CompletableFuture<>();

        void resume() {
            response.join().resume();
        }
    }

    /** Asks; the body is not read before {@link Reading#resume}. */
    private Reading ask(HttpClient client) {
        Reading reading = new Reading();
        client.request(HttpMethod.GET, server.actualPort(), "127.0.0.1", "/")
                .compose(request -> {
                    var response = request.response();
                    request.end();
                    return response;
                })
                .onSuccess(response -> {
                    response.pause();
                    response.handler(bytes -> {
                        reading.body.appendBuffer(bytes);
                        reading.bytes.addAndGet(bytes.length());
                    });
                    response.exceptionHandler(reading.ended::completeExceptionally);
                    response.endHandler(end -> reading.ended.complete(reading.body));
                    reading.response.complete(response);
                })
                .onFailure(failure -> {
                    reading.response.completeExceptionally(failure);
                    reading.ended.completeExceptionally(failure);
                });
        return reading;
    }

    private Served next() throws InterruptedException {
        return served.take();
    }

    /** Waits until a client has so many bytes, and nothing waits for it. */
    private static void await(Reading reading, Served response, long bytes) throws InterruptedException {
        while (reading.bytes.get() < bytes || response.stream.waitingBytes() > 0) {
            Thread.sleep(1);
        }
    }

    /** Lets time pass until a response is cut: its socket may still take something before it takes nothing. */
    private void passUntilCut(Served response) throws InterruptedException {
        while (!response.behind.isDone()) {
            pass(TIMEOUT_NANOS);
            Thread.sleep(1);
        }
        response.gone.join();
    }

    @ParameterizedTest
    @EnumSource(names = {"HTTP_1_1", "HTTP_2"})
    void aReaderThatReadsGetsAll(HttpVersion version) throws Exception {
        Reading reading = ask(client(version));
        Served response = next();
        response.step(EVENT);
        reading.resume();
        for (int i = 1; i < 100; i++) {
            await(reading, response, (long) i * EVENT.length);
            pass(TIMEOUT_NANOS - 1);
            response.step(EVENT);
        }
        response.end();

        byte[] body = reading.ended.join().getBytes();

        assertThat(body).hasSize(100 * EVENT.length);
        assertThat(response.behind).isNotDone();
        pass(100 * TIMEOUT_NANOS);
        assertThat(response.stream.isDone()).isTrue();
        assertThat(response.behind).isNotDone();
    }

    /** However large it is: it was not behind when it came. */
    @ParameterizedTest
    @EnumSource(names = {"HTTP_1_1", "HTTP_2"})
    void oneLargeWriteIsNotSlow(HttpVersion version) throws Exception {
        byte[] large = new byte[(int) (4 * BUFFER_BYTES + 1)];
        Arrays.fill(large, (byte) 'x');
        Reading reading = ask(client(version));
        Served response = next();
        run(() -> {
            response.stream.write(large);
            response.stream.end();
        });
        reading.resume();

        assertThat(reading.ended.join().getBytes()).isEqualTo(large);
        assertThat(response.behind).isNotDone();
    }

    /** It learns of it if it reads on. */
    @ParameterizedTest
    @EnumSource(names = {"HTTP_1_1", "HTTP_2"})
    void aReaderThatFallsBehindIsEnded(HttpVersion version) throws Exception {
        Reading reading = ask(client(version));
        Served response = next();

        int bytes = response.writeUntilSlow();
        response.step(EVENT);

        assertThat(bytes).isGreaterThan((int) BUFFER_BYTES);
        assertThat(response.gone).isNotDone();
        reading.resume();
        String body = reading.ended.join().toString();
        assertThat(body).endsWith(END);
        // The test hears of it a moment later, and what it wrote meanwhile is dropped.
        int taken = body.length() - END.length();
        assertThat(taken).isGreaterThan((int) BUFFER_BYTES).isLessThanOrEqualTo(bytes);
        assertThat(taken % EVENT.length).isZero();
        while (!response.stream.isDone()) {
            Thread.sleep(1);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"HTTP_1_1", "HTTP_2"})
    void aReaderThatFallsBehindAndDoesNotReadOnIsCut(HttpVersion version) throws Exception {
        Reading reading = ask(client(version));
        Served response = next();
        int bytes = response.writeUntilSlow();
        reading.response.join();

        if (version == HttpVersion.HTTP_2) {
            while (bytes + END.length() - response.stream.waitingBytes() < WINDOW_BYTES) {
                Thread.sleep(1);
            }
            // Nothing more is taken, so its time is over at once; later, the connection's would be too.
            pass(TIMEOUT_NANOS);
        }
        while (version == HttpVersion.HTTP_1_1 && !response.gone.isDone()) {
            pass(TIMEOUT_NANOS);
            Thread.sleep(1);
        }
        response.gone.join();

        assertThat(response.stream.isDone()).isTrue();
        reading.resume();
        assertThat(reading.ended).failsWithin(Duration.ofMinutes(5));
        if (version == HttpVersion.HTTP_2) {
            assertThat(reading.ended.exceptionNow()).isInstanceOf(StreamResetException.class);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"HTTP_1_1", "HTTP_2"})
    void aReaderThatTakesNothingIsCutAfterAWhile(HttpVersion version) throws Exception {
        Reading reading = ask(client(version));
        Served response = next();
        response.step(new byte[MUCH_BYTES]);
        reading.response.join();

        pass(TIMEOUT_NANOS - 1);
        assertThat(response.behind).isNotDone();
        passUntilCut(response);

        assertThat(response.stream.isDone()).isTrue();
        reading.resume();
        assertThat(reading.ended).failsWithin(Duration.ofMinutes(5));
    }

    /** With HTTP/2 even on one connection. */
    @ParameterizedTest
    @EnumSource(names = {"HTTP_1_1", "HTTP_2"})
    void othersDoNotNotice(HttpVersion version) throws Exception {
        HttpClient client = client(version);
        Reading stuck = ask(client);
        Served slow = next();
        slow.step(EVENT);
        stuck.response.join();
        Reading reading = ask(client);
        Served response = next();
        response.step(EVENT);
        reading.resume();
        await(reading, response, EVENT.length);

        slow.step(new byte[MUCH_BYTES]);
        response.step(EVENT);
        await(reading, response, 2L * EVENT.length);
        passUntilCut(slow);
        response.step(EVENT);
        response.end();

        assertThat(reading.ended.join().getBytes()).hasSize(3 * EVENT.length);
        assertThat(response.behind).isNotDone();
        stuck.resume();
        assertThat(stuck.ended).failsWithin(Duration.ofMinutes(5));
        if (version == HttpVersion.HTTP_2) {
            assertThat(stuck.ended.exceptionNow()).isInstanceOf(StreamResetException.class);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"HTTP_1_1", "HTTP_2"})
    void aClientThatLeavesIsGone(HttpVersion version) throws Exception {
        HttpClient client = client(version);
        Reading reading = ask(client);
        Served response = next();
        response.step(EVENT);
        reading.response.join();

        client.close();

        response.gone.join();
        assertThat(response.stream.isDone()).isTrue();
        response.step(EVENT);
        response.end();
        assertThat(response.behind).isNotDone();
    }

    @Test
    void whatWasNotTouchedMayBeAnsweredOtherwise() throws Exception {
        Reading reading = ask(client(HttpVersion.HTTP_1_1));
        Served response = next();
        assertThat(response.stream.isUntouched()).isTrue();

        run(response.stream::drop);
        response.step(EVENT);

        assertThat(response.stream.isUntouched()).isTrue();
        assertThat(reading.response).isNotDone();
    }

    /** A fault of one task is not the others'. */
    @Test
    void aTaskThatFailsDoesNotEndTheThread() {
        thread.execute(() -> {
            throw new IllegalStateException("meant to fail");
        });
        thread.execute(() -> {
            throw new AssertionError("meant to fail");
        });

        CompletableFuture<Void> later = new CompletableFuture<>();
        thread.execute(() -> later.complete(null));
        later.join();
    }

    /** What is left runs once the thread is woken, in order. */
    @Test
    void tasksWaitForTheEndOfAStep() throws Exception {
        StringBuilder order = new StringBuilder();
        thread.leave(() -> order.append('a'));
        thread.leave(() -> order.append('b'));
        CompletableFuture<Void> ran = new CompletableFuture<>();
        thread.leave(() -> ran.complete(null));

        thread.wake();

        ran.join();
        assertThat(order.toString()).isEqualTo("ab");
    }
}
