package io.weft.api.http;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.HttpConstants;
import io.netty.handler.codec.http.HttpResponseEncoder;
import io.netty.handler.codec.http2.Http2ConnectionHandler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.buffer.impl.BufferImpl;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.impl.ConnectionBase;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The body of a response on its way to a client. Writing never blocks: what the socket does not take waits here, and is
 * counted in bytes. A reader is slow if more than the stream's buffer waits when more comes, or if it takes nothing for
 * the write timeout while something waits. Then {@link Reader#fellBehind} may still write an end; if that is not taken
 * either, the stream is cut.
 *
 * <p>Everything runs on the response's {@link DeliveryThread}, except what says otherwise.
 */
public final class ResponseStream implements EventStream.ByteSink {
    private static final int FIRST_CAPACITY_BYTES = 512;
    /** By which a write may be longer than the one before without being copied: about a token's text. */
    private static final int SPARE_BYTES = 64;
    /** A piece of a body that is written at once, so that a slow but steady reader is seen to read. */
    private static final int PIECE_BYTES = 1 << 16;

    /** Bytes of a chunk of HTTP/1.1 beside its content. */
    private static final int CHUNK_BYTES = 12;

    private static final int HEXADECIMAL = 16;

    /** HTTP/2's code for a stream that nobody needs. */
    private static final long CANCEL = 8;

    private final DeliveryThread thread;
    private final HttpServerResponse response;
    private final boolean sharesConnection;
    private final boolean isChunked;
    private final Channel channel;
    private final Map<String, String> headers;
    private final Limits limits;
    private final Reader reader;

    private @Nullable Buffer pending;
    private int lastBytes;
    private int mostBytes;
    private Phase phase = Phase.FLOWING;
    private boolean ended;
    /** Whether the stream of HTTP/2 was reset. */
    private boolean reset;

    private boolean queued;
    /** Bytes that an event loop has and the socket has not taken. */
    private final AtomicLong waitingBytes = new AtomicLong();
    /** Since when the socket has taken nothing. */
    private volatile long idleSinceNanos;

    private volatile boolean done;

    private enum Phase {
        FLOWING,
        /** The reader was slow; only an end may still be written. */
        FELL_BEHIND,
        /** Nobody reads. */
        GONE
    }

    /**
     * When a reader is slow.
     *
     * @param bufferBytes bytes that may wait when more comes, beyond the largest write
     * @param timeoutNanos time without progress
     */
    public record Limits(long bufferBytes, long timeoutNanos) {
        static Limits of(ServerLimits settings) {
            return new Limits(
                    settings.streamBufferBytes(), settings.writeTimeout().toNanos());
        }
    }

    /** Who is told of the reader. */
    public interface Reader {
        /** The reader is slow. What is written now comes after all that waits; nothing can be written later. */
        void fellBehind();

        /** The client went away before the end. */
        void gone();
    }

    /** @param headers of a response whose body is written */
    ResponseStream(
            DeliveryThread thread,
            HttpServerRequest request,
            Map<String, String> headers,
            Limits limits,
            Reader reader) {
        this.thread = thread;
        this.response = request.response();
        this.sharesConnection = request.version() == HttpVersion.HTTP_2;
        this.isChunked = request.version() == HttpVersion.HTTP_1_1;
        this.channel = ((ConnectionBase) request.connection()).channel();
        this.headers = headers;
        this.limits = limits;
        this.reader = reader;
    }

    /** Whether nothing was written, so that the response may still be another. */
    public boolean isUntouched() {
        return lastBytes == 0 && pending == null && !ended;
    }

    /** Writes bytes, after those that were written before. */
    @Override
    public void write(byte[] bytes) {
        if (phase == Phase.GONE || ended) {
            return;
        }
        if (pending == null) {
            pending = Buffer.buffer(lastBytes == 0 ? FIRST_CAPACITY_BYTES : lastBytes + SPARE_BYTES);
        }
        pending.appendBytes(bytes);
        queue();
    }

    /** Ends the body. */
    @Override
    public void end() {
        if (phase != Phase.GONE && !ended) {
            ended = true;
            queue();
        }
    }

    private void queue() {
        if (!queued) {
            queued = true;
            thread.written(this);
        }
    }

    /** Forgets what was not written: the client went away, or is answered otherwise. From any thread. */
    public void drop() {
        done = true;
        thread.execute(() -> phase = Phase.GONE);
    }

    /** The thread on which to write. */
    public DeliveryThread thread() {
        return thread;
    }

    EventLoop eventLoop() {
        return channel.eventLoop();
    }

    /** Whether nothing is left to do: the body was taken to its end, or nobody reads it. */
    boolean isDone() {
        return done;
    }

    /** Bytes that were written and not taken. From any thread. */
    long waitingBytes() {
        return waitingBytes.get();
    }

    /** The write of all bytes so far, to be run by the event loop. */
    Optional<Runnable> nextWrite() {
        if (phase == Phase.FLOWING && waitingBytes.get() > limits.bufferBytes() + mostBytes) {
            fallBehind();
        }
        queued = false;
        if (phase == Phase.GONE) {
            return Optional.empty();
        }
        boolean first = lastBytes == 0;
        Buffer bytes = pending == null ? Buffer.buffer() : pending;
        pending = null;
        lastBytes = counted(bytes);
        mostBytes = Math.max(mostBytes, lastBytes);
        boolean last = ended;
        if (waitingBytes.getAndAdd(lastBytes) == 0) {
            idleSinceNanos = thread.nanoTime();
        }
        if (first) {
            thread.watch(this);
        }
        return Optional.of(() -> write(bytes, first, last));
    }

    /** Even an end without bytes is something to take. */
    private static int counted(Buffer bytes) {
        return Math.max(1, bytes.length());
    }

    private void fallBehind() {
        phase = Phase.FELL_BEHIND;
        reader.fellBehind();
    }

    /** Ends the stream if its reader has not taken anything for too long. */
    void requireProgress() {
        if (done || waitingBytes.get() == 0 || thread.nanoTime() - idleSinceNanos < limits.timeoutNanos()) {
            return;
        }
        if (phase == Phase.FLOWING) {
            fallBehind();
        }
        phase = Phase.GONE;
        idleSinceNanos = thread.nanoTime();
        eventLoop().execute(this::cut);
    }

    /** Ends the stream at once, on its event loop. A connection that does not even take that is closed. */
    private void cut() {
        if (done) {
            return;
        }
        ChannelHandlerContext frames = channel.pipeline().context(Http2ConnectionHandler.class);
        if (sharesConnection && !reset && frames != null) {
            reset = true;
            // Not with Vert.x, which takes a response whose end waits for the reader for one that has ended.
            var _ = ((Http2ConnectionHandler) frames.handler())
                    .resetStream(frames, response.streamId(), CANCEL, channel.newPromise());
            channel.flush();
        } else {
            // From the front of the pipeline: Vert.x, at its end, would first wait for the reader.
            var _ = channel.pipeline().firstContext().close();
        }
    }

    /** Runs on the event loop. */
    private void write(Buffer bytes, boolean first, boolean last) {
        if (done) {
            return;
        }
        try {
            if (first) {
                headers.forEach(response::putHeader);
                response.setChunked(true);
            }
            int start = 0;
            for (; bytes.length() - start > PIECE_BYTES; start += PIECE_BYTES) {
                writePiece(bytes.slice(start, start + PIECE_BYTES), first && start == 0);
            }
            Buffer rest = start == 0 ? bytes : bytes.slice(start, bytes.length());
            if (last) {
                response.end(rest, taken -> taken(taken.succeeded(), counted(rest), true));
            } else {
                writePiece(rest, first && start == 0);
            }
        } catch (IllegalStateException e) {
            // The connection was closed meanwhile.
            clientGone();
        }
    }

    /**
     * Writes a piece after which others come. A chunk after the head is made here, in one buffer, and goes past Vert.x
     * and its encoder, which make three: nearly all chunks are one token, and its way takes half of what the system
     * takes to send it.
     */
    private void writePiece(Buffer piece, boolean first) {
        ChannelHandlerContext encoder =
                isChunked && !first ? channel.pipeline().context(HttpResponseEncoder.class) : null;
        // A chunk without bytes would be the last.
        if (encoder == null || piece.length() == 0) {
            response.write(piece, taken -> taken(taken.succeeded(), counted(piece), false));
            return;
        }
        ByteBuf chunk = channel.alloc().directBuffer(piece.length() + CHUNK_BYTES);
        writeHexadecimal(chunk, piece.length());
        chunk.writeShort(HttpConstants.CR << Byte.SIZE | HttpConstants.LF);
        chunk.writeBytes(((BufferImpl) piece).byteBuf(), 0, piece.length());
        chunk.writeShort(HttpConstants.CR << Byte.SIZE | HttpConstants.LF);
        encoder.writeAndFlush(chunk).addListener(taken -> taken(taken.isSuccess(), counted(piece), false));
    }

    private static void writeHexadecimal(ByteBuf to, int number) {
        int digits = Math.ceilDiv(Integer.SIZE - Integer.numberOfLeadingZeros(number), 4);
        for (int digit = digits - 1; digit >= 0; digit--) {
            to.writeByte(Character.forDigit((number >>> (4 * digit)) & 0xf, HEXADECIMAL));
        }
    }

    private void taken(boolean success, int bytes, boolean last) {
        waitingBytes.addAndGet(-bytes);
        idleSinceNanos = thread.nanoTime();
        if (!success) {
            clientGone();
        } else if (last) {
            done = true;
        }
    }

    private void clientGone() {
        if (!done) {
            done = true;
            thread.execute(() -> {
                phase = Phase.GONE;
                reader.gone();
            });
        }
    }
}
