package io.weft.device.cuda;

import io.weft.device.DeviceException;
import java.util.function.Supplier;
import jcuda.driver.CUresult;

/** Turns result codes of the driver into exceptions. */
final class CudaErrors {
    static final int SUCCESS = CUresult.CUDA_SUCCESS;
    static final int NOT_READY = CUresult.CUDA_ERROR_NOT_READY;
    static final int OUT_OF_MEMORY = CUresult.CUDA_ERROR_OUT_OF_MEMORY;

    private CudaErrors() {}

    /**
     * The error of a refused call.
     *
     * @param call the call and its sizes
     */
    static DeviceException exception(int result, String call) {
        return new DeviceException("%s failed: %s (%d)".formatted(call, CUresult.stringFor(result), result));
    }

    /** Throws if a call was refused. */
    static void check(int result, Supplier<String> call) {
        if (result != SUCCESS) {
            throw exception(result, call.get());
        }
    }

    /** Throws if a call was refused. */
    static void check(int result, String call) {
        if (result != SUCCESS) {
            throw exception(result, call);
        }
    }
}
