package io.weft.app;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.weft.device.DeviceException;
import io.weft.device.ElementType;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** With a GPU that no machine has: the one with the highest ordinal that may be set. */
class DevicesTest {
    private static Settings settings(String device) {
        Map<String, String> properties = Map.of("weft.device", device, "weft.cuda.device", "1024");
        return Settings.read(new SmallRyeConfigBuilder()
                .withSources(new PropertiesConfigSource(properties, "test", 1000))
                .build());
    }

    @Test
    void aGpuThatWasAskedForAndIsNotThereIsSaidBeforeAnythingStarts() {
        assertThatThrownBy(() -> Devices.requireChosen(settings("cuda"), ElementType.F16))
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith("no CUDA device");
    }

    @ParameterizedTest
    @ValueSource(strings = {"auto", "cpu"})
    void whereNoneWasAskedForNoneIsMissed(String device) {
        assertThatCode(() -> Devices.requireChosen(settings(device), ElementType.F16))
                .doesNotThrowAnyException();
    }
}
