package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Limits of time. */
@QuarkusTest
@TestProfile(ServiceProfile.Hurried.class)
class TimeLimitsTest {
    private static final String PROBE = "GET /q/health/live HTTP/1.1\r\nHost: x\r\n\r\n";

    @TestHTTPResource("/")
    URI root;

    @Inject
    MeterRegistry metrics;

    private final List<RawClient> clients = new ArrayList<>();

    @AfterEach
    void closeAll() throws Exception {
        for (RawClient client : clients) {
            client.close();
        }
        OperationsTest.await(
                "no connections", () -> metrics.get("weft.connections").gauge().value() == 0);
        OperationsTest.await("no memory of bodies", () -> bodyBytes() == 0);
    }

    private RawClient connect() throws Exception {
        RawClient client = new RawClient(root);
        clients.add(client);
        return client;
    }

    private double bodyBytes() {
        return metrics.get("weft.body.memory.used").gauge().value();
    }

    private double closed(String cause) {
        return metrics.counter("weft.connections.closed", "cause", cause).count();
    }

    private static JsonNode error(String answer) {
        return ApiClient.json(answer.substring(answer.indexOf("\r\n\r\n"))).path("error");
    }

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

        OperationsTest.await("it is closed", () -> closed("write") == before + 1);
    }
}
