package io.weft.api.http;

import io.netty.channel.ChannelFactory;
import io.netty.channel.ServerChannel;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.vertx.core.impl.VertxBuilder;
import io.vertx.core.impl.transports.JDKTransport;
import io.vertx.core.spi.VertxServiceProvider;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The transport of the JDK, with a gate at accepting. Nothing else in Vert.x sees a connection before its first
 * request, so that one without a request could neither be counted nor closed.
 */
final class ConnectionTransport extends JDKTransport {
    private volatile @Nullable Gate gate;

    /** Decides on a connection on the thread that accepts it. */
    interface Gate {
        /**
         * Takes a connection, before it is read from for the first time.
         *
         * @return whether it may stay open
         */
        boolean admit(SocketChannel connection);
    }

    /** Builds every Vert.x of this application with this transport. Named in {@code META-INF/services}. */
    public static final class Provider implements VertxServiceProvider {
        @Override
        public void init(VertxBuilder builder) {
            builder.findTransport(new ConnectionTransport());
        }
    }

    /** Sets the gate, for connections from now on. */
    void install(Gate newGate) {
        gate = newGate;
    }

    @Override
    public ChannelFactory<? extends ServerChannel> serverChannelFactory(boolean domainSocket) {
        return domainSocket ? super.serverChannelFactory(true) : Listener::new;
    }

    private final class Listener extends NioServerSocketChannel {
        @Override
        protected int doReadMessages(List<Object> accepted) throws Exception {
            int before = accepted.size();
            int count = super.doReadMessages(accepted);
            Gate now = gate;
            if (now != null && accepted.size() > before) {
                SocketChannel connection = (SocketChannel) accepted.getLast();
                if (!now.admit(connection)) {
                    accepted.removeLast();
                    connection.unsafe().closeForcibly();
                }
            }
            return count;
        }
    }
}
