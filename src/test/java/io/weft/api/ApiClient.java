package io.weft.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Talks to the API as clients do: bytes, no helpers of the server's side. */
record ApiClient(URI root, HttpClient http) {
    static final ObjectMapper JSON = new ObjectMapper();

    ApiClient(URI root) {
        this(root, HttpClient.newHttpClient());
    }

    private HttpRequest.Builder request(String path, String... headers) {
        String base = root.toString().replaceAll("/$", "");
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path));
        return headers.length == 0 ? request : request.headers(headers);
    }

    HttpResponse<String> get(String path, String... headers) throws IOException, InterruptedException {
        return http.send(request(path, headers).build(), BodyHandlers.ofString());
    }

    HttpResponse<String> delete(String path, String... headers) throws IOException, InterruptedException {
        return http.send(request(path, headers).DELETE().build(), BodyHandlers.ofString());
    }

    private HttpRequest posting(String path, String body, String... headers) {
        HttpRequest.Builder request = request(path, headers).POST(BodyPublishers.ofString(body));
        boolean typed = Arrays.stream(headers).anyMatch("Content-Type"::equalsIgnoreCase);
        return typed
                ? request.build()
                : request.header("Content-Type", "application/json").build();
    }

    HttpResponse<String> post(String path, String body, String... headers) throws IOException, InterruptedException {
        return http.send(posting(path, body, headers), BodyHandlers.ofString());
    }

    HttpResponse<String> postBytes(String path, byte[] body, String... headers)
            throws IOException, InterruptedException {
        return http.send(
                request(path, headers)
                        .header("Content-Type", "application/json")
                        .POST(BodyPublishers.ofByteArray(body))
                        .build(),
                BodyHandlers.ofString());
    }

    CompletableFuture<HttpResponse<String>> postAsync(String path, String body, String... headers) {
        // A thread that joins it cannot be interrupted.
        return http.sendAsync(posting(path, body, headers), BodyHandlers.ofString())
                .orTimeout(OperationsTest.HANG.toSeconds(), TimeUnit.SECONDS);
    }

    /** The answer to a request that must succeed. */
    JsonNode answer(String path, String body) throws IOException, InterruptedException {
        HttpResponse<String> response = post(path, body);
        if (response.statusCode() != 200) {
            throw new AssertionError(response.statusCode() + " " + response.body());
        }
        return JSON.readTree(response.body());
    }

    /** The objects of a stream whose frames are named by their types, and which has no end of its own. */
    static List<JsonNode> namedEvents(String stream) {
        if (!stream.endsWith("\n\n")) {
            throw new AssertionError("no end: " + stream);
        }
        return Arrays.stream(stream.substring(0, stream.length() - 2).split("\n\n", -1))
                .map(ApiClient::namedEvent)
                .toList();
    }

    private static JsonNode namedEvent(String frame) {
        String[] lines = frame.split("\n", -1);
        if (lines.length == 2 && lines[1].startsWith("data: ")) {
            JsonNode data = json(lines[1].substring("data: ".length()));
            if (lines[0].equals("event: " + data.path("type").textValue())) {
                return data;
            }
        }
        throw new AssertionError("no named event: " + frame);
    }

    /** The objects of a stream, which must end as streams do. */
    static List<JsonNode> chunks(String stream) {
        if (!stream.endsWith("\n\ndata: [DONE]\n\n")) {
            throw new AssertionError("no end: " + stream);
        }
        return Arrays.stream(stream.split("\n\n"))
                .filter(frame -> !frame.equals("data: [DONE]"))
                .map(frame -> json(frame.substring("data: ".length())))
                .toList();
    }

    /** The engine's own check in a health response; there may be other checks next to it. */
    static JsonNode engineHealth(String body) {
        for (JsonNode check : json(body).path("checks")) {
            if (check.path("name").asText().equals("engine")) {
                return check.path("data");
            }
        }
        throw new AssertionError("no check of the engine in " + body);
    }

    static JsonNode json(String text) {
        try {
            return JSON.readTree(text);
        } catch (JsonProcessingException e) {
            throw new AssertionError("no JSON: " + text, e);
        }
    }

    /** The text of a choice of a streamed completion. */
    static String streamedText(List<JsonNode> chunks, int choice) {
        return chunks.stream()
                .flatMap(chunk -> chunk.path("choices").valueStream())
                .filter(part -> part.path("index").intValue() == choice)
                .map(part -> part.path("text").asText())
                .collect(Collectors.joining());
    }
}
