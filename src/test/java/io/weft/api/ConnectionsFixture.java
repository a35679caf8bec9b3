package io.weft.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import jakarta.inject.Inject;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;

/** Connections of a test of limits, all of which end with it and leave nothing. */
abstract class ConnectionsFixture {
    @TestHTTPResource("/")
    URI root;

    @Inject
    MeterRegistry metrics;

    final List<RawClient> clients = new ArrayList<>();

    @AfterEach
    void closeAll() throws Exception {
        for (RawClient client : clients) {
            client.close();
        }
        OperationsTest.await("no connections", this::open, 0);
        OperationsTest.await("no memory of bodies", this::bodyBytes, 0);
    }

    RawClient connect() throws Exception {
        RawClient client = new RawClient(root);
        clients.add(client);
        return client;
    }

    double open() {
        return metrics.get("weft.connections").gauge().value();
    }

    double bodyBytes() {
        return metrics.get("weft.body.memory.used").gauge().value();
    }

    double closed(String cause) {
        return metrics.counter("weft.connections.closed", "cause", cause).count();
    }

    static JsonNode error(String answer) {
        return ApiClient.json(answer.substring(answer.indexOf("\r\n\r\n"))).path("error");
    }
}
