package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import org.junit.jupiter.api.Test;

/** Limits of time. */
@QuarkusTest
@TestProfile(ServiceProfile.Hurried.class)
class TimeLimitsTest extends ConnectionsFixture {
    private static final String PROBE = "GET /q/health/live HTTP/1.1\r\nHost: x\r\n\r\n";

    @Test
    void aBodyThatTakesTooLong() throws Exception {
        RawClient client = connect();
        client.send(RawClient.halfSent(1000));
        String answer = client.readAnswer();

        assertThat(answer).startsWith("HTTP/1.1 408");
        assertThat(error(answer).path("code").textValue()).isEqualTo("body_timeout");
        assertThat(error(answer).path("message").textValue()).isEqualTo("The body did not arrive within 2 s.");
    }

    @Test
    void aHeadThatTakesTooLong() throws Exception {
        double before = closed("header");
        RawClient client = connect();
        client.send("GET /v1/models HTTP/1.1\r\nHost: x\r\nX-");

        assertThat(client.readToEnd()).isEmpty();
        assertThat(closed("header")).isEqualTo(before + 1);
    }

    @Test
    void aConnectionThatIsIdle() throws Exception {
        double before = closed("idle");
        RawClient silent = connect();
        RawClient done = connect();
        done.send(PROBE);

        assertThat(done.readAnswer()).startsWith("HTTP/1.1 200");
        assertThat(silent.readToEnd()).isEmpty();
        assertThat(done.readToEnd()).isEmpty();
        assertThat(closed("idle")).isEqualTo(before + 2);
    }

    /** Its answers are more than the buffers of both sides hold. */
    @Test
    void aClientThatDoesNotRead() throws Exception {
        double before = closed("write");
        RawClient client = new RawClient(root, 1 << 12);
        clients.add(client);
        String request = "GET /q/openapi HTTP/1.1\r\nHost: x\r\n\r\n";
        try {
            for (int i = 0; i < 2000; i++) {
                client.send(request);
            }
        } catch (java.net.SocketException closed) {
            // By the server, before all was sent.
        }

        OperationsTest.await("it is closed", () -> closed("write"), before + 1);
    }
}
