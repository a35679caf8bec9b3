package io.weft.api;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** A connection whose client sends what it likes: parts of requests, wrong ones, none. */
final class RawClient implements AutoCloseable {
    private final Socket socket;

    RawClient(URI root) throws IOException {
        this(root, 0);
    }

    /** @param receiveBytes size of the buffer for answers; 0 for the usual one */
    RawClient(URI root, int receiveBytes) throws IOException {
        this.socket = new Socket();
        if (receiveBytes > 0) {
            socket.setReceiveBufferSize(receiveBytes);
        }
        socket.connect(new java.net.InetSocketAddress(root.getHost(), root.getPort()));
        socket.setSoTimeout(Math.toIntExact(OperationsTest.HANG.toMillis()));
    }

    /** The head of a request to the API. */
    static String head(String path, String... headers) {
        return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                + String.join(
                        "",
                        java.util.Arrays.stream(headers)
                                .map(header -> header + "\r\n")
                                .toList()) + "\r\n";
    }

    /** The head of a request for a completion, and the begin of a body of so many bytes. */
    static String halfSent(int bytes) {
        return head("/v1/completions", "Content-Length: " + bytes) + "{\"prompt\":\"";
    }

    void send(String text) throws IOException {
        send(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    void send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
    }

    /** Says that nothing more will be sent. */
    void endSending() throws IOException {
        socket.shutdownOutput();
    }

    /** All that comes until the server closes the connection. */
    String readToEnd() throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        try {
            socket.getInputStream().transferTo(all);
        } catch (java.net.SocketException reset) {
            // That is an end too.
        }
        return all.toString(StandardCharsets.UTF_8);
    }

    /** One answer, with its body if its length is told. */
    String readAnswer() throws IOException {
        StringBuilder answer = new StringBuilder();
        int wanted = Integer.MAX_VALUE;
        while (answer.length() < wanted) {
            int value = socket.getInputStream().read();
            if (value < 0) {
                break;
            }
            answer.append((char) value);
            if (wanted == Integer.MAX_VALUE && answer.toString().endsWith("\r\n\r\n")) {
                java.util.regex.Matcher length = java.util.regex.Pattern.compile("(?i)content-length: (\\d+)")
                        .matcher(answer);
                wanted = answer.length() + (length.find() ? Integer.parseInt(length.group(1)) : 0);
            }
        }
        return answer.toString();
    }

    /** A frame of HTTP/2. */
    static byte[] frame(int type, int flags, int stream, byte[] payload) {
        return ByteBuffer.allocate(9 + payload.length)
                .put((byte) (payload.length >> 16))
                .putShort((short) payload.length)
                .put((byte) type)
                .put((byte) flags)
                .putInt(stream)
                .put(payload)
                .array();
    }

    /** A header of HTTP/2, spelt out. */
    static byte[] literal(String name, String value) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.write(0x10);
        for (String text : new String[] {name, value}) {
            bytes.write(text.length());
            bytes.writeBytes(text.getBytes(StandardCharsets.US_ASCII));
        }
        return bytes.toByteArray();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
