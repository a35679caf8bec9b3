package io.weft.api.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.buffer.Buffer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

class BodyTest {
    private static final int MEMORY = 1 << 20;

    private static BodyMemory memory() {
        Duration time = Duration.ofSeconds(1);
        return new BodyMemory(
                new ServerLimits(OptionalInt.empty(), 1, time, time, OptionalLong.of(MEMORY), 1, time, 1, time),
                new SimpleMeterRegistry());
    }

    /** Whatever the sizes of chunks and of reads, the bytes are the same, and no memory stays. */
    @Property(tries = 200)
    void isReadAsItCame(@ForAll Random random) throws IOException {
        BodyMemory memory = memory();
        Body body = new Body(memory, ContentEncoding.IDENTITY, Long.MAX_VALUE);
        ByteArrayOutputStream sent = new ByteArrayOutputStream();
        for (int chunks = random.nextInt(40); chunks > 0; chunks--) {
            byte[] chunk = new byte[random.nextBoolean() ? random.nextInt(4) : random.nextInt(20_000)];
            random.nextBytes(chunk);
            sent.writeBytes(chunk);
            assertThat(body.add(Buffer.buffer(chunk))).isTrue();
        }
        assertThat(body.bytes()).isEqualTo(sent.size());
        assertThat(memory.usedBytes()).isBetween((long) sent.size(), 2L * sent.size() + 4096);

        ByteArrayOutputStream read = new ByteArrayOutputStream();
        InputStream stream = body.stream();
        byte[] part = new byte[1 + random.nextInt(9000)];
        for (int count = stream.read(part); count >= 0; count = stream.read(part)) {
            read.write(part, 0, count);
        }
        assertThat(read.toByteArray()).isEqualTo(sent.toByteArray());
        assertThat(stream.read()).isEqualTo(-1);
        assertThat(memory.usedBytes()).isZero();
        body.close();
        assertThat(memory.usedBytes()).isZero();
    }

    /** Who comes while there is no memory is refused, and the others have what they have. */
    @Property(tries = 50)
    void memoryIsSharedByAll(@ForAll Random random) {
        BodyMemory memory = memory();
        Body[] bodies = new Body[8];
        for (int i = 0; i < bodies.length; i++) {
            bodies[i] = new Body(memory, ContentEncoding.IDENTITY, Long.MAX_VALUE);
        }
        boolean refused = false;
        while (!refused) {
            refused = !bodies[random.nextInt(bodies.length)].add(Buffer.buffer(new byte[random.nextInt(30_000)]));
            assertThat(memory.usedBytes()).isLessThanOrEqualTo(MEMORY);
        }
        for (Body body : bodies) {
            body.close();
        }
        assertThat(memory.usedBytes()).isZero();
    }
}
