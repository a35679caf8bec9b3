package io.weft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.UnknownHostException;

/**
 * The address on which a server listens.
 *
 * @param host address or name; 0.0.0.0 for all addresses of the machine
 * @param port 0 for any free port
 * @param setting the setting that chooses another port, for people
 */
record ListenAddress(String host, int port, String setting) {
    private static final int CONNECT_MILLIS = 500;

    /**
     * Checks early whether the server will be able to listen; the server itself opens the port a little later.
     *
     * @throws UncheckedIOException if not; the message is one line
     */
    void requireFree() {
        try (ServerSocket socket = new ServerSocket()) {
            InetSocketAddress address = new InetSocketAddress(host, port);
            if (address.isUnresolved()) {
                throw new UnknownHostException("no such host");
            }
            // Like the server: connections of a process that has ended do not block the port.
            socket.setReuseAddress(true);
            socket.bind(address);
        } catch (IOException e) {
            String message = isAnswered()
                    ? "port %d is in use, choose another with %s".formatted(port, setting)
                    : "cannot listen on %s:%d (%s)".formatted(host, port, e.getMessage());
            throw new UncheckedIOException(message, e);
        }
    }

    private boolean isAnswered() {
        try (Socket socket = new Socket()) {
            InetAddress address = InetAddress.getByName(host);
            socket.connect(
                    new InetSocketAddress(
                            address.isAnyLocalAddress() ? InetAddress.getLoopbackAddress() : address, port),
                    CONNECT_MILLIS);
            return true;
        } catch (IOException e) {
            return false;
        }
    }
}
