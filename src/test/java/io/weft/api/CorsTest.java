package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What browsers ask before they let a page use the API. The JDK's client does not send such headers. */
@QuarkusTest
@TestProfile(ServiceProfile.Keyed.class)
class CorsTest {
    @TestHTTPResource("/")
    URI root;

    private String answer(String method, String path, String... headers) throws IOException {
        try (Socket socket = new Socket(root.getHost(), root.getPort())) {
            StringBuilder head = new StringBuilder(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n");
            for (String header : headers) {
                head.append(header).append("\r\n");
            }
            socket.getOutputStream()
                    .write((head + "Content-Length: 0\r\nConnection: close\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            InputStream in = socket.getInputStream();
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII).toLowerCase(java.util.Locale.ROOT);
        }
    }

    /** It has no key, as browsers send none. */
    @ParameterizedTest
    @CsvSource({"POST, /v1/completions", "GET, /v1/models", "POST, /tokenize", "GET, /weft/v1/status"})
    void aPreflightIsAnsweredBeforeAnyKeyIsAskedFor(String method, String path) throws IOException {
        String answer = answer(
                "OPTIONS",
                path,
                "Origin: https://app.example.com",
                "Access-Control-Request-Method: " + method,
                "Access-Control-Request-Headers: authorization,x-stainless-os");

        assertThat(answer)
                .startsWith("http/1.1 204")
                .contains("access-control-allow-origin: https://app.example.com\r\n")
                .contains("access-control-allow-methods: get, post, options\r\n")
                .contains("access-control-allow-headers: authorization,x-stainless-os\r\n")
                .contains("vary: origin\r\n");
    }

    @ParameterizedTest
    @CsvSource({
        "https://app.example.com, GET, /v1/models, 401",
        "http://localhost:3000, GET, /health, 200",
        "http://localhost:3000, POST, /v1/completions, 401"
    })
    void answersAndErrorsMayBeRead(String origin, String method, String path, int status) throws IOException {
        assertThat(answer(method, path, "Origin: " + origin))
                .startsWith("http/1.1 " + status)
                .contains("access-control-allow-origin: " + origin + "\r\n")
                .contains("access-control-expose-headers: x-request-id, retry-after\r\n");
    }

    @ParameterizedTest
    @CsvSource({
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.com",
        "null"
    })
    void otherOriginsAreToldNothing(String origin) throws IOException {
        String preflight = answer("OPTIONS", "/v1/models", "Origin: " + origin, "Access-Control-Request-Method: GET");
        assertThat(preflight)
                .startsWith("http/1.1 4")
                .doesNotContain("access-control")
                .contains("vary: origin");
        assertThat(answer("GET", "/health", "Origin: " + origin))
                .startsWith("http/1.1 200")
                .doesNotContain("access-control");
    }
}
