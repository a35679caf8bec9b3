package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.QuarkusTestProfile;
import io.quarkus.test.junit.TestProfile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** The service, started with the environment of the chart's pod, is what the chart takes it for. */
@QuarkusTest
@TestProfile(DeployedServiceTest.InThePod.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class DeployedServiceTest {
    /** Read by the launcher, not by the service. */
    private static final String JAVA_OPTIONS = "WEFT_JAVA_OPTS";

    private static final Pattern METRIC = Pattern.compile("\\bweft_[a-z0-9_]+");

    private static final Path SCRATCH = temporaryFolder();

    /** Every setting that the chart has, on the CPU. */
    private static final String ALL_SETTINGS = """
            model: {servedName: pod-model}
            cache: {hostBytes: 256Mi, deviceBytes: 512Mi, stagingBytes: 32Mi}
            settings:
              schedule: chunked
              maxSequences: 4
              maxBatchTokens: 256
              maxContextTokens: 512
              queueLimit: 9
              blockTokens: 16
              cellTokens: 64
              chunkTokens: 128
              cpuLinkGbps: 1.5
              cpuThreads: 2
              requestMaxTokens: 24
              requestTemperature: 0
              requestSeed: 7
              scheduling: fair
              logFormat: json
              stepTimeoutSeconds: 600
              maxConnections: 100
              maxStreams: 64
              headerTimeoutSeconds: 600
              bodyTimeoutSeconds: 600
              bodyMemory: 64Mi
              idleTimeoutSeconds: 600
              writeTimeoutSeconds: 600
              page: false
            """;

    @TestHTTPResource
    URI address;

    @ConfigProperty(name = "weft.management-port")
    int managementPort;

    private final HttpClient client = HttpClient.newHttpClient();

    /** Starts the service with the environment of the pod, but for a port and a folder that this machine has free. */
    public static final class InThePod implements QuarkusTestProfile {
        @Override
        public Map<String, String> getConfigOverrides() {
            Map<String, String> environment = environment();
            environment.put("WEFT_MANAGEMENT_PORT", "" + freePort());
            environment.put(
                    "WEFT_PROFILE_DIRECTORY", SCRATCH.resolve("profiles").toString());
            return Map.of(
                    ChartEnvironment.KEY,
                    environment.entrySet().stream()
                            .map(entry -> entry.getKey() + "=" + entry.getValue())
                            .collect(Collectors.joining("\n")));
        }
    }

    private static Map<String, String> environment() {
        Map<String, String> environment = new TreeMap<>();
        new Chart(SCRATCH)
                .render("cpu", ALL_SETTINGS)
                .environment()
                .properties()
                .forEach(entry ->
                        environment.put(entry.getKey(), entry.getValue().asText()));
        return environment;
    }

    @BeforeAll
    void awaitReady() throws Exception {
        while (management("/q/health/ready").statusCode() != 200) {
            Thread.sleep(50);
        }
    }

    @Test
    void everyKeyOfTheChartIsASetting() {
        Set<String> keys = new TreeSet<>(environment().keySet());
        keys.remove(JAVA_OPTIONS);
        keys.add("WEFT_API_KEY");

        assertThat(ChartEnvironment.askedFor()).containsAll(keys);
    }

    @Test
    void aPageThatIsTurnedOffIsNotThere() throws Exception {
        for (String path : new String[] {"/", "/page/app.js"}) {
            HttpResponse<String> response = api(path);

            assertThat(response.statusCode()).as(path).isEqualTo(404);
            assertThat(response.body()).as(path).contains("\"code\":\"not_found\"");
        }
    }

    @Test
    void theLauncherTakesTheOptionsOfTheJvm() throws IOException {
        assertThat(Files.readString(Path.of("weft"))).contains("${" + JAVA_OPTIONS + ":-}");
    }

    @Test
    void everyProbeIsAnsweredOnTheManagementPort() throws Exception {
        JsonNode container = new Chart(SCRATCH).render("cpu").container();
        for (String probe : new String[] {"startupProbe", "readinessProbe", "livenessProbe"}) {
            String path = container.at("/" + probe + "/httpGet/path").asText();

            assertThat(management(path).statusCode()).as(path).isEqualTo(200);
            assertThat(api(path).statusCode()).as("%s of the API's port", path).isEqualTo(404);
        }
    }

    @Test
    void theManagementPortHasNothingElse() throws Exception {
        for (String path :
                new String[] {"/", "/v1/models", "/tokenize", "/q/openapi", "/weft/v1/plan", "/q/health/other"}) {
            assertThat(management(path).statusCode()).as(path).isEqualTo(404);
        }
        HttpRequest post = HttpRequest.newBuilder(managementAddress("/q/metrics"))
                .POST(HttpRequest.BodyPublishers.noBody())
                .build();
        assertThat(client.send(post, HttpResponse.BodyHandlers.discarding()).statusCode())
                .isEqualTo(405);
    }

    @Test
    void theChartsPortIsTheServices() throws IOException {
        Properties properties = new Properties();
        try (var file = Files.newBufferedReader(Path.of("src/main/resources/application.properties"))) {
            properties.load(file);
        }
        JsonNode ports = new Chart(SCRATCH).render("cpu").container().path("ports");

        assertThat(ports.at("/0/name").asText()).isEqualTo("http");
        assertThat(ports.at("/0/containerPort").asText()).isEqualTo(properties.getProperty("quarkus.http.port"));
    }

    @Test
    void helmTestsScriptPasses() throws Exception {
        ProcessBuilder script =
                new ProcessBuilder("sh", Chart.FOLDER.resolve("files/test.sh").toString()).redirectErrorStream(true);
        script.environment().put("WEFT_URL", address.toString().replaceAll("/$", ""));
        Process process = script.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertThat(process.waitFor()).as(output).isZero();
        assertThat(output).contains("ok: model pod-model").contains("then [DONE]");
    }

    @Test
    void helmTestsScriptFailsWhereNothingAnswers() throws Exception {
        ProcessBuilder script =
                new ProcessBuilder("sh", Chart.FOLDER.resolve("files/test.sh").toString()).redirectErrorStream(true);
        script.environment().put("WEFT_URL", "http://localhost:" + freePort());
        Process process = script.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertThat(process.waitFor()).isEqualTo(1);
        assertThat(output).contains("FAILED: ");
    }

    /** Dashboard, alerts, scalers and endpoint picker look at metrics that the service has. */
    @Test
    void everyMetricThatIsLookedAtExists() throws Exception {
        Set<String> wanted = new TreeSet<>();
        for (String values : new String[] {"", "autoscaling: {kind: hpa}"}) {
            METRIC.matcher(new Chart(SCRATCH).render("production", values).toString())
                    .results()
                    .forEach(found -> wanted.add(found.group()));
        }
        String metrics = management("/q/metrics").body();
        Set<String> existing = METRIC.matcher(metrics)
                .results()
                .map(found -> found.group())
                .collect(Collectors.toCollection(TreeSet::new));

        assertThat(wanted).hasSizeGreaterThan(8).isSubsetOf(existing);
        assertThat(metrics)
                .contains("weft_cache_usage_ratio{tier=\"host\",}")
                .contains("weft_request_success_total{finished_reason=\"error\",}");
    }

    @Test
    void theEndpointPickerFindsItsMetricsWhereItLooks() throws Exception {
        HttpResponse<String> metrics = management("/metrics");

        assertThat(metrics.statusCode()).isEqualTo(200);
        assertThat(api("/metrics").statusCode()).isEqualTo(404);
        assertThat(metrics.body())
                .contains("\nweft_num_requests_waiting ")
                .contains("weft_cache_usage_ratio{tier=\"host\"");
    }

    private HttpResponse<String> management(String path) throws Exception {
        return get(managementAddress(path));
    }

    private HttpResponse<String> api(String path) throws Exception {
        return get(address.resolve(path));
    }

    private URI managementAddress(String path) {
        return URI.create("http://localhost:" + managementPort + path);
    }

    private HttpResponse<String> get(URI uri) throws Exception {
        return client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path temporaryFolder() {
        try {
            Path folder = Files.createTempDirectory("weft-deployed-");
            folder.toFile().deleteOnExit();
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
