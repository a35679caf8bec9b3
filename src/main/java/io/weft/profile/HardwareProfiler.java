package io.weft.profile;

import io.weft.device.Device;
import io.weft.device.DeviceInfo;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelWeights;
import io.weft.plan.HardwareProfile;
import io.weft.profile.ProfileStore.StoredProfile;
import io.weft.profile.Profiler.Measurement;
import jakarta.enterprise.context.ApplicationScoped;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Knows the machine's profile: reads the one that was kept, or measures and keeps it. */
@ApplicationScoped
public class HardwareProfiler {
    private static final System.Logger LOG = System.getLogger(HardwareProfiler.class.getName());
    /** Kernels of the CPU device have to be compiled first, on a busy machine for this long; a GPU is ready sooner. */
    private static final Duration WARM_UP_MOST = Duration.ofMillis(150);

    private static final Duration PATIENT_WARM_UP_MOST = Duration.ofSeconds(15);
    /** Where profiles are kept that were measured before kernels had stopped getting faster. */
    private static final String HASTY = "hasty";

    private final Duration warmUpMost;
    private final Kept kept;
    private volatile @Nullable HardwareProfile current;

    public HardwareProfiler() {
        this(WARM_UP_MOST, Kept.USED);
    }

    /** @param warmUpMost time that may be spent on running kernels until they no longer get faster */
    public HardwareProfiler(Duration warmUpMost) {
        this(warmUpMost, Kept.USED);
    }

    private HardwareProfiler(Duration warmUpMost, Kept kept) {
        this.warmUpMost = warmUpMost;
        this.kept = kept;
    }

    /** One that measures whatever has been kept, and keeps the result. */
    public static HardwareProfiler anew() {
        return new HardwareProfiler(PATIENT_WARM_UP_MOST, Kept.REPLACED);
    }

    /** Whether a start matters more than the last percent of a prediction, which adapts to the steps anyway. */
    private boolean isHasty() {
        return warmUpMost.compareTo(WARM_UP_MOST) <= 0;
    }

    /** What becomes of a profile that was kept. */
    private enum Kept {
        USED,
        REPLACED
    }

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
        ProfileStore hasty = new ProfileStore(directory.resolve(HASTY));
        String key = key(device, geometry);
        Optional<HardwareProfile> known = switch (kept) {
            case USED -> store.load(key).or(() -> isHasty() ? hasty.load(key) : Optional.empty());
            case REPLACED -> Optional.empty();
        };
        HardwareProfile profile = known.orElseGet(() -> {
            Measurement measured = measure(device, weights, geometry, memory);
            (measured.isSteady() ? store : hasty).save(StoredProfile.of(device, geometry, measured.profile()));
            return measured.profile();
        });
        current = profile;
        return profile;
    }

    /** Measures, whatever has been kept, and makes the result the profile in force. */
    public Measurement measure(Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory) {
        long started = System.nanoTime();
        Measurement measured = new Profiler(device, weights, geometry, memory, warmUpMost).measure();
        current = measured.profile();
        LOG.log(
                Level.INFO,
                "measured {0} in {1} ms: link {2} GB/s",
                measured.profile().device(),
                TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started),
                "%.2f".formatted(measured.profile().linkBytesPerSecond() / 1e9));
        return measured;
    }

    /** The profile in force; empty before a model has been started. */
    public Optional<HardwareProfile> current() {
        return Optional.ofNullable(current);
    }

    /** Puts another profile in force, such as one that follows what steps were measured to take. */
    public void replace(HardwareProfile profile) {
        current = profile;
    }

    /** What a profile depends on. A device's name tells machines with other processors, threads or links apart. */
    public static String key(Device device, CacheGeometry geometry) {
        DeviceInfo info = device.info();
        return "%s | %s | %s | %s".formatted(info.kind(), info.name(), device.elementType(), geometry);
    }
}
