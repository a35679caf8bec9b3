package io.weft.check;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.check.KernelChecks.Result;
import io.weft.device.Device;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class KernelChecksTest {
    private static final long BUDGET_BYTES = 1L << 30;

    @Test
    void theCpuDevicePassesItsOwnChecks() {
        List<Result> results = new ArrayList<>();
        try (Device reference = cpu(2);
                Device tested = cpu(1)) {
            KernelChecks.run(reference, tested, Extent.ALL, results::add);
        }
        assertThat(results)
                .hasSizeGreaterThan(500)
                .allSatisfy(result ->
                        assertThat(result.passed()).as(result.toString()).isTrue());
    }

    @Test
    void aResultThatWasNeverWrittenFails() {
        assertThat(new Result("unwritten", Double.NaN, 1).passed()).isFalse();
        assertThat(new Result("too far", 1e-3, 1e-4).passed()).isFalse();
        assertThat(new Result("as far as it may be", 1e-4, 1e-4).passed()).isTrue();
    }

    private static Device cpu(int threads) {
        return new CpuDevice(new CpuOptions(BUDGET_BYTES, BUDGET_BYTES, OptionalDouble.empty(), threads));
    }
}
