package io.weft.device;

/**
 * A device's description of itself.
 *
 * @param kind {@code cpu} or {@code cuda}
 * @param name the hardware's name, with details that distinguish similar machines; the key of profiles
 * @param deviceBudgetBytes device memory that may be allocated, weights included
 * @param hostBudgetBytes host memory that may be allocated (pinned, on a device with a real link)
 * @param cellTokens tokens of a cell of attention's grid that suit it
 */
public record DeviceInfo(String kind, String name, long deviceBudgetBytes, long hostBudgetBytes, int cellTokens) {}
