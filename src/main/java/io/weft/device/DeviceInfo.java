package io.weft.device;

/**
 * What a device says of itself.
 *
 * @param kind {@code cpu} or {@code cuda}
 * @param name the hardware's name, with what tells two such machines apart; profiles are keyed by it
 * @param deviceBudgetBytes device memory that may be allocated, weights included
 * @param hostBudgetBytes host memory that may be allocated (pinned, on a device with a real link)
 */
public record DeviceInfo(String kind, String name, long deviceBudgetBytes, long hostBudgetBytes) {}
