package io.weft.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.marcnuri.helm.Helm;
import com.marcnuri.helm.LintResult;
import com.marcnuri.helm.TemplateCommand;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The chart, rendered and linted by Helm. Release and namespace are {@code weft}. */
final class Chart {
    static final Path FOLDER = Path.of("helm/weft");

    /** The sets of values that come with the chart, and the values' own defaults, which are the empty set. */
    static final List<String> VALUE_SETS = List.of("default", "cpu", "gpu", "production");

    private static final String KUBERNETES = "1.34.0";

    private final Path scratch;

    /** @param scratch an empty folder for values */
    Chart(Path scratch) {
        this.scratch = scratch;
    }

    static Path valuesFile(String set) {
        return FOLDER.resolve("ci").resolve(set + "-values.yaml");
    }

    /** The objects of one of {@link #VALUE_SETS}, without those of {@code helm test}. */
    Manifests render(String set) {
        return render(set, "", KUBERNETES);
    }

    /** The objects of a set, with further values on top. */
    Manifests render(String set, String values) {
        return render(set, values, KUBERNETES);
    }

    Manifests render(String set, String values, String kubernetes) {
        Manifests all = Manifests.parse(template(set, values, kubernetes));
        return new Manifests(all.objects().stream()
                .filter(object ->
                        object.at("/metadata/annotations").path("helm.sh/hook").isMissingNode())
                .toList());
    }

    /** What Helm prints for a set with further values on top. */
    String template(String set, String values, String kubernetes) {
        TemplateCommand command = new Helm(FOLDER)
                .template()
                .withName("weft")
                .withNamespace("weft")
                .withKubeVersion(kubernetes);
        if (!set.equals("default")) {
            command.withValuesFile(valuesFile(set));
        }
        if (!values.isBlank()) {
            command.withValuesFile(write("values.yaml", values));
        }
        return command.call();
    }

    /** Lints a copy of the chart whose defaults are overlaid with a set, since lint takes no values. */
    LintResult lint(String set) throws IOException {
        Path copy = scratch.resolve("weft");
        try (Stream<Path> files = Files.walk(FOLDER)) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(FOLDER.relativize(file)));
            }
        }
        if (!set.equals("default")) {
            JsonNode values = Manifests.yaml(Files.readString(FOLDER.resolve("values.yaml")));
            Manifests.YAML.readerForUpdating(values).readValue(Files.readString(valuesFile(set)));
            Files.writeString(copy.resolve("values.yaml"), Manifests.YAML.writeValueAsString(values));
        }
        return new Helm(copy).lint().strict().call();
    }

    private Path write(String name, String text) {
        try {
            return Files.writeString(scratch.resolve(name), text);
        } catch (IOException e) {
            throw new AssertionError(name, e);
        }
    }
}
