package io.weft.plan.machine;

import java.util.Arrays;
import java.util.List;

/**
 * Machines by public figures: the makers' data sheets for memory, its bandwidth and dense 16-bit products, and for the
 * link, the usual rate of copies from page-locked memory (12.5 GB/s of PCIe 3 x16, 25 of PCIe 4, 55 of PCIe 5). They
 * are for planning; if you have the machine, measure it.
 */
public enum HardwarePreset {
    A100_40G("a100-40g", "A100 40 GB, PCIe 4", 25e9, 312e12, 1555e9, 40),
    H100_PCIE("h100", "H100 80 GB, PCIe 5", 55e9, 756e12, 2000e9, 80),
    RTX_4090("rtx-4090", "RTX 4090 24 GB, PCIe 4", 25e9, 165e12, 1008e9, 24),
    L40S("l40s", "L40S 48 GB, PCIe 4", 25e9, 362e12, 864e9, 48),
    T4("t4", "T4 16 GB, PCIe 3", 12.5e9, 65e12, 320e9, 16),
    H200("h200", "H200 141 GB, PCIe 5", 55e9, 989e12, 4800e9, 141);

    private final String label;
    /** A record of numbers. */
    @SuppressWarnings("ImmutableEnumChecker")
    private final HardwareSpec spec;

    HardwarePreset(
            String label,
            String name,
            double linkBytesPerSecond,
            double flopsPerSecond,
            double memoryBytesPerSecond,
            int memoryGigabytes) {
        this.label = label;
        this.spec = new HardwareSpec(
                name + " (public figures)",
                linkBytesPerSecond,
                flopsPerSecond,
                memoryBytesPerSecond,
                memoryGigabytes * 1_000_000_000L);
    }

    /** The name that users type. */
    public String label() {
        return label;
    }

    public HardwareSpec spec() {
        return spec;
    }

    /** The names of all presets. */
    public static List<String> labels() {
        return Arrays.stream(values()).map(HardwarePreset::label).toList();
    }

    /**
     * The preset with this name.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static HardwarePreset of(String label) {
        return Arrays.stream(values())
                .filter(preset -> preset.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "hardware is \"" + label + "\", must be one of " + String.join(", ", labels())));
    }
}
