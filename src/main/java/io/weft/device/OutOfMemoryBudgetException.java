package io.weft.device;

/**
 * An allocation does not fit its budget. The message names its purpose, the figures and the setting that raises the
 * budget.
 */
public final class OutOfMemoryBudgetException extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * @param purpose purpose of the memory, in words for people
     * @param requestedBytes requested bytes
     * @param usedBytes bytes that are already allocated from the budget
     * @param budgetBytes the budget
     * @param setting the setting that names the budget, such as {@code weft.device-memory}
     */
    public OutOfMemoryBudgetException(
            String purpose, long requestedBytes, long usedBytes, long budgetBytes, String setting) {
        super("%s needs %,d bytes, but %,d of the %,d bytes of %s are in use: raise %s or ask for less"
                .formatted(purpose, requestedBytes, usedBytes, budgetBytes, setting, setting));
    }
}
