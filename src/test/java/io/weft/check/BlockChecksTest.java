package io.weft.check;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.Device;
import io.weft.device.ElementType;
import io.weft.device.ForwardingDevice;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The CPU device codes blocks of every element type, whatever its own is. */
class BlockChecksTest {
    private static final long BUDGET_BYTES = Workbench.MEMORY_BYTES + (1 << 20);

    /** A CPU device that says to have an element type of a GPU. */
    private static final class Claiming extends ForwardingDevice {
        private final ElementType type;

        Claiming(ElementType type) {
            super(new CpuDevice(new CpuOptions(BUDGET_BYTES, BUDGET_BYTES, OptionalDouble.empty(), 2)));
            this.type = type;
        }

        @Override
        public ElementType elementType() {
            return type;
        }
    }

    @ParameterizedTest
    @EnumSource(ElementType.class)
    void codesHoldWhatTheySay(ElementType type) {
        List<CheckResult> results = new ArrayList<>();
        try (Device tested = new Claiming(type);
                Device reference = new Claiming(ElementType.F32)) {
            CheckBench bench = new CheckBench(tested, Extent.AWKWARD, results::add);
            new BlockChecks(bench, new Workbench(reference)).run();
        }
        assertThat(results)
                .hasSizeGreaterThan(1000)
                .allSatisfy(result ->
                        assertThat(result.passed()).as(result.toString()).isTrue())
                // Codes that lose nothing would be off by nothing.
                .anySatisfy(result -> assertThat(result.error()).isBetween(0.5, 1.0));
    }
}
