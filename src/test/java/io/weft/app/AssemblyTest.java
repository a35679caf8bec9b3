package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.weft.device.Device;
import io.weft.device.DeviceInfo;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelPreset;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.profile.ProfileStore;
import io.weft.profile.ProfileStore.StoredProfile;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AssemblyTest {
    private static final CacheGeometry GEOMETRY = PlanQuestion.usualGeometry(ModelPreset.OPT_1_3B);

    @TempDir
    Path directory;

    private Settings settings(Map<String, String> properties) {
        Map<String, String> all = new HashMap<>(properties);
        all.put("weft.profile-directory", directory.toString());
        return Settings.read(new SmallRyeConfigBuilder()
                .withSources(new PropertiesConfigSource(all, "test", 1000))
                .build());
    }

    @Test
    void aPlanForThisMachineDoesNotFindWhatWasMeasuredWithAThrottledLink() {
        Settings throttled = settings(Map.of("weft.cpu.link-gbps", "0.5"));
        ProfileStore searched = new ProfileStore(directory);
        try (Device device = new CpuDevice(new CpuOptions(1 << 20, 1 << 20, OptionalDouble.of(0.5), 1))) {
            StoredProfile profile =
                    StoredProfile.of(device, GEOMETRY, HardwarePreset.T4.spec().profile(GEOMETRY));
            ProfileStore store = new ProfileStore(Assembly.profileDirectory(throttled, device.info()));
            store.save(profile);

            assertThat(store.load(profile.key())).as("a later run of the kind").isPresent();
            assertThat(searched.newest(GEOMETRY.dimensions())).isEmpty();

            new ProfileStore(Assembly.profileDirectory(settings(Map.of()), device.info())).save(profile);
            assertThat(searched.newest(GEOMETRY.dimensions())).contains(profile);
        }
    }

    @Test
    void theSettingOfTheCpuDevicesLinkConcernsNoOtherDevice() {
        Settings throttled = settings(Map.of("weft.cpu.link-gbps", "0.5"));

        assertThat(Assembly.profileDirectory(throttled, new DeviceInfo("cuda", "a GPU", 1, 1, 256)))
                .isEqualTo(directory);
    }
}
