package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.weft.app.Setting.Kind;
import io.weft.app.Setting.Use;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The tables of settings in the documentation, and the keys of the Helm chart, are those of {@link Settings}. To write
 * the tables anew: {@code ./mvnw test -Dtest=SettingTablesTest -Dweft.tables=write}.
 */
class SettingTablesTest {
    private static final String BEGIN = "<!-- settings: made by SettingTablesTest, which says how -->\n";
    private static final String END = "<!-- end of settings -->\n";
    private static final Path CHART = Path.of("helm/weft");

    /** What the chart sets by other keys than {@code settings.*}, or leaves to {@code extraEnv}, and why. */
    private static final Map<String, String> BESIDE_THE_CHARTS_SETTINGS = Map.ofEntries(
            Map.entry("weft.model", "model.*"),
            Map.entry("weft.served-model-name", "model.servedName"),
            Map.entry("weft.device", "device"),
            Map.entry("weft.device-memory", "cache.deviceBytes"),
            Map.entry("weft.host-memory", "cache.hostBytes"),
            Map.entry("weft.staging-memory", "cache.stagingBytes"),
            Map.entry("weft.management-port", "managementPort"),
            Map.entry("weft.drain-timeout", "shutdown.drainSeconds"),
            Map.entry("weft.api-key", "auth.existingSecret"),
            Map.entry("weft.profile-directory", "a volume of the pod"),
            Map.entry("quarkus.http.port", "8080, which the service leads to"),
            Map.entry("quarkus.http.host", "a pod has one address"),
            Map.entry("weft.cuda.device", "a pod sees one GPU"),
            Map.entry("weft.cuda.cublas-path", "the image brings it"),
            Map.entry("weft.element-type", "extraEnv: for experiments"));

    private static List<Setting> settings() {
        return Settings.all().stream().map(SettingReader::setting).toList();
    }

    private static String code(String text) {
        return text.isEmpty() ? "" : "`" + text + "`";
    }

    private static String otherwise(Setting setting) {
        if (setting.fallback().isEmpty()) {
            return setting.unset();
        }
        return code(setting.fallback()) + (setting.unset().isEmpty() ? "" : ": " + setting.unset());
    }

    private static String row(String... cells) {
        return Stream.of(cells).collect(Collectors.joining(" | ", "| ", " |\n")).replace("|  |", "| |");
    }

    private static String everydayTable() {
        StringBuilder table = new StringBuilder(row("setting", "flag", "default", "what") + "|---|---|---|---|\n");
        settings().stream()
                .filter(setting -> setting.use() == Use.EVERYDAY)
                .map(setting -> row(code(setting.key()), code(setting.flag()), otherwise(setting), setting.means()))
                .forEach(table::append);
        return table.toString();
    }

    private static String wholeTable() {
        StringBuilder table =
                new StringBuilder(row("setting", "flag", "allowed", "default", "what") + "|---|---|---|---|---|\n");
        for (RecordComponent component : Settings.all()) {
            Setting setting = SettingReader.setting(component);
            table.append(row(
                    code(setting.key()),
                    code(setting.flag()),
                    SettingReader.allowed(component),
                    otherwise(setting),
                    setting.means()));
        }
        return table.toString();
    }

    @Test
    void theReadmeHasTheTable() throws IOException {
        check(Path.of("README.md"), everydayTable());
    }

    @Test
    void theListOfAllSettingsIsWhole() throws IOException {
        check(Path.of("docs/settings.md"), wholeTable());
    }

    private static void check(Path file, String table) throws IOException {
        String text = Files.readString(file);
        int begin = text.indexOf(BEGIN);
        int end = text.indexOf(END);
        assertThat(begin).as("place of \"%s\" in %s", BEGIN.strip(), file).isNotNegative();
        assertThat(end).as("place of \"%s\" in %s", END.strip(), file).isGreaterThan(begin);
        String made = text.substring(0, begin) + BEGIN + table + text.substring(end);
        if ("write".equals(System.getProperty("weft.tables"))) {
            Files.writeString(file, made);
        } else {
            assertThat(text)
                    .as("%s; -Dweft.tables=write writes its table anew", file)
                    .isEqualTo(made);
        }
    }

    @Test
    void keysAndFlagsAreUnique() {
        for (Function<Setting, String> name : List.<Function<Setting, String>>of(Setting::key, Setting::flag)) {
            assertThat(settings().stream().map(name).filter(text -> !text.isEmpty()))
                    .doesNotHaveDuplicates();
        }
    }

    @Test
    void eachHasADefaultOrSaysWhatHappensWithoutAndEachFlagHasALabel() {
        for (Setting setting : settings()) {
            assertThat(setting.fallback() + setting.unset()).as(setting.key()).isNotEmpty();
            assertThat(setting.means()).as(setting.key()).endsWith(".");
            assertThat(setting.label().isEmpty())
                    .as(setting.key())
                    .isEqualTo(setting.flag().isEmpty() || setting.kind() == Setting.Kind.BOOLEAN);
        }
    }

    /** Quarkus has to know the time, too. */
    @Test
    void thePropertiesFileHasTheSameDefaults() throws IOException {
        Properties file = new Properties();
        try (var in = getClass().getResourceAsStream("/application.properties")) {
            file.load(in);
        }
        for (Setting setting : settings()) {
            String value = file.getProperty(setting.key());
            if (value != null) {
                assertThat(value).as(setting.key()).isEqualTo(setting.fallback());
            }
        }
    }

    private static Map<String, Setting> byChartKey() {
        Map<String, Setting> keys = new TreeMap<>();
        for (Setting setting : settings()) {
            if (!BESIDE_THE_CHARTS_SETTINGS.containsKey(setting.key())) {
                String seconds = setting.kind() == Kind.DURATION ? "Seconds" : "";
                keys.put(camelCase(setting.key().substring("weft.".length())) + seconds, setting);
            }
        }
        return keys;
    }

    private static String camelCase(String key) {
        List<String> words = new ArrayList<>(List.of(key.split("[-.]")));
        return words.removeFirst()
                + words.stream()
                        .map(word -> word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1))
                        .collect(Collectors.joining());
    }

    @Test
    void theChartHasEverySetting() throws IOException {
        assertThat(settings().stream().map(Setting::key)).containsAll(BESIDE_THE_CHARTS_SETTINGS.keySet());
        JsonNode values = new YAMLMapper().readTree(CHART.resolve("values.yaml").toFile());
        assertThat(values.path("settings").fieldNames())
                .toIterable()
                .containsExactlyInAnyOrderElementsOf(byChartKey().keySet());
    }

    @Test
    void theChartNamesTheSettingsInItsComments() throws IOException {
        String values = Files.readString(CHART.resolve("values.yaml"));
        for (Setting setting : byChartKey().values()) {
            assertThat(values).contains("(" + setting.key() + ")");
        }
    }

    /** The chart may be stricter: a seed must be a number that JSON keeps, and a cell and a stall be sensible. */
    @Test
    void theChartAllowsNothingThatTheServiceRefuses() throws IOException {
        JsonNode schema = new ObjectMapper()
                .readTree(CHART.resolve("values.schema.json").toFile())
                .at("/properties/settings/properties");
        byChartKey().forEach((key, setting) -> {
            JsonNode bounds = schema.path(key);
            switch (setting.kind()) {
                case WHOLE, DECIMAL -> {
                    assertThat(bounds.path("minimum").doubleValue()).as(key).isGreaterThanOrEqualTo(setting.least());
                    assertThat(bounds.path("maximum").doubleValue()).as(key).isLessThanOrEqualTo(setting.most());
                }
                case DECIMAL_ABOVE -> {
                    assertThat(bounds.path("exclusiveMinimum").doubleValue())
                            .as(key)
                            .isEqualTo(setting.least());
                    assertThat(bounds.path("maximum").doubleValue()).as(key).isEqualTo(setting.most());
                }
                case CHOICE -> assertThat(bounds.path("enum")).as(key).isNotEmpty();
                case BOOLEAN ->
                    assertThat(bounds.path("type").valueStream().map(JsonNode::textValue))
                            .as(key)
                            .containsExactly("boolean", "null");
                case DURATION ->
                    assertThat(bounds.path("minimum").longValue()).as(key).isPositive();
                case TEXT, TEXTS, SECRET, PATH, SIZE ->
                    assertThat(bounds.isObject()).as(key).isTrue();
            }
        });
    }
}
