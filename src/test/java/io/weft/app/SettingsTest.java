package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.smallrye.config.EnvConfigSource;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.weft.device.ElementType;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelPreset;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.eclipse.microprofile.config.Config;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SettingsTest {
    private static Settings read(Map<String, String> properties) {
        return Settings.read(new SmallRyeConfigBuilder()
                .withSources(new PropertiesConfigSource(properties, "test", 1000))
                .build());
    }

    @Test
    void hasDefaults() {
        Settings settings = read(Map.of());
        assertThat(settings.model().source()).isEqualTo("demo");
        assertThat(settings.machine().device()).isEqualTo(Settings.DeviceChoice.AUTO);
        assertThat(settings.cache().schedule()).isEqualTo(Settings.ScheduleChoice.AUTO);
        assertThat(settings.cache().cellTokens()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "24GB, 24000000000",
        "24 gb, 24000000000",
        "24GiB, 25769803776",
        "512MiB, 536870912",
        "1.5g, 1500000000",
        "4096, 4096",
        "64KB, 64000",
        "2Ti, 2199023255552"
    })
    void readsSizes(String text, long bytes) {
        assertThat(read(Map.of("weft.host-memory", text)).machine().hostMemoryBytes())
                .hasValue(bytes);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "weft.schedule | fast | one of auto, resident, full-transfer, kvpr, chunked",
                "weft.device | gpu | one of auto, cpu, cuda",
                "weft.host-memory | lots | a size such as 24GB",
                "weft.host-memory | -1GB | a size such as 24GB",
                "weft.device-memory | 9999999999TB | at most 1 EiB",
                "weft.max-sequences | 0 | a whole number from 1 to 4096",
                "weft.max-sequences | 1e3 | a whole number from 1 to 4096",
                "weft.block-tokens | 12.5 | a whole number",
                "weft.cell-tokens | 40 | a multiple of weft.block-tokens, 16",
                "weft.cache-encoding | fp4 | one of exact, fp8, int8, int4",
                "weft.cpu.link-gbps | 0 | a number above 0",
                "weft.cpu.link-gbps | NaN | a number above 0",
                "weft.drain-timeout | soon | a duration such as 30s",
                "weft.chunk-tokens | 0 | a whole number from 1",
                "weft.management-port | 8080 | another port than the API's (quarkus.http.port)"
            })
    void namesKeyValueAndWhatIsAllowed(String key, String value, String allowed) {
        assertThatThrownBy(() -> read(Map.of(key, value)))
                .isInstanceOf(SettingException.class)
                .hasMessageContaining(key)
                .hasMessageContaining("\"" + value + "\"")
                .hasMessageContaining(allowed);
    }

    @Test
    void theManagementPortDiffersFromTheOneThatIsSet() {
        assertThat(read(Map.of("quarkus.http.port", "9000", "weft.management-port", "8080"))
                        .server()
                        .managementPort())
                .hasValue(8080);
        assertThatThrownBy(() -> read(Map.of("quarkus.http.port", "9000", "weft.management-port", "9000")))
                .isInstanceOf(SettingException.class)
                .hasMessageContaining("weft.management-port is \"9000\"");
    }

    /** Who sets a key means to have one: a server that is open to all is no answer to an empty variable. */
    @ParameterizedTest
    @ValueSource(strings = {"", "  "})
    void anApiKeyIsNotBlank(String key) {
        Config environment = new SmallRyeConfigBuilder()
                .withSources(new EnvConfigSource(Map.of("WEFT_API_KEY", key), 300))
                .build();

        assertThatThrownBy(() -> Settings.read(environment))
                .isInstanceOf(SettingException.class)
                .hasMessage("weft.api-key is \"%s\", must be more than blanks, or not be set at all", key);
        assertThatThrownBy(() -> read(Map.of("weft.api-key", key))).isInstanceOf(SettingException.class);
    }

    @ParameterizedTest
    @CsvSource({
        "exact,,,16,256",
        "exact,32,,32,256",
        "exact,,48,16,48",
        "int4,,,64,64",
        "fp8,32,,32,32",
        "int8,,16,16,16"
    })
    void blocksAndCellsDependOnTheEncoding(
            String encoding, @Nullable String block, @Nullable String cell, int blockTokens, int cellTokens) {
        Map<String, String> settings = new HashMap<>(Map.of("weft.cache-encoding", encoding));
        settings.computeIfAbsent("weft.block-tokens", key -> block);
        settings.computeIfAbsent("weft.cell-tokens", key -> cell);
        CacheGeometry geometry =
                read(settings).cache().geometry(ModelPreset.OPT_1_3B.dimensions(), ElementType.BF16, 256);

        assertThat(geometry.policy().label()).isEqualTo(encoding);
        assertThat(geometry.blockTokens()).isEqualTo(blockTokens);
        assertThat(geometry.cellTokens()).isEqualTo(cellTokens);
    }

    @Test
    void cellsAreBlocksUnderALossyEncoding() {
        Map<String, String> settings =
                Map.of("weft.cache-encoding", "int4", "weft.block-tokens", "64", "weft.cell-tokens", "128");

        assertThatThrownBy(() -> read(settings))
                .isInstanceOf(SettingException.class)
                .hasMessage(
                        "weft.cell-tokens is \"128\", must be weft.block-tokens, 64, with weft.cache-encoding=int4");
    }

    @Test
    void aSettingMayDependOnAnother() {
        assertThat(read(Map.of()).batch().stepTokens()).isEqualTo(512);
        assertThat(read(Map.of("weft.max-sequences", "600")).batch().stepTokens())
                .isEqualTo(600);
        assertThatThrownBy(() -> read(Map.of("weft.max-sequences", "600", "weft.max-batch-tokens", "599")))
                .isInstanceOf(SettingException.class)
                .hasMessage("weft.max-batch-tokens is \"599\", must be a whole number from 600 to 1048576");
    }

    @Test
    void aBatchOfKnownSizeChangesNothingElse() {
        Settings settings = read(Map.of("weft.model", "m", "weft.max-batch-tokens", "64", "weft.max-sequences", "8"));

        Settings known = settings.forBatch(100, OptionalInt.of(50), OptionalLong.of(4000));

        assertThat(known.batch())
                .isEqualTo(new Settings.Batch(
                        OptionalInt.of(50), 100, OptionalInt.of(100), Settings.SpeculationChoice.AUTO));
        assertThat(known.cacheTokens()).hasValue(4000);
        assertThat(known.forBatch(8, OptionalInt.empty(), OptionalLong.empty()).model())
                .isEqualTo(settings.model());
    }

    /** As a shell would; an environment has no shell. */
    @Test
    void aPathMayBeginAtHome() {
        assertThat(read(Map.of("weft.profile-directory", "~/p")).machine().profileDirectory())
                .isEqualTo(Path.of(System.getProperty("user.home"), "p"));
    }

    @Test
    void withoutAnApiKeyNoneIsAskedFor() {
        assertThat(read(Map.of()).server().apiKeys()).isEmpty();
        assertThat(read(Map.of("weft.api-key", "k")).server().apiKeys()).containsExactly("k");
        assertThat(read(Map.of("weft.api-key", "one, another,")).server().apiKeys())
                .containsExactly("one", "another");
    }
}
