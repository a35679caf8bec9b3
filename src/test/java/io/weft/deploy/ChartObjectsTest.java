package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Everything that the chart renders is what Kubernetes takes, by its schemas and by fabric8's types. */
class ChartObjectsTest {
    /** Kinds that fabric8 has no type for; the schemas cover them. */
    private static final Set<String> UNTYPED = Set.of("ScaledObject", "InferencePool");

    private final KubernetesSchemas schemas = new KubernetesSchemas();

    @TempDir
    Path scratch;

    static Stream<String> valueSets() {
        return Chart.VALUE_SETS.stream();
    }

    @ParameterizedTest
    @MethodSource("valueSets")
    void lintsStrictly(String set) throws IOException {
        var result = new Chart(scratch).lint(set);

        assertThat(result.isFailed()).as("%s", result.getMessages()).isFalse();
        assertThat(result.getMessages()).noneMatch(message -> message.contains("ERROR") || message.contains("WARNING"));
    }

    @ParameterizedTest
    @MethodSource("valueSets")
    void everyObjectMatchesItsSchema(String set) throws IOException {
        for (ObjectNode object : everything(set).objects()) {
            assertThat(schemas.errors(object)).as(Manifests.label(object)).isEmpty();
        }
    }

    @ParameterizedTest
    @MethodSource("valueSets")
    void everyObjectLoadsTyped(String set) throws Exception {
        KubernetesSerialization serialization = new KubernetesSerialization();
        for (ObjectNode object : everything(set).objects()) {
            Object typed = serialization.unmarshal(object.toString());
            if (UNTYPED.contains(object.at("/kind").asText())) {
                assertThat(typed).isInstanceOf(GenericKubernetesResource.class);
                continue;
            }
            assertThat(typed).as(Manifests.label(object)).isNotInstanceOf(GenericKubernetesResource.class);
            assertThat(unknownProperties(typed, "")).as(Manifests.label(object)).isEmpty();
        }
    }

    @Test
    void theOptionalObjectsMatchTheirSchemas() throws IOException {
        Manifests objects = new Chart(scratch).render("gpu", """
                        model:
                          source: download
                          existingClaim: ""
                          pvc: {storageClassName: fast, annotations: {team: a}}
                          download:
                            repository: facebook/opt-125m
                            revision: 27dcfa74d334bc871f3234de431e71c6eeba5dd6
                            files:
                              - {path: config.json, sha256: %1$s}
                              - {path: model.safetensors, sha256: %1$s}
                            tokenSecret: hub
                        auth: {existingSecret: key}
                        autoscaling: {kind: hpa, maxReplicas: 1}
                        service: {type: LoadBalancer, annotations: {a: b}}
                        memory: {hugepages2Mi: 8Gi}
                        security: {runAsUser: null, runAsGroup: null, fsGroup: null}
                        extraObjects:
                          - apiVersion: v1
                            kind: ConfigMap
                            metadata: {name: '{{ include "weft.fullname" . }}-more'}
                        """.formatted("a1".repeat(32)));

        assertThat(objects.labels())
                .contains(
                        "PersistentVolumeClaim/weft-model",
                        "ConfigMap/weft-download",
                        "HorizontalPodAutoscaler/weft",
                        "ConfigMap/weft-more")
                .anyMatch(label -> label.startsWith("Job/weft-download-"));
        for (ObjectNode object : objects.objects()) {
            assertThat(schemas.errors(object)).as(Manifests.label(object)).isEmpty();
        }
    }

    /** The checks above would be worth nothing if they let anything through. */
    @Test
    void aMistakeIsFound() throws Exception {
        ObjectNode deployment = new Chart(scratch).render("default").get("Deployment/weft");
        ((ObjectNode) deployment.at("/spec/template/spec/containers/0")).put("imagePullPolcy", "Always");

        assertThat(schemas.errors(deployment)).singleElement().asString().contains("imagePullPolcy");
        assertThat(unknownProperties(new KubernetesSerialization().unmarshal(deployment.toString()), ""))
                .singleElement()
                .asString()
                .endsWith("containers.imagePullPolcy");
    }

    /** The chart's objects and those of {@code helm test}. */
    private Manifests everything(String set) {
        return Manifests.parse(new Chart(scratch).template(set, "", "1.34.0"));
    }

    /** fabric8 keeps what it has no field for in {@code additionalProperties}, at every level. */
    private static List<String> unknownProperties(Object value, String path) throws ReflectiveOperationException {
        List<String> found = new ArrayList<>();
        switch (value) {
            case null -> {}
            case Collection<?> items -> {
                for (Object item : items) {
                    found.addAll(unknownProperties(item, path));
                }
            }
            case Map<?, ?> entries -> found.addAll(unknownProperties(entries.values(), path));
            case JsonNode ignored -> {}
            default -> {
                if (value.getClass().getPackageName().startsWith("io.fabric8")
                        && !value.getClass().isEnum()) {
                    for (Method getter : value.getClass().getMethods()) {
                        if (getter.getName().equals("getAdditionalProperties")) {
                            ((Map<?, ?>) getter.invoke(value)).keySet().forEach(key -> found.add(path + "." + key));
                        } else if (isGetter(getter)) {
                            String name = getter.getName().substring(3, 4).toLowerCase(Locale.ROOT)
                                    + getter.getName().substring(4);
                            found.addAll(unknownProperties(getter.invoke(value), path + "." + name));
                        }
                    }
                }
            }
        }
        return found;
    }

    private static boolean isGetter(Method method) {
        return method.getName().startsWith("get")
                && method.getName().length() > 3
                && method.getParameterCount() == 0
                && method.getDeclaringClass().getPackageName().startsWith("io.fabric8")
                && !method.getName().equals("getNumericalAmount");
    }
}
