package io.weft.api.http;

import jakarta.annotation.Priority;
import jakarta.enterprise.inject.Instance;
import jakarta.ws.rs.Priorities;
import jakarta.ws.rs.container.ContainerRequestContext;
import jakarta.ws.rs.container.ContainerRequestFilter;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.ext.Provider;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import org.jspecify.annotations.Nullable;

/** Checks the API key and limits the body before it is read. */
@Provider
@Guarded
@Priority(Priorities.AUTHENTICATION)
class Guard implements ContainerRequestFilter {
    private static final String SCHEME = "Bearer ";

    /** Resolved late: REST creates its filters before the service starts, for a native image even at build time. */
    private final Instance<ApiSettings> settings;

    Guard(Instance<ApiSettings> settings) {
        this.settings = settings;
    }

    @Override
    public void filter(ContainerRequestContext request) {
        ApiSettings limits = settings.get();
        limits.apiKey().ifPresent(key -> requireKey(key, request.getHeaderString(HttpHeaders.AUTHORIZATION)));
        if (request.getLength() > limits.maxBodyBytes()) {
            throw ApiError.bodyTooLarge(limits.maxBodyBytes()).exception();
        }
        if (request.hasEntity()) {
            request.setEntityStream(new LimitedStream(request.getEntityStream(), limits.maxBodyBytes()));
        }
    }

    private static void requireKey(String key, @Nullable String header) {
        if (header == null || !header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
            throw ApiError.wrongKey("An API key is needed: send it as Authorization: Bearer KEY.")
                    .exception();
        }
        byte[] sent = header.substring(SCHEME.length()).strip().getBytes(StandardCharsets.UTF_8);
        if (!MessageDigest.isEqual(sent, key.getBytes(StandardCharsets.UTF_8))) {
            throw ApiError.wrongKey("The API key is wrong.").exception();
        }
    }

    /** Fails once more than its limit is read; a chunked body does not announce its length. */
    private static final class LimitedStream extends FilterInputStream {
        private final long limitBytes;
        private long readBytes;

        LimitedStream(InputStream in, long limitBytes) {
            super(in);
            this.limitBytes = limitBytes;
        }

        @Override
        public int read() throws IOException {
            int value = super.read();
            count(value < 0 ? 0 : 1);
            return value;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int read = super.read(bytes, offset, length);
            count(Math.max(0, read));
            return read;
        }

        /** Closing would wait for the rest of the body. */
        @Override
        public void close() throws IOException {
            if (readBytes <= limitBytes) {
                super.close();
            }
        }

        private void count(int bytes) {
            readBytes += bytes;
            if (readBytes > limitBytes) {
                throw ApiError.bodyTooLarge(limitBytes).exception();
            }
        }
    }
}
