package io.weft.profile;

import io.weft.device.Device;
import io.weft.device.DeviceInfo;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelWeights;
import io.weft.plan.machine.HardwareProfile;
import io.weft.profile.ProfileStore.StoredProfile;
import io.weft.profile.Profiler.Effort;
import io.weft.profile.Profiler.Measurement;
import jakarta.enterprise.context.ApplicationScoped;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Provides the machine's profile: reads a stored one, or measures it and stores it. */
@ApplicationScoped
public class HardwareProfiler {
    private static final System.Logger LOG = System.getLogger(HardwareProfiler.class.getName());
    private static final Duration PATIENT_WARM_UP_MOST = Duration.ofSeconds(15);
    /** The directory of profiles that were measured while somebody waited for the service. */
    private static final String FROM_START = "start";

    private final Effort effort;
    private final Runnable quiet;
    private final Kept kept;
    private final HostClock clock;
    private volatile @Nullable HardwareProfile current;

    public HardwareProfiler() {
        this(() -> {});
    }

    /**
     * A profiler for a service that starts.
     *
     * @param quiet returns once nothing else is starting, which would take processors and the compiler from kernels
     */
    public HardwareProfiler(Runnable quiet) {
        this(Effort.START, Kept.USED, quiet, HostClock.SYSTEM);
    }

    /** @param warmUpMost the most time to run kernels until they no longer become faster */
    public HardwareProfiler(Duration warmUpMost) {
        this(Effort.patient(warmUpMost), Kept.USED, () -> {}, HostClock.SYSTEM);
    }

    HardwareProfiler(Effort effort, Kept kept, Runnable quiet, HostClock clock) {
        this.effort = effort;
        this.kept = kept;
        this.quiet = quiet;
        this.clock = clock;
    }

    /** A profiler that measures even if there is a stored profile, and stores the result. */
    public static HardwareProfiler anew() {
        return new HardwareProfiler(Effort.patient(PATIENT_WARM_UP_MOST), Kept.REPLACED, () -> {}, HostClock.SYSTEM);
    }

    /** Whether a quick start matters more than the last percent of a prediction, which adapts to the steps anyway. */
    private boolean isStart() {
        return effort.equals(Effort.START);
    }

    /** How to treat a stored profile. */
    enum Kept {
        USED,
        REPLACED
    }

    /**
     * Reads or measures the profile of a device and a model, and puts it in force.
     *
     * @param weights loaded onto {@code device}
     * @param memory memory that is overwritten if it has to measure
     * @param directory directory of stored profiles
     */
    public HardwareProfile profile(
            Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory, Path directory) {
        ProfileStore store = new ProfileStore(directory);
        ProfileStore fromStart = new ProfileStore(directory.resolve(FROM_START));
        String key = key(device, geometry)
                + weights.encoding().map(encoding -> " | " + encoding.label()).orElse("");
        Optional<HardwareProfile> known = switch (kept) {
            case USED -> store.load(key).or(() -> isStart() ? fromStart.load(key) : Optional.empty());
            case REPLACED -> Optional.empty();
        };
        HardwareProfile profile = known.orElseGet(() -> {
            Measurement measured = measure(device, weights, geometry, memory);
            if (measured.isSteady()) {
                (isStart() ? fromStart : store)
                        .save(StoredProfile.of(device, geometry, measured.profile())
                                .forKey(key));
            }
            return measured.profile();
        });
        current = profile;
        return profile;
    }

    /** Measures even if there is a stored profile, and puts the result in force. */
    public Measurement measure(Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory) {
        quiet.run();
        long started = clock.nanos();
        Measurement measured = new Profiler(device, weights, geometry, memory, effort, clock).measure();
        current = measured.profile();
        LOG.log(
                Level.INFO,
                "measured {0} in {1} ms: link {2} GB/s{3}",
                measured.profile().device(),
                TimeUnit.NANOSECONDS.toMillis(clock.nanos() - started),
                "%.2f".formatted(measured.profile().linkBytesPerSecond() / 1e9),
                measured.isSteady() ? "" : "; kernels were still getting faster, so this will be measured again");
        return measured;
    }

    /**
     * A function that gives a known profile the current rate of the link, which other users slow down at times.
     *
     * @param memory overwritten each time
     */
    public UnaryOperator<HardwareProfile> linkMeter(
            Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory) {
        Profiler profiler = new Profiler(device, weights, geometry, memory, effort, clock);
        return known -> known.withLinkTimes(profiler.linkTimes(known.linkIn()));
    }

    /** The profile in force; empty before a model has been started. */
    public Optional<HardwareProfile> current() {
        return Optional.ofNullable(current);
    }

    /** Puts another profile in force, such as one that follows the measured steps. */
    public void replace(HardwareProfile profile) {
        current = profile;
    }

    /**
     * The properties on which a profile depends. A device's name distinguishes machines with different processors,
     * threads or links.
     */
    public static String key(Device device, CacheGeometry geometry) {
        DeviceInfo info = device.info();
        return "%s | %s | %s | %s".formatted(info.kind(), info.name(), device.elementType(), geometry);
    }
}
