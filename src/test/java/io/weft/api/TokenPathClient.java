package io.weft.api;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads many streams on one thread and says how far apart their tokens came: {@code PORT STREAMS SKIPPED}. Prints the
 * events of all streams, and median, 99th percentile and maximum of the gaps in microseconds, leaving out each stream's
 * first {@code SKIPPED} events.
 */
final class TokenPathClient {
    private static final byte[] EVENT = "data: {".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] END = "data: [DONE]".getBytes(StandardCharsets.US_ASCII);

    private long[] gapsMicros = new long[1 << 20];
    private int gaps;
    private long events;
    private int open;

    private TokenPathClient() {}

    private static final class Stream {
        private int events;
        private long lastNanos;
        private int matched;
        private int ended;
    }

    public static void main(String[] arguments) throws IOException {
        new TokenPathClient()
                .read(Integer.parseInt(arguments[0]), Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
    }

    private void read(int port, int streams, int skipped) throws IOException {
        String body = "{\"prompt\":[5],\"max_tokens\":1000000,\"ignore_eos\":true,\"stream\":true}";
        byte[] request = ("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        + "Content-Length: " + body.length() + "\r\n\r\n" + body)
                .getBytes(StandardCharsets.US_ASCII);
        try (Selector selector = Selector.open()) {
            for (int i = 0; i < streams; i++) {
                SocketChannel socket =
                        SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
                socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
                socket.write(ByteBuffer.wrap(request));
                socket.configureBlocking(false);
                socket.register(selector, SelectionKey.OP_READ, new Stream());
            }
            open = streams;
            ByteBuffer bytes = ByteBuffer.allocate(1 << 16);
            while (open > 0) {
                selector.select(key -> take(key, bytes, skipped));
            }
        }
        long[] sorted = Arrays.copyOf(gapsMicros, gaps);
        Arrays.sort(sorted);
        System.out.printf(
                "events %d gap p50 %d p99 %d max %d us%n",
                events, sorted[gaps / 2], sorted[(int) (gaps * 0.99)], sorted[gaps - 1]);
    }

    private void take(SelectionKey key, ByteBuffer bytes, int skipped) {
        try {
            bytes.clear();
            int read = ((SocketChannel) key.channel()).read(bytes);
            Stream stream = (Stream) key.attachment();
            long now = System.nanoTime();
            int came = 0;
            boolean ended = read < 0;
            for (int i = 0; i < read; i++) {
                byte b = bytes.get(i);
                stream.matched = b == EVENT[stream.matched] ? stream.matched + 1 : b == EVENT[0] ? 1 : 0;
                if (stream.matched == EVENT.length) {
                    stream.matched = 0;
                    came++;
                }
                stream.ended = b == END[stream.ended] ? stream.ended + 1 : b == END[0] ? 1 : 0;
                if (stream.ended == END.length) {
                    ended = true;
                    break;
                }
            }
            if (came > 0 && !ended) {
                if (stream.events >= skipped) {
                    if (gaps == gapsMicros.length) {
                        gapsMicros = Arrays.copyOf(gapsMicros, 2 * gaps);
                    }
                    gapsMicros[gaps++] = (now - stream.lastNanos) / 1000;
                }
                stream.lastNanos = now;
            }
            stream.events += came;
            events += came;
            if (ended) {
                key.cancel();
                key.channel().close();
                open--;
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
