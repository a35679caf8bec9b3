package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Values that cannot work are refused before anything is installed, with a message that says what to do. */
class ChartRefusalsTest {
    @TempDir
    Path scratch;

    @ParameterizedTest(name = "{0}")
    @MethodSource
    void contradictionsSayWhatToDo(String values, String message) {
        assertThatThrownBy(() -> new Chart(scratch).render("default", values)).hasMessageContaining(message);
    }

    static Stream<Arguments> contradictionsSayWhatToDo() {
        return Stream.of(
                arguments(
                        "shutdown: {drainSeconds: 145}",
                        "shutdown.drainSeconds 145 + shutdown.preStopSeconds 5 is not less than"
                                + " shutdown.terminationGracePeriodSeconds 150: the pod would be killed with requests"
                                + " running. Raise shutdown.terminationGracePeriodSeconds to at least 160, or lower"
                                + " shutdown.drainSeconds."),
                arguments(
                        "memory: {limit: 18Gi}",
                        "memory does not add up: memory.heap 1Gi + memory.direct 256Mi + memory.native 1536Mi +"
                                + " cache.hostBytes 16Gi is 19200Mi, more than memory.limit 18Gi. Raise memory.limit to"
                                + " 19200Mi, leave it empty to have it computed, or lower cache.hostBytes."),
                arguments(
                        "{device: cpu, cache: {hostBytes: 1Gi, deviceBytes: 1Gi}, memory: {limit: 4Gi}}",
                        "cache.hostBytes 1Gi + cache.deviceBytes 1Gi is 4864Mi, more than memory.limit 4Gi."),
                arguments("device: cpu", "cache.deviceBytes is empty: with device cpu,"),
                arguments(
                        "cache: {deviceBytes: 2Gi, stagingBytes: 2048Mi}",
                        "cache.stagingBytes 2048Mi is part of cache.deviceBytes 2Gi"),
                arguments("managementPort: 8080", "managementPort 8080 is the port of the API. Choose another"),
                arguments("model: {source: existingClaim}", "Name the claim that holds the model"),
                arguments(
                        "model: {source: hostPath, hostPath: models}",
                        "model.hostPath is \"models\". Give the absolute path"),
                arguments(
                        "model: {source: download, download: {repository: a/b}}",
                        "model.download lacks repository, revision or files. Give all three"),
                arguments(
                        "{replicaCount: 3, model: {source: pvc}}",
                        "up to 3 pods share the claim of the model, and model.pvc.accessModes is ReadWriteOnce"),
                arguments(
                        "{autoscaling: {kind: hpa, maxReplicas: 2}, model: {source: pvc}}",
                        "Use ReadWriteMany with a storage class that has it, or keep to one pod."),
                arguments(
                        "autoscaling: {kind: hpa, minReplicas: 5, maxReplicas: 4}",
                        "autoscaling.minReplicas 5 is more than autoscaling.maxReplicas 4."),
                arguments("autoscaling: {kind: keda}", "Give the address of your Prometheus"),
                arguments("ingress: {enabled: true}", "ingress.hosts is empty. Name at least one host."),
                arguments("httpRoute: {enabled: true}", "httpRoute.parentRefs is empty. Name the Gateway"),
                arguments(
                        "extraEnv: [{name: WEFT_HOST_MEMORY, value: 1Gi}]",
                        "extraEnv sets WEFT_HOST_MEMORY, which the chart sets from its own values. Remove it"),
                arguments(
                        "extraEnv: [{name: WEFT_API_KEY, value: secret}]",
                        "extraEnv sets WEFT_API_KEY. Use auth.existingSecret, which takes it from a Secret."));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource
    void theSchemaNamesValueAndLimit(String values, String path, String message) {
        assertThatThrownBy(() -> new Chart(scratch).render("default", values))
                .hasMessageContaining(path)
                .hasMessageContaining(message);
    }

    static Stream<Arguments> theSchemaNamesValueAndLimit() {
        return Stream.of(
                arguments("repicas: 2", "''", "additional properties 'repicas' not allowed"),
                arguments("cache: {hostByte: 1Gi}", "'/cache'", "additional properties 'hostByte' not allowed"),
                arguments("probes: {startup: {path: /}}", "'/probes/startup'", "'path' not allowed"),
                arguments("cache: {hostBytes: 16GB}", "'/cache/hostBytes'", "does not match pattern"),
                arguments("cache: {hostBytes: 0Gi}", "'/cache/hostBytes'", "does not match pattern"),
                arguments("cache: {hostBytes: 17179869184}", "'/cache/hostBytes'", "got number, want string"),
                arguments("device: tpu", "'/device'", "value must be one of 'cuda', 'cpu'"),
                arguments("settings: {schedule: fast}", "'/settings/schedule'", "value must be one of 'auto'"),
                arguments("settings: {maxSequences: 0}", "'/settings/maxSequences'", "minimum: got 0, want 1"),
                arguments("settings: {requestTemperature: 3}", "'/settings/requestTemperature'", "got 3, want 2"),
                arguments("image: {digest: latest}", "'/image/digest'", "does not match pattern"),
                arguments("model: {path: /etc}", "'/model/path'", "does not match pattern"),
                arguments("model: {download: {revision: main}}", "'/model/download/revision'", "does not match"),
                arguments("managementPort: 80", "'/managementPort'", "minimum: got 80, want 1,024"),
                arguments("security: {runAsUser: 0}", "'/security/runAsUser'", "minimum: got 0, want 1"),
                arguments("replicaCount: two", "'/replicaCount'", "got string, want integer"));
    }
}
