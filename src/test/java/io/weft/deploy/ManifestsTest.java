package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The plain manifests in {@code k8s/} are what the chart renders, but for what only Helm writes: its labels, and the
 * checksum that starts new pods.
 */
class ManifestsTest {
    private static final Path FOLDER = Path.of("k8s");
    private static final String INFERENCE_POOL = "inferencePool: {enabled: true}";

    @TempDir
    Path scratch;

    @ParameterizedTest
    @CsvSource({"base, default", "overlays/cpu, cpu", "overlays/gpu, gpu"})
    void equalTheChart(String folder, String set) throws IOException {
        assertThat(comparable(Kustomization.render(FOLDER.resolve(folder))))
                .containsExactlyEntriesOf(comparable(new Chart(scratch).render(set)));
    }

    @Test
    void theInferenceGatewayEqualsTheChart() throws IOException {
        Map<String, ObjectNode> chart = comparable(new Chart(scratch).render("default", INFERENCE_POOL));
        comparable(new Chart(scratch).render("default")).keySet().forEach(chart::remove);

        assertThat(comparable(Kustomization.render(FOLDER.resolve("inference-gateway"))))
                .containsExactlyEntriesOf(chart);
    }

    @ParameterizedTest
    @ValueSource(strings = {"base", "overlays/cpu", "overlays/gpu", "inference-gateway"})
    void matchTheSchemas(String folder) throws IOException {
        KubernetesSchemas schemas = new KubernetesSchemas();
        for (ObjectNode object : Kustomization.render(FOLDER.resolve(folder)).objects()) {
            assertThat(schemas.errors(object)).as(Manifests.label(object)).isEmpty();
        }
    }

    /** kustomize itself, where kubectl is installed; elsewhere the stand-in must do. */
    @ParameterizedTest
    @ValueSource(strings = {"base", "overlays/cpu", "overlays/gpu", "inference-gateway"})
    void kustomizeRendersTheSame(String folder) throws Exception {
        assumeTrue(isInstalled("kubectl"), "kubectl is not installed");
        Path errors = scratch.resolve("errors");
        Process kubectl = new ProcessBuilder(
                        "kubectl", "kustomize", FOLDER.resolve(folder).toString())
                .redirectError(errors.toFile())
                .start();
        String rendered = new String(kubectl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertThat(kubectl.waitFor()).as(Files.readString(errors)).isZero();
        assertThat(comparable(Manifests.parse(rendered)))
                .containsExactlyEntriesOf(comparable(Kustomization.render(FOLDER.resolve(folder))));
    }

    /** The comparison above would be worth nothing if the stand-in left out what it does not know. */
    @Test
    void whatTheStandInDoesNotKnowIsRefused() throws IOException {
        Files.writeString(scratch.resolve("kustomization.yaml"), "namePrefix: a-\nresources: []\n");

        assertThatThrownBy(() -> Kustomization.render(scratch)).hasMessageContaining("namePrefix");
    }

    /** The objects by kind and name, without what only Helm writes and what only an install knows. */
    private static Map<String, ObjectNode> comparable(Manifests manifests) {
        Map<String, ObjectNode> objects = new TreeMap<>();
        for (ObjectNode object : manifests.objects()) {
            ObjectNode copy = object.deepCopy();
            for (String metadata : List.of("/metadata", "/spec/template/metadata")) {
                if (copy.at(metadata) instanceof ObjectNode fields) {
                    withoutHelm(fields);
                }
            }
            objects.put(Manifests.label(copy), copy);
        }
        return objects;
    }

    private static void withoutHelm(ObjectNode metadata) {
        metadata.remove("namespace");
        if (metadata.path("labels") instanceof ObjectNode labels) {
            labels.remove(List.of("helm.sh/chart", "app.kubernetes.io/managed-by"));
        }
        if (metadata.path("annotations") instanceof ObjectNode annotations) {
            annotations.remove(List.of("checksum/config", "helm.sh/resource-policy"));
            if (annotations.isEmpty()) {
                metadata.remove("annotations");
            }
        }
    }

    private static boolean isInstalled(String program) {
        return Stream.of(System.getenv("PATH").split(":"))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }
}
