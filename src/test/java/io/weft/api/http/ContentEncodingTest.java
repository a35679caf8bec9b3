package io.weft.api.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPOutputStream;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

class ContentEncodingTest {
    private static byte[] encoded(ContentEncoding encoding, byte[] body) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = switch (encoding) {
            case IDENTITY -> bytes;
            case GZIP -> new GZIPOutputStream(bytes);
            case DEFLATE -> new DeflaterOutputStream(bytes);
        }) {
            out.write(body);
        }
        return bytes.toByteArray();
    }

    private static byte[] body(Random random) {
        byte[] body = new byte[random.nextInt(100_000)];
        if (random.nextBoolean()) {
            random.nextBytes(body);
        }
        return body;
    }

    private static ContentEncoding compressed(Random random) {
        return random.nextBoolean() ? ContentEncoding.GZIP : ContentEncoding.DEFLATE;
    }

    @Property(tries = 200)
    void aBodyIsWhatWasEncodedUpToItsLimit(@ForAll Random random) throws IOException {
        byte[] body = body(random);
        ContentEncoding encoding = ContentEncoding.values()[random.nextInt(3)];
        byte[] encoded = encoded(encoding, body);

        try (InputStream decoded = encoding.decode(new ByteArrayInputStream(encoded), body.length)) {
            ByteArrayOutputStream read = new ByteArrayOutputStream();
            byte[] part = new byte[1 + random.nextInt(9000)];
            for (int count = decoded.read(part); count >= 0; count = decoded.read(part)) {
                read.write(part, 0, count);
            }
            assertThat(read.toByteArray()).isEqualTo(body);
            assertThat(decoded.read()).isEqualTo(-1);
        }
    }

    /** A few bytes may stand for very many. */
    @Property(tries = 100)
    void noMoreThanTheLimitIsDecoded(@ForAll Random random) throws IOException {
        byte[] encoded = encoded(compressed(random), new byte[1 << 22]);
        int most = random.nextInt(1 << 20);
        ContentEncoding encoding = encoded[0] == 0x1f ? ContentEncoding.GZIP : ContentEncoding.DEFLATE;
        byte[] part = new byte[4096];

        try (InputStream decoded = encoding.decode(new ByteArrayInputStream(encoded), most)) {
            int[] read = {0};
            assertThatThrownBy(() -> {
                        for (int count = decoded.read(part); count >= 0; count = decoded.read(part)) {
                            read[0] += count;
                        }
                    })
                    .isInstanceOf(ApiException.class)
                    .hasMessageContaining("larger than");
            assertThat(read[0]).isLessThanOrEqualTo(most);
        }
    }

    /** Cut off, or with another byte somewhere: what is read is right, or the mistake is the client's. */
    @Property(tries = 300)
    void aBrokenBodyIsTheClientsMistake(@ForAll Random random) throws IOException {
        byte[] body = body(random);
        ContentEncoding encoding = compressed(random);
        byte[] encoded = encoded(encoding, body);
        byte[] broken = Arrays.copyOf(encoded, random.nextInt(encoded.length));
        if (random.nextBoolean()) {
            broken = encoded.clone();
            broken[random.nextInt(broken.length)] ^= (byte) (1 + random.nextInt(255));
        }
        try (InputStream decoded = encoding.decode(new ByteArrayInputStream(broken), Long.MAX_VALUE)) {
            assertThat(decoded.readAllBytes()).isEqualTo(body);
        } catch (ApiException e) {
            assertThat(e).hasMessageMatching("The body is not (gzip|deflate), as Content-Encoding says\\.");
        }
    }

    @Example
    void otherEncodingsAreNotKnown() {
        assertThat(ContentEncoding.of(null)).hasValue(ContentEncoding.IDENTITY);
        assertThat(ContentEncoding.of(" GZip ")).hasValue(ContentEncoding.GZIP);
        for (String header : new String[] {"br", "zstd", "gzip, gzip", "gzip,deflate", "*"}) {
            assertThat(ContentEncoding.of(header)).as(header).isEmpty();
        }
    }
}
