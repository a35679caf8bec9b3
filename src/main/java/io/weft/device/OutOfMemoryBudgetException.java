package io.weft.device;

/**
 * An allocation does not fit its budget. The message names what it was for, the figures and the setting that raises the
 * budget.
 */
public final class OutOfMemoryBudgetException extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * @param purpose what the memory was for, as a person would say it
     * @param requestedBytes what was asked for
     * @param usedBytes what the budget already holds
     * @param budgetBytes the budget
     * @param setting the setting that names the budget, such as {@code weft.device-memory}
     */
    public OutOfMemoryBudgetException(
            String purpose, long requestedBytes, long usedBytes, long budgetBytes, String setting) {
        super("%s needs %,d bytes, but %,d of the %,d bytes of %s are in use: raise %s or ask for less"
                .formatted(purpose, requestedBytes, usedBytes, budgetBytes, setting, setting));
    }
}
