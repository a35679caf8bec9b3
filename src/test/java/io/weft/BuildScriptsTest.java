package io.weft;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.Script.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The scripts {@code .ci/run} and {@code src/main/cuda/build.sh}, with a Maven and an nvcc that only say what they do.
 */
class BuildScriptsTest {

    private static final String NVCC = """
            #!/bin/sh
            case $* in
                --version) echo 'Cuda compilation tools, release 13.0, V13.0.88' ;;
                *) while [ "$1" != -o ]; do shift; done; echo "compiled $3" >"$2" ;;
            esac
            """;

    @TempDir
    Path folder;

    private Path path;
    private Path kernels;
    private final Map<String, String> environment = new HashMap<>();

    @BeforeEach
    void layOutTheMachine() throws Exception {
        path = Script.writeBarePath(folder.resolve("path"));
        kernels = folder.resolve("classes/kernels.fatbin");
        Script.write(folder.resolve("cuda/build.sh"), Files.readString(Path.of("src/main/cuda/build.sh")));
        Files.writeString(folder.resolve("cuda/kernels.cu"), "");
        environment.put("PATH", path.toString());
        // Where it is set, /usr/local/cuda is not looked at.
        environment.put("CUDA_HOME", folder.resolve("no-cuda").toString());
    }

    @Test
    void continuousIntegrationRunsMavenUnderTheJdkThatIsFound() throws Exception {
        Path jdk = Script.writeJdk(folder.resolve("jdk"), "25");
        layOutProject("#!/bin/sh\necho \"$JAVA_HOME $*\"\n");
        environment.put("JAVA_HOME", jdk.toString());

        Outcome outcome = runContinuousIntegration();

        assertThat(outcome.status()).as(outcome.errors()).isZero();
        assertThat(outcome.output()).hasSize(3);
        assertThat(outcome.output().getFirst()).startsWith("ci: JDK " + jdk);
        assertThat(outcome.output().get(1)).isEqualTo(jdk + " -B -ntp verify");
        assertThat(outcome.output().get(2))
                .startsWith(jdk + " -B -ntp -Pnative")
                .endsWith(" package");
    }

    @Test
    void aFailureOfVerifyEndsContinuousIntegration() throws Exception {
        layOutProject("#!/bin/sh\necho \"$*\"\nexit 3\n");
        environment.put(
                "JAVA_HOME", Script.writeJdk(folder.resolve("jdk"), "25").toString());

        Outcome outcome = runContinuousIntegration();

        assertThat(outcome.status()).isEqualTo(3);
        assertThat(outcome.output()).last().isEqualTo("-B -ntp verify");
    }

    @Test
    void withoutNvccTheBuildGoesOnWithoutKernels() throws Exception {
        Outcome outcome = compile();

        assertThat(outcome.status()).isZero();
        assertThat(outcome.output()).singleElement().asString().contains("nvcc was not found");
        assertThat(kernels).doesNotExist();
    }

    @Test
    void withoutNvccContinuousIntegrationFails() throws Exception {
        environment.put("CI", "true");

        Outcome outcome = compile();

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.output()).isEmpty();
        assertThat(outcome.errors()).contains("nvcc was not found", "CUDA_HOME");
    }

    @Test
    void kernelsThatDoNotCompileFailTheBuildAndLeaveNothing() throws Exception {
        Script.write(path.resolve("nvcc"), "#!/bin/sh\necho 'kernels.cu(1): error' >&2\nexit 2\n");

        Outcome outcome = compile();

        assertThat(outcome.status()).isEqualTo(2);
        assertThat(outcome.errors()).isEqualTo("kernels.cu(1): error\n");
        assertThat(Script.namesIn(kernels.getParent())).isEmpty();
    }

    @Test
    void theNvccOfCudaHomeIsTakenBeforeThatOfPath() throws Exception {
        Script.write(path.resolve("nvcc"), "#!/bin/sh\nexit 2\n");
        Script.write(folder.resolve("cuda-13/bin/nvcc"), NVCC);
        environment.put("CUDA_HOME", folder.resolve("cuda-13").toString());
        environment.put("CI", "true");

        assertThat(compile().status()).isZero();
        assertThat(kernels).hasContent("compiled " + folder.resolve("cuda/kernels.cu"));
        assertThat(kernels.resolveSibling("kernels.toolkit")).hasContent("13");
    }

    @Test
    void kernelsNewerThanTheirSourcesAreKept() throws Exception {
        Script.write(path.resolve("nvcc"), NVCC);
        assertThat(compile().status()).isZero();
        Script.write(path.resolve("nvcc"), "#!/bin/sh\nexit 2\n");

        assertThat(compile()).isEqualTo(new Outcome(0, List.of(), ""));
    }

    private Outcome compile() throws Exception {
        return Script.run(
                folder,
                environment,
                "",
                path.resolve("sh").toString(),
                folder.resolve("cuda/build.sh").toString(),
                kernels.toString());
    }

    private void layOutProject(String wrapper) throws Exception {
        Script.write(folder.resolve("project/.ci/run"), Files.readString(Path.of(".ci/run")));
        Script.write(folder.resolve("project/tools/jdk.sh"), Files.readString(Path.of("tools/jdk.sh")));
        Script.write(folder.resolve("project/mvnw"), wrapper);
    }

    private Outcome runContinuousIntegration() throws Exception {
        return Script.run(
                folder,
                environment,
                "",
                path.resolve("bash").toString(),
                folder.resolve("project/.ci/run").toString());
    }
}
