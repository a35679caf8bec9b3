package io.weft.app;

import io.weft.app.Settings.DeviceChoice;
import io.weft.device.Device;
import io.weft.device.DeviceException;
import io.weft.device.ElementType;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.device.cuda.CudaDevice;
import io.weft.device.cuda.CudaOptions;
import io.weft.device.cuda.CudaProbe;
import io.weft.plan.whatif.PlanQuestion;
import java.lang.System.Logger.Level;
import java.lang.management.ManagementFactory;
import java.util.Optional;
import java.util.OptionalDouble;

/** Opens the device that the settings ask for. */
public final class Devices {
    /** Part of the machine's memory that is taken without a setting; on the CPU device for each of its two arenas. */
    private static final double HOST_MEMORY_SHARE = 0.25;

    /** Part of the free memory of a GPU that is taken without a setting. */
    private static final double GPU_MEMORY_SHARE = 0.9;

    /** Each of the two arenas of the reference. */
    private static final long REFERENCE_BYTES = 2L << 30;

    private static final System.Logger LOG = System.getLogger(Devices.class.getName());

    private Devices() {}

    /**
     * Opens a device. Where the choice was left open, a line in the log says why it is not a GPU.
     *
     * @param stored how the model's weights are stored
     * @throws DeviceException if the one that was asked for is not there
     */
    public static Device open(Settings settings, ElementType stored) {
        return switch (settings.machine().device()) {
            case CPU -> cpu(settings);
            case CUDA -> cuda(settings, stored);
            case AUTO -> {
                Optional<String> missing = CudaProbe.missing(cudaOptions(settings, stored, 0));
                missing.ifPresent(reason -> LOG.log(Level.INFO, reason + "; running on the CPU"));
                yield missing.isPresent() ? cpu(settings) : cuda(settings, stored);
            }
        };
    }

    /**
     * Fails early if the GPU that was asked for is not there; allocates nothing.
     *
     * @throws DeviceException as {@link #open} would
     */
    static void requireChosen(Settings settings, ElementType stored) {
        if (settings.machine().device() == DeviceChoice.CUDA) {
            CudaProbe.missing(cudaOptions(settings, stored, 0)).ifPresent(reason -> {
                throw new DeviceException(reason);
            });
        }
    }

    /** The CPU device that other devices are compared with. */
    public static Device reference(Settings settings) {
        return new CpuDevice(new CpuOptions(
                REFERENCE_BYTES,
                REFERENCE_BYTES,
                OptionalDouble.empty(),
                settings.machine().kernelThreads()));
    }

    private static Device cpu(Settings settings) {
        long share = (long) (HOST_MEMORY_SHARE * physicalMemoryBytes());
        return new CpuDevice(new CpuOptions(
                settings.machine().deviceMemoryBytes().orElse(share),
                settings.machine().hostMemoryBytes().orElse(share),
                settings.machine().cpuLinkGigabytesPerSecond(),
                settings.machine().kernelThreads()));
    }

    private static Device cuda(Settings settings, ElementType stored) {
        long deviceBytes = settings.machine().deviceMemoryBytes().orElseGet(() ->
                (long) (GPU_MEMORY_SHARE * CudaDevice.freeDeviceBytes(cudaOptions(settings, stored, 0))));
        return new CudaDevice(cudaOptions(settings, stored, deviceBytes));
    }

    private static CudaOptions cudaOptions(Settings settings, ElementType stored, long deviceBytes) {
        return new CudaOptions(
                settings.machine().cudaOrdinal(),
                deviceBytes,
                settings.machine().hostMemoryBytes().orElse((long) (HOST_MEMORY_SHARE * physicalMemoryBytes())),
                switch (settings.machine().elementType()) {
                    case AUTO -> stored == ElementType.BF16 ? ElementType.BF16 : ElementType.F16;
                    case F16 -> ElementType.F16;
                    case BF16 -> ElementType.BF16;
                },
                PlanQuestion.GPU_CELL_TOKENS,
                settings.machine().cublasPath());
    }

    /** Of the machine, or of the container that limits it. */
    private static long physicalMemoryBytes() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getTotalMemorySize();
    }
}
