package io.weft.api;

import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpResponse.BodyHandlers;
import org.junit.jupiter.api.Test;

@QuarkusTest
class TryTest {
    @TestHTTPResource("/")
    URI root;

    HttpClient http = HttpClient.newHttpClient();

    void post(String path, String body, String... headers) throws Exception {
        var b = HttpRequest.newBuilder(root.resolve(path))
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .header("Content-Type", "application/json");
        if (headers.length > 0) b.headers(headers);
        var r = http.send(b.build(), BodyHandlers.ofString());
        System.out.println("=== POST " + path + " " + (body.length() > 300 ? body.substring(0, 300) : body) + "\n"
                + r.statusCode() + " " + r.headers().map() + "\n" + r.body());
    }

    void get(String path) throws Exception {
        var r = http.send(
                HttpRequest.newBuilder(URI.create(root.toString().replaceAll("/$", "") + path))
                        .build(),
                BodyHandlers.ofString());
        System.out.println(
                "=== GET " + path + "\n" + r.statusCode() + " " + r.headers().map() + "\n"
                        + (r.body().length() > 3000
                                ? r.body()
                                        .lines()
                                        .filter(l -> l.contains("weft"))
                                        .limit(20)
                                        .toList()
                                : r.body()));
    }

    @Test
    void tryAll() throws Exception {
        for (String p : new String[] {
            "/v1/models",
            "/v1//models",
            "/v1/models/test-model",
            "/v1/models/a/b",
            "/nope",
            "/v1/nope",
            "/health",
            "/q/health/live",
            "/q/health/started",
            "/q/health/ready",
            "//health",
            "/v1/completions"
        }) get(p);
        post("/v1/completions", "{\"prompt\":\"The king\",\"max_tokens\":4,\"ignore_eos\":true}");
        post(
                "/v1/completions",
                "{\"prompt\":\"The king\",\"max_tokens\":4,\"ignore_eos\":true,\"stream\":true}",
                "x-request-id",
                "abc");
        post(
                "/v1/completions",
                "{\"prompt\":[5,6,7],\"max_tokens\":3,\"ignore_eos\":true,\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true},\"logprobs\":2,\"echo\":true,\"n\":2,\"return_token_ids\":true}");
        post(
                "/v1/completions",
                "{\"prompt\":[5,6,7],\"max_tokens\":3,\"ignore_eos\":true,\"logprobs\":2,\"echo\":true,\"n\":2,\"return_token_ids\":true,\"prompt_logprobs\":1}");
        post(
                "/v1/chat/completions",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Once\"}],\"max_tokens\":3,\"ignore_eos\":true,\"stream\":true}");
        post("/tokenize", "{\"prompt\":\"The king\",\"return_token_strs\":true}");
        post("/detokenize", "{\"tokens\":[5,6,7]}");
        for (String b : new String[] {
            "",
            "null",
            "{",
            "[]",
            "5",
            "{}",
            "{\"prompt\":\"\"}",
            "{\"prompt\":5}",
            "{\"prompt\":[]}",
            "{\"prompt\":[\"a\",1]}",
            "{\"prompt\":[99999]}",
            "{\"prompt\":[99999999999]}",
            "{\"prompt\":\"a\",\"max_tokens\":-1}",
            "{\"prompt\":\"a\",\"max_tokens\":\"5\"}",
            "{\"prompt\":\"a\",\"max_tokens\":99999999999}",
            "{\"prompt\":\"a\",\"max_tokens\":1e400}",
            "{\"prompt\":\"a\",\"max_tokens\":5000}",
            "{\"prompt\":\"a\",\"temperature\":3}",
            "{\"prompt\":\"a\",\"temperature\":{}}",
            "{\"prompt\":\"a\",\"stop\":[\"a\",\"\"]}",
            "{\"prompt\":\"a\",\"stop\":[1]}",
            "{\"prompt\":\"a\",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}",
            "{\"prompt\":\"a\",\"logit_bias\":{\"x\":1}}",
            "{\"prompt\":\"a\",\"logit_bias\":{\"1\":101}}",
            "{\"prompt\":\"a\",\"logit_bias\":{\"-1\":1}}",
            "{\"prompt\":\"a\",\"logit_bias\":{\"1\":null}}",
            "{\"prompt\":\"a\",\"model\":\"gpt\"}",
            "{\"prompt\":\"a\",\"model\":5}",
            "{\"prompt\":\"a\",\"n\":17}",
            "{\"prompt\":\"a\",\"stream\":\"yes\"}",
            "{\"prompt\":\"a\"} x",
            "{\"prompt\":\"a\",\"temperature\":NaN}",
            "{\"prompt\":\"a\",\"temperature\":3,\"top_p\":0}"
        }) post("/v1/completions", b);
        post("/v1/completions", "{\"prompt\":\"" + "a".repeat(2 << 20) + "\"}");
        post("/v1/completions", "<a/>", "content-type", "text/xml");
        get("/metrics");
    }
}
