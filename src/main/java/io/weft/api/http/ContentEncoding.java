package io.weft.api.http;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.Optional;
import java.util.zip.GZIPInputStream;
import java.util.zip.InflaterInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/** How the body of a request is encoded (RFC 9110, 8.4). */
enum ContentEncoding {
    IDENTITY,
    GZIP,
    /** The format of zlib. */
    DEFLATE;

    /** Reads a header; empty for an encoding that is not known, or several. */
    static Optional<ContentEncoding> of(@Nullable String header) {
        return switch (header == null ? "" : header.strip().toLowerCase(Locale.ROOT)) {
            case "", "identity" -> Optional.of(IDENTITY);
            case "gzip", "x-gzip" -> Optional.of(GZIP);
            case "deflate" -> Optional.of(DEFLATE);
            default -> Optional.empty();
        };
    }

    /**
     * Decodes a body while it is read.
     *
     * @param bytesMost of the decoded body; one that has more is refused where it has
     */
    InputStream decode(InputStream encoded, long bytesMost) {
        return this == IDENTITY ? encoded : new Decoding(encoded, bytesMost);
    }

    private InputStream open(InputStream encoded) throws IOException {
        return switch (this) {
            case IDENTITY -> encoded;
            case GZIP -> new GZIPInputStream(encoded);
            case DEFLATE -> new InflaterInputStream(encoded);
        };
    }

    private final class Decoding extends InputStream {
        private final InputStream encoded;
        private final long bytesMost;
        private @Nullable InputStream decoded;
        private long bytes;

        Decoding(InputStream encoded, long bytesMost) {
            this.encoded = encoded;
            this.bytesMost = bytesMost;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            int read;
            try {
                if (decoded == null) {
                    decoded = open(encoded);
                }
                read = decoded.read(into, offset, length);
            } catch (ZipException | EOFException e) {
                throw ApiError.notEncoded(name().toLowerCase(Locale.ROOT)).exception();
            }
            bytes += Math.max(0, read);
            if (bytes > bytesMost) {
                throw ApiError.bodyTooLarge(bytesMost).exception();
            }
            return read;
        }

        /** Frees memory outside the heap. */
        @Override
        public void close() throws IOException {
            if (decoded != null) {
                decoded.close();
            }
        }
    }
}
