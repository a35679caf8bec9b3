package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.tngtech.archunit.core.domain.JavaAnnotation;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The reachability metadata for native image says what the code does by reflection, JNI and foreign calls. No native
 * image is built here: what the metadata must say is read from the code.
 */
class NativeMetadataTest {
    private static final Path SOURCES = Path.of("src/main/java");
    private static final Path METADATA = Path.of("src/main/resources/META-INF/native-image/io.weft/weft");
    private static final Pattern CLASS_NAME = Pattern.compile("io\\.weft\\.[\\w.$]+");

    @TempDir
    Path scratch;

    @Test
    void everyForeignCallIsRegistered() throws IOException {
        assertThat(ForeignCalls.of(SOURCES)).hasSizeGreaterThan(10).isEqualTo(registeredCalls());
    }

    @Test
    void descriptorsAreReadFromSources() throws IOException {
        Files.writeString(scratch.resolve("Calls.java"), """
                class Calls {
                    Object a = FunctionDescriptor.ofVoid();
                    Object b = FunctionDescriptor.of(ValueLayout.ADDRESS, JAVA_LONG);
                    Object c = bind("x", JAVA_FLOAT);
                    Object d = this.bind("y");
                    Object bind(String name, MemoryLayout... more) {
                        return FunctionDescriptor.of(JAVA_INT, ADDRESS, more);
                    }
                }
                """);

        assertThat(ForeignCalls.of(scratch))
                .containsExactlyInAnyOrder("void()", "void*(jlong)", "jint(void*, jfloat)", "jint(void*)");
    }

    @ParameterizedTest
    @ValueSource(strings = {"device-cpu", "device-cuda", "text", "model", "profile", "cli", "api"})
    void everyTypeThatIsNamedExists(String area) throws Exception {
        for (JsonNode entry : read(area).path("reflection")) {
            String type = entry.path("type").asText();

            assertThat(Class.forName(type, false, getClass().getClassLoader()).getName())
                    .isEqualTo(type);
        }
    }

    @Test
    void everyAreaIsOneOfThese() throws IOException {
        try (Stream<Path> areas = Files.list(METADATA)) {
            assertThat(areas.map(area -> area.getFileName().toString()))
                    .containsExactlyInAnyOrder("device-cpu", "device-cuda", "text", "model", "profile", "cli", "api");
        }
    }

    @Test
    void whatJCudasNativePartLooksUpIsRegistered() throws Exception {
        Set<String> lookedUp = new TreeSet<>();
        String library = "/lib/libJCudaDriver-12.6.0-linux-x86_64.so";
        try (InputStream bytes = getClass().getResourceAsStream(library)) {
            String text = new String(bytes.readAllBytes(), StandardCharsets.ISO_8859_1);
            Pattern.compile("\\x00(jcuda/[\\w/]+)\\x00")
                    .matcher(text)
                    .results()
                    .forEach(found -> lookedUp.add(found.group(1).replace('/', '.')));
        }

        assertThat(lookedUp).hasSizeGreaterThan(20);
        assertThat(missing(lookedUp)).isEmpty();
    }

    @Test
    void everyClassThatPicocliFillsIsRegistered() {
        JavaClasses classes = new ClassFileImporter()
                .withImportOption(new DoNotIncludeTests())
                .importPackages("io.weft.cli");
        Set<String> filled = classes.stream()
                .filter(type -> isPicocli(type.getAnnotations())
                        || type.getMembers().stream()
                                .map(JavaMember::getAnnotations)
                                .anyMatch(this::isPicocli)
                        || type.getAllRawInterfaces().stream()
                                .anyMatch(one -> one.getName().startsWith("picocli.")))
                .map(JavaClass::getName)
                .collect(Collectors.toCollection(TreeSet::new));

        assertThat(filled).contains("io.weft.cli.ServeCommand");
        assertThat(missing(filled))
                .as("to be registered in META-INF/native-image/io.weft/weft/cli, with fields, methods and constructors")
                .isEmpty();
    }

    /** Records that Jackson reads or writes outside of the REST resources, which Quarkus looks after itself. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "io.weft.profile.ProfileStore$StoredProfile",
                "io.weft.bench.BenchReport",
                "io.weft.plan.whatif.PlanExplanation",
                "io.weft.cli.ModelReport"
            })
    void everyRecordOfAFileIsRegistered(String root) throws Exception {
        assertThat(missing(recordsOf(Class.forName(root), new TreeSet<>())))
                .as("to be registered in META-INF/native-image/io.weft/weft, with methods and constructors")
                .isEmpty();
    }

    /** Frames of a stream are written by hand, so that Quarkus does not see their records. */
    @ParameterizedTest
    @ValueSource(strings = {"io.weft.api.openai.CompletionResponse", "io.weft.api.openai.ChatResponse"})
    void everyRecordOfAFrameIsRegistered(String root) throws Exception {
        for (String name : recordsOf(Class.forName(root), new TreeSet<>())) {
            Class<?> type = Class.forName(name);
            assertThat(isAnnotated(type)).as(name).isTrue();
        }
    }

    @Test
    void everyResourceThatIsNamedIsThere() throws IOException {
        List<String> missing = new ArrayList<>();
        for (JsonNode metadata : readAll()) {
            for (JsonNode resource : metadata.path("resources")) {
                String glob = resource.path("glob").asText();
                // Made by nvcc, where there is one.
                if (!glob.startsWith("weft/cuda/kernels.") && !exists(glob)) {
                    missing.add(glob);
                }
            }
        }
        assertThat(missing).isEmpty();
    }

    private static boolean exists(String glob) throws IOException {
        if (!glob.endsWith("/*")) {
            return NativeMetadataTest.class.getResource("/" + glob) != null;
        }
        try (Stream<Path> files = Files.list(Path.of("src/main/resources", glob.substring(0, glob.length() - 2)))) {
            return files.findAny().isPresent();
        }
    }

    private static boolean isAnnotated(Class<?> type) {
        return type.isAnnotationPresent(RegisterForReflection.class)
                || (type.getEnclosingClass() != null && isAnnotated(type.getEnclosingClass()));
    }

    private boolean isPicocli(Set<? extends JavaAnnotation<?>> annotations) {
        return annotations.stream()
                .anyMatch(annotation -> annotation.getRawType().getName().startsWith("picocli."));
    }

    /** A record, and those that its components are made of. */
    private static Set<String> recordsOf(Class<?> type, Set<String> found) throws ClassNotFoundException {
        if (type.isRecord() && found.add(type.getName())) {
            for (RecordComponent component : type.getRecordComponents()) {
                for (var match : CLASS_NAME
                        .matcher(component.getGenericType().getTypeName())
                        .results()
                        .toList()) {
                    recordsOf(Class.forName(match.group()), found);
                }
            }
        }
        return found;
    }

    private static Set<String> missing(Set<String> types) {
        Set<String> missing = new TreeSet<>(types);
        missing.removeAll(registeredTypes());
        return missing;
    }

    private static Set<String> registeredTypes() {
        return readAll().stream()
                .flatMap(metadata -> metadata.path("reflection").findValuesAsText("type").stream())
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private static Set<String> registeredCalls() {
        Set<String> calls = new TreeSet<>();
        for (JsonNode metadata : readAll()) {
            for (JsonNode call : metadata.at("/foreign/downcalls")) {
                List<String> parameters = new ArrayList<>();
                call.path("parameterTypes").forEach(type -> parameters.add(type.asText()));
                calls.add(call.path("returnType").asText() + "(" + String.join(", ", parameters) + ")");
            }
        }
        return calls;
    }

    private static List<JsonNode> readAll() {
        try (Stream<Path> areas = Files.list(METADATA)) {
            List<JsonNode> all = new ArrayList<>();
            for (Path area : areas.toList()) {
                all.add(read(area.getFileName().toString()));
            }
            return all;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static JsonNode read(String area) throws IOException {
        return new ObjectMapper()
                .readTree(METADATA.resolve(area)
                        .resolve("reachability-metadata.json")
                        .toFile());
    }
}
