package io.weft;

import static io.restassured.RestAssured.given;

import io.quarkus.test.junit.QuarkusTest;
import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import jakarta.inject.Inject;
import org.junit.jupiter.api.Test;

/** The application starts, and its non-application endpoints lie under {@code /q}. */
@QuarkusTest
class ApplicationStartTest {
    @Inject
    Engine engine;

    @Test
    void openApiDocumentIsServedUnderQ() {
        given().accept("application/json").when().get("/q/openapi").then().statusCode(200);
    }

    /** Until the model is loaded and the machine measured, it answers 503. */
    @Test
    void healthEndpointAnswersUnderQ() throws InterruptedException {
        while (engine.status() instanceof EngineStatus.Starting) {
            Thread.sleep(10);
        }
        given().when().get("/q/health").then().statusCode(200);
    }
}
