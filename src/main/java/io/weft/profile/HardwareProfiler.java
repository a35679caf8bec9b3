package io.weft.profile;

import io.weft.device.Device;
import io.weft.device.DeviceInfo;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelWeights;
import io.weft.plan.HardwareProfile;
import jakarta.enterprise.context.ApplicationScoped;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Knows the machine's profile: reads the one that was kept, or measures and keeps it. */
@ApplicationScoped
public class HardwareProfiler {
    private static final System.Logger LOG = System.getLogger(HardwareProfiler.class.getName());
    /** What the CPU device's kernels need to be compiled; a GPU only has to raise its clocks. */
    private static final long CPU_WARM_UP_NANOS = TimeUnit.MILLISECONDS.toNanos(400);

    private static final long GPU_WARM_UP_NANOS = TimeUnit.MILLISECONDS.toNanos(150);

    private volatile @Nullable HardwareProfile current;

    /**
     * Finds the profile of a device and a model, and makes it the one in force.
     *
     * @param weights loaded onto {@code device}
     * @param memory overwritten if it has to be measured
     * @param directory where profiles are kept
     */
    public HardwareProfile profile(
            Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory, Path directory) {
        ProfileStore store = new ProfileStore(directory);
        String key = key(device, geometry);
        Optional<HardwareProfile> kept = store.load(key);
        HardwareProfile profile = kept.orElseGet(() -> measure(device, weights, geometry, memory));
        if (kept.isEmpty()) {
            store.save(key, profile);
        }
        current = profile;
        return profile;
    }

    /** Measures, whatever has been kept. */
    public HardwareProfile measure(
            Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory) {
        long started = System.nanoTime();
        long warmUpNanos = device.info().kind().equals("cpu") ? CPU_WARM_UP_NANOS : GPU_WARM_UP_NANOS;
        HardwareProfile profile = new Profiler(device, weights, geometry, memory, warmUpNanos).measure();
        LOG.log(
                Level.INFO,
                "measured {0} in {1} ms: link {2} GB/s",
                profile.device(),
                TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started),
                "%.2f".formatted(profile.linkBytesPerSecond() / 1e9));
        current = profile;
        return profile;
    }

    /** The profile in force; empty before a model has been started. */
    public Optional<HardwareProfile> current() {
        return Optional.ofNullable(current);
    }

    /** Puts another profile in force, such as one that follows what steps were measured to take. */
    public void replace(HardwareProfile profile) {
        current = profile;
    }

    /**
     * What a profile depends on. A device's name tells machines with other processors, threads or links apart.
     */
    public static String key(Device device, CacheGeometry geometry) {
        DeviceInfo info = device.info();
        return "%s | %s | %s | %s".formatted(info.kind(), info.name(), device.elementType(), geometry);
    }
}
