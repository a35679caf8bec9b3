package io.weft.device.cpu;

import java.util.OptionalDouble;

/**
 * The configuration of the CPU device.
 *
 * @param deviceBudgetBytes "device" memory
 * @param hostBudgetBytes "host" memory
 * @param linkGigabytesPerSecond bandwidth of the link between them, 10⁹ bytes a second each way; unlimited if empty
 * @param threads number of threads of kernels
 */
public record CpuOptions(
        long deviceBudgetBytes, long hostBudgetBytes, OptionalDouble linkGigabytesPerSecond, int threads) {
    public CpuOptions {
        if (deviceBudgetBytes < 0 || hostBudgetBytes < 0) {
            throw new IllegalArgumentException("memory budgets are %d and %d bytes, must not be negative"
                    .formatted(deviceBudgetBytes, hostBudgetBytes));
        }
        if (linkGigabytesPerSecond.isPresent() && !(linkGigabytesPerSecond.getAsDouble() > 0)) {
            throw new IllegalArgumentException(
                    "link is " + linkGigabytesPerSecond.getAsDouble() + " GB/s, must be above 0");
        }
        if (threads < 1) {
            throw new IllegalArgumentException("threads is " + threads + ", must be at least 1");
        }
    }
}
