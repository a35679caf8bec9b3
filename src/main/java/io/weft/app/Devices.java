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
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/** Opens the device that the settings choose. */
public final class Devices {
    /** The default part of the machine's memory to use; on the CPU device, for each of its two arenas. */
    private static final double HOST_MEMORY_SHARE = 0.25;

    /** The default part of a GPU's free memory to use. */
    private static final double GPU_MEMORY_SHARE = 0.9;

    /** The size of each of the two arenas of the reference. */
    private static final long REFERENCE_BYTES = 2L << 30;

    private static final System.Logger LOG = System.getLogger(Devices.class.getName());

    private Devices() {}

    /**
     * Opens a device. If the choice was left open, a line in the log says why it is not a GPU.
     *
     * @param stored the element type of the stored weights
     * @throws DeviceException if the requested device does not exist
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

    /** The element types that {@link #open} may give a device: a GPU has that of the stored weights, or a set one. */
    public static List<ElementType> elementTypes(Settings settings) {
        boolean isCpu = switch (settings.machine().device()) {
            case CPU -> true;
            case CUDA -> false;
            case AUTO ->
                CudaProbe.missing(cudaOptions(settings, ElementType.F16, 0)).isPresent();
        };
        if (isCpu) {
            return List.of(ElementType.F32);
        }
        return switch (settings.machine().elementType()) {
            case AUTO -> List.of(ElementType.F16, ElementType.BF16);
            case F16 -> List.of(ElementType.F16);
            case BF16 -> List.of(ElementType.BF16);
        };
    }

    /**
     * Fails early if the requested GPU does not exist; allocates nothing.
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

    /** The CPU device to which other devices are compared. */
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

    /** The memory of the machine, or of the container that limits it. */
    private static long physicalMemoryBytes() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getTotalMemorySize();
    }
}
