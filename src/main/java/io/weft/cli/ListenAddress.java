package io.weft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.UnknownHostException;

/**
 * Where a server is to listen.
 *
 * @param host address or name; 0.0.0.0 for all addresses of the machine
 * @param port 0 for any that is free
 * @param setting what chooses another port, for people
 */
record ListenAddress(String host, int port, String setting) {
    private static final int CONNECT_MILLIS = 500;

    /**
     * Finds out early whether the server will be able to listen. It opens the port itself, a little later.
     *
     * @throws UncheckedIOException if not; the message is one line
     */
    void requireFree() {
        try (ServerSocket socket = new ServerSocket()) {
            InetSocketAddress address = new InetSocketAddress(host, port);
            if (address.isUnresolved()) {
                throw new UnknownHostException("no such host");
            }
            // As the server does: connections of a process that has ended do not keep the port.
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
