package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What the chart promises about the objects that it renders. */
class ChartTest {
    @TempDir
    Path scratch;

    static Stream<String> valueSets() {
        return Chart.VALUE_SETS.stream();
    }

    private Manifests render(String set, String values) {
        return new Chart(scratch).render(set, values);
    }

    private Manifests render(String set) {
        return new Chart(scratch).render(set);
    }

    @Test
    void theThreeProbesAskDifferentQuestions() {
        JsonNode container = render("default").container();

        assertThat(container.at("/startupProbe/httpGet/path").asText()).isEqualTo("/q/health/started");
        assertThat(container.at("/readinessProbe/httpGet/path").asText()).isEqualTo("/q/health/ready");
        assertThat(container.at("/livenessProbe/httpGet/path").asText()).isEqualTo("/q/health/live");
        assertThat(container.at("/startupProbe/periodSeconds").asInt()
                        * container.at("/startupProbe/failureThreshold").asInt())
                .as("seconds that a large model may load")
                .isEqualTo(1800);
        for (String probe : List.of("startupProbe", "readinessProbe", "livenessProbe")) {
            assertThat(portNames(container))
                    .contains(container.at("/" + probe + "/httpGet/port").asText());
        }
    }

    @ParameterizedTest
    @MethodSource("valueSets")
    void thePodOutlivesItsDrain(String set) {
        Manifests objects = render(set);

        int drain = seconds(objects.environment().at("/WEFT_DRAIN_TIMEOUT").asText());
        int preStop = objects.container().at("/lifecycle/preStop/sleep/seconds").asInt();
        assertThat(objects.pod().at("/spec/terminationGracePeriodSeconds").asInt())
                .isGreaterThan(drain + preStop);
        assertThat(preStop).isPositive();
    }

    @Test
    void anOldClusterSleepsInAShell() {
        Manifests objects = new Chart(scratch).render("default", "", "1.29.3");

        assertThat(objects.container().at("/lifecycle/preStop/exec/command"))
                .extracting(JsonNode::asText)
                .containsExactly("sleep", "5");
    }

    @ParameterizedTest
    @CsvSource({"16Gi, 19200Mi", "512Mi, 3328Mi", "1Ti, 1051392Mi"})
    void theHostCacheDrivesSettingAndMemory(String hostBytes, String memory) {
        Manifests objects = render("default", "cache: {hostBytes: " + hostBytes + "}");

        assertThat(objects.environment().at("/WEFT_HOST_MEMORY").asText()).isEqualTo(hostBytes);
        assertThat(objects.container().at("/resources/limits/memory").asText()).isEqualTo(memory);
    }

    @Test
    void deviceMemoryIsPartOfThePodOnlyOnTheCpu() {
        String values = "cache: {hostBytes: 1Gi, deviceBytes: 2Gi}";

        assertThat(render("default", values)
                        .container()
                        .at("/resources/limits/memory")
                        .asText())
                .isEqualTo("3840Mi");
        assertThat(render("default", "device: cpu\n" + values)
                        .container()
                        .at("/resources/limits/memory")
                        .asText())
                .isEqualTo("5888Mi");
    }

    @ParameterizedTest
    @MethodSource("valueSets")
    void thePodIsGuaranteed(String set) {
        JsonNode pod = render(set).pod().at("/spec");

        for (String containers : List.of("containers", "initContainers")) {
            for (JsonNode container : pod.path(containers)) {
                assertThat(container.at("/resources/limits")).isEqualTo(container.at("/resources/requests"));
                assertThat(container.at("/resources/limits/cpu").asText()).isNotEmpty();
                assertThat(container.at("/resources/limits/memory").asText()).isNotEmpty();
            }
        }
    }

    @Test
    void theHeapIsTheOneThatWasCountedIn() {
        Manifests objects = render("default", "{memory: {heap: 3Gi, direct: 128Mi}, javaOptions: ['-Xlog:gc']}");

        assertThat(objects.environment().at("/WEFT_JAVA_OPTS").asText())
                .isEqualTo("-Xms3072m -Xmx3072m -XX:MaxDirectMemorySize=128m -Xlog:gc");
    }

    @Test
    void pinnedMemoryMayBeHelped() {
        JsonNode container = render("default", "{cache: {ipcLock: true}, memory: {hugepages2Mi: 16Gi}}")
                .container();

        assertThat(container.at("/securityContext/capabilities/add"))
                .extracting(JsonNode::asText)
                .containsExactly("IPC_LOCK");
        assertThat(container.at("/resources/limits/hugepages-2Mi").asText()).isEqualTo("16Gi");
        assertThat(render("default")
                        .container()
                        .at("/securityContext/capabilities/add")
                        .isMissingNode())
                .isTrue();
    }

    @Test
    void aGpuIsAskedForOnCudaAlone() {
        Manifests cuda = render("default", "gpu: {resourceName: nvidia.com/mig-3g.40gb, runtimeClassName: nvidia}");
        Manifests cpu = render("cpu", "gpu: {runtimeClassName: nvidia}");

        assertThat(cuda.container()
                        .at("/resources/limits")
                        .path("nvidia.com/mig-3g.40gb")
                        .asText())
                .isEqualTo("1");
        assertThat(cuda.pod().at("/spec/runtimeClassName").asText()).isEqualTo("nvidia");
        assertThat(cuda.pod().at("/spec/tolerations/0/key").asText()).isEqualTo("nvidia.com/gpu");
        assertThat(cpu.pod().toString()).doesNotContain("nvidia");
        assertThat(cpu.environment().at("/WEFT_DEVICE").asText()).isEqualTo("cpu");
    }

    @ParameterizedTest
    @CsvSource({
        "existingClaim, 'existingClaim: models', /persistentVolumeClaim/claimName, models",
        "pvc, '', /persistentVolumeClaim/claimName, weft-model",
        "hostPath, 'hostPath: /srv/models', /hostPath/path, /srv/models"
    })
    void theModelIsMountedReadOnly(String source, String more, String pointer, String expected) {
        Manifests objects = render(
                "default", "model:\n  source: " + source + "\n  path: opt\n" + (more.isEmpty() ? "" : "  " + more));

        assertThat(volume(objects.pod(), "model").at(pointer).asText()).isEqualTo(expected);
        JsonNode mount = mount(objects.container(), "model");
        assertThat(mount.at("/readOnly").asBoolean()).isTrue();
        assertThat(objects.environment().at("/WEFT_MODEL").asText())
                .isEqualTo(mount.at("/mountPath").asText() + "/opt");
        assertThat(objects.has("PersistentVolumeClaim/weft-model")).isEqualTo(source.equals("pvc"));
    }

    @Test
    void aDownloadIsNamedByWhatItFetches() {
        String values = """
                model:
                  source: download
                  download:
                    repository: facebook/opt-125m
                    revision: %s
                    files: [{path: config.json, sha256: %s}]
                    tokenSecret: hub
                """;
        Manifests one = render("default", values.formatted("ab".repeat(20), "cd".repeat(32)));
        Manifests other = render("default", values.formatted("ba".repeat(20), "cd".repeat(32)));
        ObjectNode job = one.ofKind("Job").getFirst();

        assertThat(job.at("/metadata/name"))
                .isNotEqualTo(other.ofKind("Job").getFirst().at("/metadata/name"));
        assertThat(one.environment().at("/WEFT_MODEL").asText())
                .isEqualTo("/models/facebook--opt-125m/abababababab")
                .isEqualTo(environment(job.at("/spec/template/spec/containers/0"), "MODEL")
                        .at("/value")
                        .asText())
                .isEqualTo(environment(one.pod().at("/spec/initContainers/0"), "MODEL")
                        .at("/value")
                        .asText());
        assertThat(environment(job.at("/spec/template/spec/containers/0"), "TOKEN")
                        .at("/valueFrom/secretKeyRef/name")
                        .asText())
                .isEqualTo("hub");
        assertThat(one.get("ConfigMap/weft-download").at("/data/files.sha256").asText())
                .isEqualTo("cd".repeat(32) + "  config.json\n");
        assertThat(one.get("PersistentVolumeClaim/weft-model")
                        .at("/metadata/annotations")
                        .path("helm.sh/resource-policy")
                        .asText())
                .as("removing a release keeps the model")
                .isEqualTo("keep");
    }

    @Test
    void aSecondPodWaitsForNoSpareGpu() {
        assertThat(render("default")
                        .get("Deployment/weft")
                        .at("/spec/strategy/type")
                        .asText())
                .isEqualTo("Recreate");
        JsonNode several = render("default", "replicaCount: 3").get("Deployment/weft");
        assertThat(several.at("/spec/strategy/rollingUpdate/maxSurge").asInt(-1))
                .isZero();
        assertThat(several.at("/spec/template/spec/topologySpreadConstraints/0/topologyKey")
                        .asText())
                .isEqualTo("kubernetes.io/hostname");
        assertThat(render("default")
                        .get("PodDisruptionBudget/weft")
                        .at("/spec/maxUnavailable")
                        .asInt())
                .isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource("valueSets")
    void everyPodIsLockedDown(String set) {
        for (ObjectNode object :
                Manifests.parse(new Chart(scratch).template(set, "", "1.34.0")).objects()) {
            JsonNode pod =
                    object.at("/kind").asText().equals("Pod") ? object.at("/spec") : object.at("/spec/template/spec");
            if (pod.isMissingNode()) {
                continue;
            }
            String label = Manifests.label(object);
            assertThat(pod.at("/securityContext/runAsNonRoot").asBoolean())
                    .as(label)
                    .isTrue();
            assertThat(pod.at("/securityContext/seccompProfile/type").asText())
                    .as(label)
                    .isEqualTo("RuntimeDefault");
            for (JsonNode container : containers(pod)) {
                JsonNode security = container.path("securityContext");
                assertThat(security.path("readOnlyRootFilesystem").asBoolean())
                        .as(label)
                        .isTrue();
                assertThat(security.path("allowPrivilegeEscalation").asBoolean(true))
                        .as(label)
                        .isFalse();
                assertThat(security.at("/capabilities/drop/0").asText())
                        .as(label)
                        .isEqualTo("ALL");
            }
            // The endpoint picker alone talks to the API server.
            assertThat(pod.path("automountServiceAccountToken").asBoolean(true))
                    .as(label)
                    .isEqualTo(label.endsWith("-epp"));
        }
    }

    @Test
    void whatWeftWritesIsOnVolumes() {
        Manifests objects = render("gpu");

        assertThat(mount(objects.container(), "tmp").at("/mountPath").asText()).isEqualTo("/tmp");
        assertThat(objects.environment().at("/WEFT_PROFILE_DIRECTORY").asText())
                .startsWith(
                        mount(objects.container(), "profiles").at("/mountPath").asText());
    }

    @Test
    void theApiKeyComesFromASecret() {
        Manifests objects = render("default", "auth: {existingSecret: keys, existingSecretKey: weft}");

        JsonNode reference = environment(objects.container(), "WEFT_API_KEY").at("/valueFrom/secretKeyRef");
        assertThat(reference.path("name").asText()).isEqualTo("keys");
        assertThat(reference.path("key").asText()).isEqualTo("weft");
        assertThat(objects.ofKind("Secret")).as("the chart makes no secrets").isEmpty();
    }

    @Test
    void theManagementPortIsNotPublished() {
        Manifests objects = render("production", "service: {type: LoadBalancer}");

        assertThat(objects.get("Service/weft").at("/spec/ports"))
                .extracting(port -> port.path("name").asText())
                .containsExactly("http");
        JsonNode policy = objects.get("NetworkPolicy/weft").at("/spec/ingress");
        assertThat(policy.at("/1/ports/0/port").asText()).isEqualTo("management");
        assertThat(policy.at("/1/from")).isNotEmpty();
        JsonNode monitor = objects.get("ServiceMonitor/weft");
        assertThat(monitor.at("/spec/endpoints/0/port").asText()).isEqualTo("management");
        assertThat(objects.get("Service/weft-management").at("/metadata/labels"))
                .containsAll(monitor.at("/spec/selector/matchLabels"));
    }

    @ParameterizedTest
    @CsvSource({"hpa, HorizontalPodAutoscaler", "keda, ScaledObject"})
    void scalingLooksAtTheQueue(String kind, String object) {
        Manifests objects =
                render("default", "autoscaling: {kind: " + kind + ", keda: {serverAddress: http://prometheus}}");

        String scaler = objects.get(object + "/weft").toString();
        assertThat(scaler).contains("weft_num_requests_waiting").contains("\"stabilizationWindowSeconds\":600");
        assertThat(scaler).doesNotContain("\"cpu\"");
        assertThat(objects.get("Deployment/weft").at("/spec/replicas").isMissingNode())
                .as("the scaler's number is not overwritten by an upgrade")
                .isTrue();
    }

    @Test
    void theEndpointPickerReadsWeftsMetrics() {
        Manifests objects = render("production");

        JsonNode pool = objects.get("InferencePool/weft");
        assertThat(pool.at("/spec/selector/matchLabels"))
                .isEqualTo(objects.get("Deployment/weft").at("/spec/selector/matchLabels"));
        assertThat(pool.at("/spec/targetPorts/0/number").asInt()).isEqualTo(containerPort(objects, "http"));
        assertThat(objects.has(
                        "Service/" + pool.at("/spec/endpointPickerRef/name").asText()))
                .isTrue();
        assertThat(objects.get("Deployment/weft-epp").at("/spec/template/spec/containers/0/args"))
                .extracting(JsonNode::asText)
                .contains("--total-queued-requests-metric=weft_num_requests_waiting");
        assertThat(objects.get("HTTPRoute/weft")
                        .at("/spec/rules/0/backendRefs/0/kind")
                        .asText())
                .isEqualTo("InferencePool");
    }

    @Test
    void answersAreStreamedThroughTheIngress() {
        JsonNode ingress = render("production").get("Ingress/weft");

        assertThat(ingress.at("/metadata/annotations")
                        .path("nginx.ingress.kubernetes.io/proxy-buffering")
                        .asText())
                .isEqualTo("off");
        assertThat(ingress.findValuesAsText("path")).containsExactly("/v1", "/tokenize", "/detokenize");
    }

    @Test
    void aChangedSettingStartsNewPods() {
        assertThat(checksum(render("default", "settings: {queueLimit: 7}")))
                .isNotEqualTo(checksum(render("default")))
                .isEqualTo(checksum(render("default", "settings: {queueLimit: 7}")));
    }

    @Test
    void theImageMayBePinned() {
        String digest = "sha256:" + "ef".repeat(32);

        assertThat(image("image: {registry: registry.example.com/ai, digest: '" + digest + "', tag: ignored}"))
                .isEqualTo("registry.example.com/ai/weft@" + digest);
        assertThat(image("image: {tag: '7'}")).isEqualTo("weft:7");
        assertThat(image("")).isEqualTo("weft:0.1.0-cuda");
        assertThat(render("cpu").container().at("/image").asText()).isEqualTo("weft:0.1.0-cpu");
    }

    @Test
    void everySettingReachesTheEnvironment() {
        Manifests objects = render("default", """
                settings:
                  schedule: chunked
                  maxSequences: 1
                  maxBatchTokens: 2
                  maxContextTokens: 3
                  queueLimit: 4
                  blockTokens: 5
                  cellTokens: 6
                  chunkTokens: 7
                  cpuLinkGbps: 0.5
                  cpuThreads: 8
                  requestMaxTokens: 9
                  requestTemperature: 0
                  requestSeed: 1234567
                  streamBuffer: 2MiB
                  writeTimeoutSeconds: 20
                  scheduling: priority
                  stepTimeoutSeconds: 10
                  page: false
                """);

        assertThat(texts(objects.environment()))
                .containsEntry("WEFT_SCHEDULE", "chunked")
                .containsEntry("WEFT_MAX_SEQUENCES", "1")
                .containsEntry("WEFT_MAX_BATCH_TOKENS", "2")
                .containsEntry("WEFT_MAX_CONTEXT_TOKENS", "3")
                .containsEntry("WEFT_QUEUE_LIMIT", "4")
                .containsEntry("WEFT_BLOCK_TOKENS", "5")
                .containsEntry("WEFT_CELL_TOKENS", "6")
                .containsEntry("WEFT_CHUNK_TOKENS", "7")
                .containsEntry("WEFT_CPU_LINK_GBPS", "0.5")
                .containsEntry("WEFT_CPU_THREADS", "8")
                .containsEntry("WEFT_REQUEST_MAX_TOKENS", "9")
                .containsEntry("WEFT_REQUEST_TEMPERATURE", "0")
                .containsEntry("WEFT_REQUEST_SEED", "1234567")
                .containsEntry("WEFT_STREAM_BUFFER", "2MiB")
                .containsEntry("WEFT_WRITE_TIMEOUT", "20s")
                .containsEntry("WEFT_SCHEDULING", "priority")
                .containsEntry("WEFT_STEP_TIMEOUT", "10s")
                .containsEntry("WEFT_PAGE", "false");
    }

    /** Large numbers are floating-point ones to Helm; none may come out as 1e+06. */
    @Test
    void largeNumbersStayWhole() {
        assertThat(render("default", "settings: {maxContextTokens: 16777216, requestSeed: 4611686018427387}")
                        .environment()
                        .toString())
                .contains("16777216")
                .contains("4611686018427387")
                .doesNotContain("e+");
    }

    @Test
    void everyValueIsDescribed() throws IOException {
        List<String> undescribed = new ArrayList<>();
        String previous = "";
        for (String line : Files.readAllLines(Chart.FOLDER.resolve("values.yaml"))) {
            boolean isKey = line.matches("[a-z][A-Za-z0-9]*:.*");
            boolean isGroup = line.matches("[a-z][A-Za-z0-9]*:");
            if (isKey && !isGroup && !previous.startsWith("#")) {
                undescribed.add(line);
            }
            previous = line;
        }
        assertThat(undescribed)
                .allMatch(line -> line.matches("(podAnnotations|podLabels|priorityClassName|nodeSelector|tolerations"
                        + "|affinity|topologySpreadConstraints|extraVolumes|extraVolumeMounts): .*"));
    }

    /** The schema knows every default, so none is refused; and every schema's key has a default, so none is hidden. */
    @Test
    void valuesAndSchemaListTheSameKeys() throws IOException {
        JsonNode values = Manifests.yaml(Files.readString(Chart.FOLDER.resolve("values.yaml")));
        JsonNode schema = Manifests.YAML.readTree(
                Chart.FOLDER.resolve("values.schema.json").toFile());

        assertThat(schemaKeys(schema, "")).containsExactlyInAnyOrderElementsOf(valueKeys(schema, values, ""));
    }

    @Test
    void theChartsVersionIsTheProjects() throws IOException {
        String version = Files.readString(Path.of("pom.xml"))
                .lines()
                .filter(line -> line.strip().startsWith("<version>"))
                .findFirst()
                .orElseThrow()
                .replaceAll(".*<version>(.*?)(\\$\\{changelist\\})?</version>.*", "$1");
        JsonNode chart = Manifests.yaml(Files.readString(Chart.FOLDER.resolve("Chart.yaml")));

        assertThat(chart.at("/appVersion").asText()).isEqualTo(version);
    }

    private static List<String> schemaKeys(JsonNode schema, String path) {
        List<String> keys = new ArrayList<>();
        for (Map.Entry<String, JsonNode> property : schema.path("properties").properties()) {
            if (property.getKey().equals("global")) {
                continue;
            }
            keys.add(path + property.getKey());
            keys.addAll(schemaKeys(property.getValue(), path + property.getKey() + "."));
        }
        return keys;
    }

    private static List<String> valueKeys(JsonNode schema, JsonNode values, String path) {
        List<String> keys = new ArrayList<>();
        Iterator<String> names = schema.has("properties")
                ? values.fieldNames()
                : List.<String>of().iterator();
        names.forEachRemaining(name -> {
            keys.add(path + name);
            keys.addAll(valueKeys(schema.at("/properties").path(name), values.path(name), path + name + "."));
        });
        return keys;
    }

    private String image(String values) {
        return render("default", values).container().at("/image").asText();
    }

    private static String checksum(Manifests objects) {
        return objects.pod().at("/metadata/annotations").path("checksum/config").asText();
    }

    private static Map<String, String> texts(JsonNode object) {
        return object.properties().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, entry -> entry.getValue().asText()));
    }

    private static int seconds(String duration) {
        assertThat(duration).matches("\\d+s");
        return Integer.parseInt(duration.substring(0, duration.length() - 1));
    }

    private static List<JsonNode> containers(JsonNode pod) {
        List<JsonNode> all = new ArrayList<>();
        pod.path("initContainers").forEach(all::add);
        pod.path("containers").forEach(all::add);
        return all;
    }

    private static List<String> portNames(JsonNode container) {
        return container.path("ports").findValuesAsText("name");
    }

    private static int containerPort(Manifests objects, String name) {
        for (JsonNode port : objects.container().path("ports")) {
            if (port.path("name").asText().equals(name)) {
                return port.path("containerPort").asInt();
            }
        }
        throw new AssertionError("no port " + name);
    }

    private static JsonNode volume(JsonNode pod, String name) {
        return named(pod.at("/spec/volumes"), name);
    }

    private static JsonNode mount(JsonNode container, String name) {
        return named(container.path("volumeMounts"), name);
    }

    private static JsonNode environment(JsonNode container, String name) {
        return named(container.path("env"), name);
    }

    private static JsonNode named(JsonNode list, String name) {
        for (JsonNode item : list) {
            if (item.path("name").asText().equals(name)) {
                return item;
            }
        }
        throw new AssertionError("no " + name + " in " + list);
    }
}
