package io.weft;

import static io.restassured.RestAssured.given;

import io.quarkus.test.junit.QuarkusTest;
import org.junit.jupiter.api.Test;

/** The application starts, and its non-application endpoints lie under {@code /q}. */
@QuarkusTest
class ApplicationStartTest {

    @Test
    void openApiDocumentIsServedUnderQ() {
        given().accept("application/json").when().get("/q/openapi").then().statusCode(200);
    }

    @Test
    void healthEndpointAnswersUnderQ() {
        given().when().get("/q/health").then().statusCode(200);
    }
}
