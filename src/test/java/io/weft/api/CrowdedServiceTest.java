package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import org.junit.jupiter.api.Test;

/** Limits of connections and memory: who is too many is told so, and probes are not. */
@QuarkusTest
@TestProfile(ServiceProfile.Crowded.class)
class CrowdedServiceTest extends ConnectionsFixture {
    private static final String PROBE = "GET /q/health/live HTTP/1.1\r\nHost: x\r\n\r\n";

    private static final int RESERVED = 32;

    @Test
    void moreBodiesThanThereIsMemoryFor() throws Exception {
        RawClient first = connect();
        first.send(RawClient.halfSent(900_000) + "a".repeat(700_000));
        OperationsTest.await("the first is there", () -> bodyBytes() > 700_000);
        RawClient second = connect();
        second.send(RawClient.halfSent(900_000) + "a".repeat(700_000));
        String answer = second.readAnswer();

        assertThat(answer).startsWith("HTTP/1.1 503").containsIgnoringCase("retry-after: 1");
        assertThat(error(answer).path("code").textValue()).isEqualTo("too_many_bodies");
    }

    @Test
    void idleConnectionsMakeRoom() throws Exception {
        double before = closed("crowded");
        int idle = 3 * ServiceProfile.Crowded.CONNECTIONS;
        for (int i = 0; i < idle; i++) {
            connect();
        }
        // Else one of them may be taken after the probe's, which has sent nothing yet then.
        OperationsTest.await("all were taken", () -> open() + closed("crowded") - before, idle);
        RawClient probe = connect();
        probe.send(PROBE);

        assertThat(probe.readAnswer()).startsWith("HTTP/1.1 200");
        // Of those that come at once some more are let in than may have requests.
        assertThat(closed("crowded") - before)
                .isGreaterThanOrEqualTo(2 * ServiceProfile.Crowded.CONNECTIONS + 1 - RESERVED);
    }

    /** Those with a request stay; a probe is let in, another request is not. */
    @Test
    void busyConnectionsLeaveRoomForProbes() throws Exception {
        for (int i = 0; i < ServiceProfile.Crowded.CONNECTIONS; i++) {
            connect().send(RawClient.halfSent(1000));
        }
        OperationsTest.await("all have requests", () -> bodyBytes() >= ServiceProfile.Crowded.CONNECTIONS * 4096);
        // One after the other: a connection that has sent nothing yet makes room for the next one.
        RawClient request = connect();
        request.send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
        String refused = request.readAnswer();
        request.close();
        RawClient probe = connect();
        probe.send(PROBE);

        assertThat(probe.readAnswer()).startsWith("HTTP/1.1 200");
        assertThat(refused).startsWith("HTTP/1.1 503").containsIgnoringCase("retry-after: 1");
        assertThat(error(refused).path("code").textValue()).isEqualTo("too_many_connections");
    }
}
