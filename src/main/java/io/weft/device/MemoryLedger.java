package io.weft.device;

import io.weft.device.Device.Allocation;
import io.weft.device.Device.Allocation.Memory;
import java.util.ArrayList;
import java.util.List;

/** The allocations of a device from its two budgets. Not thread-safe. */
public final class MemoryLedger {
    private final long deviceBudgetBytes;
    private final long hostBudgetBytes;
    private final List<Allocation> allocations = new ArrayList<>();

    public MemoryLedger(long deviceBudgetBytes, long hostBudgetBytes) {
        this.deviceBudgetBytes = deviceBudgetBytes;
        this.hostBudgetBytes = hostBudgetBytes;
    }

    /**
     * Checks that {@code bytes} more bytes fit the budget.
     *
     * @throws OutOfMemoryBudgetException if they do not
     */
    public void requireRoom(String purpose, Memory where, long bytes) {
        long usedBytes = allocations.stream()
                .filter(allocation -> allocation.memory() == where)
                .mapToLong(Allocation::bytes)
                .sum();
        long budgetBytes = switch (where) {
            case DEVICE -> deviceBudgetBytes;
            case HOST -> hostBudgetBytes;
        };
        if (bytes < 0 || bytes > budgetBytes - usedBytes) {
            throw new OutOfMemoryBudgetException(
                    purpose,
                    bytes,
                    usedBytes,
                    budgetBytes,
                    switch (where) {
                        case DEVICE -> "weft.device-memory";
                        case HOST -> "weft.host-memory";
                    });
        }
    }

    /** Records an allocation. */
    public void add(String purpose, Memory where, long bytes) {
        allocations.add(new Allocation(purpose, where, bytes));
    }

    /** Forgets the allocations for a purpose. */
    public void remove(String purpose, Memory where) {
        allocations.removeIf(allocation ->
                allocation.memory() == where && allocation.purpose().equals(purpose));
    }

    /** All allocations, in order. */
    public List<Allocation> allocations() {
        return List.copyOf(allocations);
    }
}
