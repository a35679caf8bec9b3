package io.weft.device.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;

/** Whether this machine and this build can run on a GPU. */
public final class CudaProbe {
    private static final String KERNELS = "/weft/cuda/kernels.fatbin";
    /** The resource with the major version of the CUDA that compiled the kernels. */
    private static final String TOOLKIT = "/weft/cuda/kernels.toolkit";

    private CudaProbe() {}

    /**
     * Says in one line what a CUDA device with these options lacks first; empty if it can be opened. Allocates nothing.
     */
    public static Optional<String> missing(CudaOptions options) {
        String system = System.getProperty("os.name") + " on " + System.getProperty("os.arch");
        if (!system.toLowerCase(Locale.ROOT).equals("linux on amd64")) {
            return Optional.of("no CUDA device: it needs Linux on x86-64, this is " + system);
        }
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup(DriverCalls.LIBRARY, arena);
        } catch (IllegalArgumentException e) {
            return Optional.of("no CUDA device: the NVIDIA driver (" + DriverCalls.LIBRARY + ") is not installed");
        }
        if (CudaProbe.class.getResource(KERNELS) == null) {
            return Optional.of("no CUDA device: this build has no CUDA kernels, because nvcc was not found");
        }
        try {
            JCudaLibrary.load();
        } catch (LinkageError | UncheckedIOException e) {
            return Optional.of("no CUDA device: JCuda's native part cannot be loaded: " + firstLine(e));
        }
        return missingGpu(options.ordinal()).or(() -> missingCublas(options));
    }

    private static Optional<String> missingGpu(int ordinal) {
        int result = JCudaDriver.cuInit(0);
        if (result != CudaErrors.SUCCESS) {
            return Optional.of(
                    "no CUDA device: " + CudaErrors.exception(result, "cuInit").getMessage());
        }
        int[] version = new int[1];
        result = JCudaDriver.cuDriverGetVersion(version);
        if (result == CudaErrors.SUCCESS) {
            Optional<String> outdated = outdated(version[0], toolkit());
            if (outdated.isPresent()) {
                return outdated;
            }
        }
        int[] count = new int[1];
        result = JCudaDriver.cuDeviceGetCount(count);
        if (result != CudaErrors.SUCCESS || count[0] == 0) {
            return Optional.of("no CUDA device: the driver sees no GPU");
        }
        if (ordinal >= count[0]) {
            return Optional.of("no CUDA device %d: the driver sees %d, counted from 0".formatted(ordinal, count[0]));
        }
        CUdevice device = new CUdevice();
        result = JCudaDriver.cuDeviceGet(device, ordinal);
        if (result != CudaErrors.SUCCESS) {
            return Optional.of("no CUDA device: "
                    + CudaErrors.exception(result, "cuDeviceGet of GPU " + ordinal)
                            .getMessage());
        }
        int capability = CudaContext.capability(device);
        if (capability < CudaContext.CAPABILITY_LEAST) {
            return Optional.of("no CUDA device: %s has compute capability %d.%d, the kernels need %d.%d"
                    .formatted(
                            CudaContext.name(device),
                            capability / 10,
                            capability % 10,
                            CudaContext.CAPABILITY_LEAST / 10,
                            CudaContext.CAPABILITY_LEAST % 10));
        }
        return Optional.empty();
    }

    /**
     * Whether a driver is too old for kernels.
     *
     * @param driver the CUDA version of the driver, as in 12080
     * @param toolkit major version of the CUDA that compiled the kernels; empty if unknown
     */
    static Optional<String> outdated(int driver, OptionalInt toolkit) {
        if (toolkit.isEmpty() || driver / 1000 >= toolkit.getAsInt()) {
            return Optional.empty();
        }
        return Optional.of(
                "no CUDA device: the NVIDIA driver knows CUDA %d.%d, but the kernels were compiled by CUDA %d: install a newer driver, or build with an older nvcc"
                        .formatted(driver / 1000, driver % 1000 / 10, toolkit.getAsInt()));
    }

    private static OptionalInt toolkit() {
        try (InputStream in = CudaProbe.class.getResourceAsStream(TOOLKIT)) {
            return in == null
                    ? OptionalInt.empty()
                    : OptionalInt.of(
                            Integer.parseInt(new String(in.readAllBytes(), StandardCharsets.US_ASCII).strip()));
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + TOOLKIT, e);
        }
    }

    private static Optional<String> missingCublas(CudaOptions options) {
        if (CublasLt.find(options.cublasPath()).isPresent()) {
            return Optional.empty();
        }
        return Optional.of(
                "no CUDA device: "
                        + options.cublasPath()
                                .map(path ->
                                        "weft.cuda.cublas-path is " + path + ", which has no cuBLASLt of CUDA 12 or 13")
                                .orElse(
                                        "cuBLASLt (libcublasLt.so.13 or .12) was not found, weft.cuda.cublas-path may name it"));
    }

    private static String firstLine(Throwable e) {
        return String.valueOf(e.getMessage())
                .lines()
                .findFirst()
                .orElse(e.getClass().getSimpleName());
    }

    /** The compiled kernels. */
    static byte[] kernels() {
        try (InputStream in = CudaProbe.class.getResourceAsStream(KERNELS)) {
            if (in == null) {
                throw new IllegalStateException(KERNELS + " is missing");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + KERNELS, e);
        }
    }
}
