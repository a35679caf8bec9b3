package io.weft.api;

import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.engine.EngineStatus;
import jakarta.inject.Inject;
import java.net.URI;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The vendors' own clients, as npm has them, with nothing but their base URL changed. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ClientsTest {
    @TestHTTPResource("/")
    URI root;

    @Inject
    TestService service;

    @Inject
    MeterRegistry metrics;

    private NodeScripts scripts;

    @BeforeAll
    void install() throws Exception {
        scripts = NodeScripts.install();
    }

    @AfterEach
    void letStepsRun() {
        service.letStepsRun();
    }

    @ParameterizedTest
    @ValueSource(strings = {"openai", "openai-tools", "openai-responses"})
    void theClientOfOpenAiFindsWhatItExpects(String script) throws Exception {
        scripts.run(root, script);
    }

    @Test
    void theClientOfAnthropicFindsWhatItExpects() throws Exception {
        scripts.run(root, "anthropic");
    }

    @ParameterizedTest
    @ValueSource(strings = {"compatible", "chat", "responses"})
    void theAiSdkFindsWhatItExpects(String provider) throws Exception {
        scripts.run(root, "ai-sdk", provider);
    }

    @Test
    void abortedRequestsEnd() throws Exception {
        double aborted = aborted();
        service.holdStepsAfter(8);
        scripts.run(root, "openai-abort");
        OperationsTest.await("both requests have ended", this::aborted, aborted + 2);
        service.letStepsRun();

        OperationsTest.await("nothing runs", this::running, 0);
    }

    private double aborted() {
        return metrics.counter("weft.request.success", "finished_reason", "abort")
                .count();
    }

    private int running() {
        return service.batchingEngine().status() instanceof EngineStatus.Serving serving ? serving.running() : 0;
    }
}
