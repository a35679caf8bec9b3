package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script of the chart's download Job, against a server that has what the Job asks for. */
class DownloadScriptTest {
    private static final String PREFIX = "/team/model/resolve/" + "ab".repeat(20) + "/";

    @TempDir
    Path folder;

    private HttpServer server;
    private final Map<String, byte[]> files = new HashMap<>();
    private final List<String> requests = Collections.synchronizedList(new ArrayList<>());
    private final List<String> keys = Collections.synchronizedList(new ArrayList<>());

    private record Outcome(int status, String output) {}

    @BeforeEach
    void startServer() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            String path = exchange.getRequestURI().getPath();
            requests.add(path);
            keys.add("" + exchange.getRequestHeaders().getFirst("Authorization"));
            byte[] body = path.startsWith(PREFIX) ? files.get(path.substring(PREFIX.length())) : null;
            exchange.sendResponseHeaders(body == null ? 404 : 200, body == null ? -1 : body.length);
            if (body != null) {
                exchange.getResponseBody().write(body);
            }
            exchange.close();
        });
        server.start();
    }

    @AfterEach
    void stopServer() {
        server.stop(0);
    }

    @Test
    void everyFileArrivesWhole() throws Exception {
        files.put("config.json", "{}".getBytes(StandardCharsets.UTF_8));
        files.put("sub/model.safetensors", new byte[100_000]);

        Outcome outcome = download(Map.of("TOKEN", "secret"));

        assertThat(outcome.status()).as(outcome.output()).isZero();
        assertThat(model("config.json")).hasContent("{}");
        assertThat(model("sub/model.safetensors")).hasSize(100_000);
        assertThat(model(".complete")).exists();
        assertThat(keys).containsOnly("Bearer secret");
        assertThat(outcome.output()).doesNotContain("secret");
    }

    @Test
    void withoutATokenNoneIsSent() throws Exception {
        files.put("config.json", new byte[] {1});

        assertThat(download(Map.of()).status()).isZero();
        assertThat(keys).containsOnly("null");
    }

    @Test
    void whatIsThereIsNotFetchedAgain() throws Exception {
        files.put("a", new byte[] {1});
        files.put("b", new byte[] {2});
        download(Map.of());
        Files.delete(model("b"));
        requests.clear();

        assertThat(download(Map.of()).status()).isZero();
        assertThat(requests).containsExactly(PREFIX + "b");
    }

    @Test
    void aFileThatIsAnotherIsRefused() throws Exception {
        files.put("config.json", new byte[] {1});
        writeList();
        files.put("config.json", new byte[] {2});

        Outcome outcome = run(Map.of());

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.output()).contains("config.json is not the file with SHA-256");
        assertThat(model(".complete")).doesNotExist();
        assertThat(model("config.json")).doesNotExist();
        assertThat(model("config.json.part")).doesNotExist();
    }

    @Test
    void aFileThatIsMissingIsNamed() throws Exception {
        files.put("config.json", new byte[] {1});
        writeList();
        files.clear();

        Outcome outcome = run(Map.of());

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.output()).contains(PREFIX + "config.json cannot be fetched");
    }

    @Test
    void thePodWaitsUntilAllIsThere() throws Exception {
        Process waiting = script("wait.sh", Map.of()).start();
        assertThat(waiting.isAlive()).isTrue();
        files.put("config.json", new byte[] {1});
        download(Map.of());

        String output = new String(waiting.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(waiting.waitFor()).as(output).isZero();
        assertThat(output).contains("complete: ");
    }

    private Path model(String name) {
        return folder.resolve("models/team--model").resolve(name);
    }

    private Outcome download(Map<String, String> environment) throws Exception {
        writeList();
        return run(environment);
    }

    private void writeList() throws Exception {
        List<String> lines = new ArrayList<>();
        for (Map.Entry<String, byte[]> file : files.entrySet()) {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(file.getValue());
            lines.add(HexFormat.of().formatHex(sum) + "  " + file.getKey());
        }
        Files.write(folder.resolve("files.sha256"), lines);
    }

    private Outcome run(Map<String, String> environment) throws Exception {
        Process process = script("download.sh", environment).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Outcome(process.waitFor(), output);
    }

    private ProcessBuilder script(String name, Map<String, String> environment) {
        ProcessBuilder builder = new ProcessBuilder(
                        "sh", Chart.FOLDER.resolve("files").resolve(name).toString())
                .redirectErrorStream(true);
        builder.environment()
                .putAll(Map.of(
                        "ENDPOINT", "http://localhost:" + server.getAddress().getPort(),
                        "REPOSITORY", "team/model",
                        "REVISION", "ab".repeat(20),
                        "MODEL", folder.resolve("models/team--model").toString(),
                        "LIST", folder.resolve("files.sha256").toString()));
        builder.environment().putAll(environment);
        return builder;
    }
}
