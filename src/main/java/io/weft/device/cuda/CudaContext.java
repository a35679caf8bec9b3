package io.weft.device.cuda;

import static io.weft.device.cuda.CudaErrors.check;

import io.weft.device.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * The GPU's primary context and the objects in it, for the calls made at start, through JCuda. Handles are plain
 * addresses. Threads that issue must be platform threads: the driver keeps a current context per thread.
 */
final class CudaContext implements AutoCloseable {
    /** The least compute capability: tensor cores with fp32 sums and bf16, asynchronous copies. */
    static final int CAPABILITY_LEAST = 80;

    private static final int NAME_BYTES = 256;
    private static final ThreadLocal<@Nullable CudaContext> CURRENT = new ThreadLocal<>();

    private final CUdevice device = new CUdevice();
    private final CUcontext context = new CUcontext();
    private final CUmodule module = new CUmodule();
    private final Map<Long, MemoryHandle> memory = new ConcurrentHashMap<>();
    private final Arena arena = Arena.ofShared();
    private final int multiprocessors;
    private final int capability;
    private final ThreadLocal<ArgumentBlock> arguments = ThreadLocal.withInitial(() -> new ArgumentBlock(arena));

    // JCuda shows a handle only to subclasses.
    private static final class StreamHandle extends CUstream {
        long address() {
            return getNativePointer();
        }
    }

    private static final class EventHandle extends CUevent {
        long address() {
            return getNativePointer();
        }
    }

    private static final class FunctionHandle extends CUfunction {
        long address() {
            return getNativePointer();
        }
    }

    private static final class MemoryHandle extends CUdeviceptr {
        long address() {
            return getNativePointer();
        }
    }

    private static final class HostHandle extends Pointer {
        HostHandle() {}

        HostHandle(long address) {
            super(address);
        }

        long address() {
            return getNativePointer();
        }
    }

    /**
     * Opens a GPU and loads the kernels.
     *
     * @throws DeviceException if the driver refuses
     */
    CudaContext(int ordinal, byte[] kernels) {
        check(JCudaDriver.cuInit(0), "cuInit");
        check(JCudaDriver.cuDeviceGet(device, ordinal), "cuDeviceGet of GPU " + ordinal);
        check(JCudaDriver.cuDevicePrimaryCtxRetain(context, device), "cuDevicePrimaryCtxRetain of GPU " + ordinal);
        bind();
        try {
            this.capability = capability(device);
            this.multiprocessors = attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
            check(
                    JCudaDriver.cuModuleLoadData(module, kernels),
                    "cuModuleLoadData of %,d bytes of kernels".formatted(kernels.length));
        } catch (DeviceException e) {
            release();
            throw e;
        }
    }

    /** Makes this context the current one of the calling thread. */
    void bind() {
        if (CURRENT.get() != this) {
            check(JCudaDriver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
            CURRENT.set(this);
        }
    }

    /** The calling thread's block of launch arguments. */
    ArgumentBlock arguments() {
        return arguments.get().start();
    }

    /** An arena for small allocations that live as long as the context. */
    Arena arena() {
        return arena;
    }

    /** The name of the GPU, such as {@code NVIDIA H200}. */
    String name() {
        return name(device);
    }

    static String name(CUdevice device) {
        byte[] name = new byte[NAME_BYTES];
        check(JCudaDriver.cuDeviceGetName(name, name.length, device), "cuDeviceGetName");
        int length = 0;
        while (length < name.length && name[length] != 0) {
            length++;
        }
        return new String(Arrays.copyOf(name, length), java.nio.charset.StandardCharsets.UTF_8);
    }

    int multiprocessors() {
        return multiprocessors;
    }

    /** Major and minor number of the compute capability, as in 90. */
    int capability() {
        return capability;
    }

    /** Major and minor number of the compute capability, as in 90. */
    static int capability(CUdevice device) {
        return 10 * attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
                + attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    }

    private static int attribute(CUdevice device, int attribute) {
        int[] value = new int[1];
        check(JCudaDriver.cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute " + attribute);
        return value[0];
    }

    /** The properties on which the choice of kernels depends. */
    KernelSet.Gpu gpu() {
        return new KernelSet.Gpu(
                capability,
                multiprocessors,
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
    }

    /** The free bytes of device memory. */
    long freeBytes() {
        bind();
        long[] free = new long[1];
        long[] total = new long[1];
        check(JCudaDriver.cuMemGetInfo(free, total), "cuMemGetInfo");
        return free[0];
    }

    /** Looks up a kernel that is launched with {@code sharedBytes} bytes of shared memory. */
    CudaKernel kernel(String name, int arguments, int sharedBytes) {
        bind();
        FunctionHandle function = new FunctionHandle();
        check(JCudaDriver.cuModuleGetFunction(function, module, name), "cuModuleGetFunction of " + name);
        if (sharedBytes > 0) {
            check(
                    JCudaDriver.cuFuncSetAttribute(
                            function,
                            CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                            sharedBytes),
                    "cuFuncSetAttribute of %s for %,d bytes of shared memory".formatted(name, sharedBytes));
        }
        return new CudaKernel(name, function.address(), arguments, sharedBytes);
    }

    /** Allocates device memory. */
    long allocate(String purpose, long bytes) {
        bind();
        MemoryHandle allocated = new MemoryHandle();
        int result = JCudaDriver.cuMemAlloc(allocated, Math.max(1, bytes));
        if (result == CudaErrors.OUT_OF_MEMORY) {
            throw new DeviceException(
                    "%s: cuMemAlloc of %,d bytes failed, the GPU has %,d bytes left: lower weft.device-memory"
                            .formatted(purpose, bytes, freeBytes()),
                    CudaErrors.exception(result, "cuMemAlloc"));
        }
        check(result, "cuMemAlloc of %,d bytes for %s".formatted(bytes, purpose));
        memory.put(allocated.address(), allocated);
        return allocated.address();
    }

    void free(long address) {
        bind();
        // Freeing fails only after a sticky error, when the process is about to end anyway.
        MemoryHandle allocated = memory.remove(address);
        if (allocated != null) {
            JCudaDriver.cuMemFree(allocated);
        }
    }

    /** Allocates pinned host memory. */
    MemorySegment allocateHost(String purpose, long bytes) {
        bind();
        HostHandle memory = new HostHandle();
        int result = JCudaDriver.cuMemHostAlloc(
                memory,
                Math.max(1, bytes),
                JCudaDriver.CU_MEMHOSTALLOC_PORTABLE | JCudaDriver.CU_MEMHOSTALLOC_DEVICEMAP);
        check(
                result,
                "%s: cuMemHostAlloc of %,d bytes (if memory is short, lower weft.host-memory)"
                        .formatted(purpose, bytes));
        return MemorySegment.ofAddress(memory.address()).reinterpret(bytes);
    }

    void freeHost(long address) {
        bind();
        JCudaDriver.cuMemFreeHost(new HostHandle(address));
    }

    /** Pins memory that was allocated from the system. */
    void pin(String purpose, long address, long bytes) {
        bind();
        int result =
                JCudaDriver.cuMemHostRegister(new HostHandle(address), bytes, JCudaDriver.CU_MEMHOSTREGISTER_PORTABLE);
        check(
                result,
                "%s: cuMemHostRegister of %,d bytes (if memory is short, lower weft.host-memory)"
                        .formatted(purpose, bytes));
    }

    void unpin(long address) {
        bind();
        JCudaDriver.cuMemHostUnregister(new HostHandle(address));
    }

    long createStream(String name) {
        bind();
        StreamHandle stream = new StreamHandle();
        check(JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING), "cuStreamCreate of " + name);
        return stream.address();
    }

    long createTimedEvent() {
        return createEvent(CUevent_flags.CU_EVENT_DEFAULT);
    }

    long createUntimedEvent() {
        return createEvent(CUevent_flags.CU_EVENT_DISABLE_TIMING);
    }

    private long createEvent(int flags) {
        bind();
        EventHandle event = new EventHandle();
        check(JCudaDriver.cuEventCreate(event, flags), "cuEventCreate");
        return event.address();
    }

    /** Waits for everything on every stream; false if a stream failed. */
    boolean synchronize() {
        bind();
        return JCudaDriver.cuCtxSynchronize() == CudaErrors.SUCCESS;
    }

    /** Releases the context with its streams, its events and the memory that is left. */
    @Override
    public void close() {
        bind();
        JCudaDriver.cuModuleUnload(module);
        release();
    }

    private void release() {
        JCudaDriver.cuCtxSetCurrent(new CUcontext());
        CURRENT.remove();
        JCudaDriver.cuDevicePrimaryCtxRelease(device);
        arena.close();
    }
}
