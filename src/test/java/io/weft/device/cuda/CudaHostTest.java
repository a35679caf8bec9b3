package io.weft.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.DeviceException;
import io.weft.device.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the CUDA device does without a GPU. */
class CudaHostTest {
    private static final long GIB = 1L << 30;

    @Property
    void slabsCoverARangeAndNoneCrossesAMultipleOfAGibibyte(
            @ForAll @LongRange(min = 1, max = 1L << 46) long address,
            @ForAll @LongRange(min = 1, max = 1L << 36) long bytes) {
        List<PinnedMemory.Slab> slabs = PinnedMemory.slabs(address, bytes);
        long at = address;
        for (PinnedMemory.Slab slab : slabs) {
            assertThat(slab.address()).isEqualTo(at);
            assertThat(slab.bytes()).isBetween(1L, GIB);
            assertThat((slab.address() + slab.bytes() - 1) / GIB).isEqualTo(slab.address() / GIB);
            at += slab.bytes();
        }
        assertThat(at).isEqualTo(address + bytes);
    }

    @Property
    void anAlgorithmIsChosenForTheMultipleOfSixteenAboveAndForManyRows(
            @ForAll @IntRange(min = 1, max = 1 << 30) int rows) {
        int choice = MatrixProducts.choiceRows(rows);
        assertThat(choice % 16).isZero();
        assertThat(choice).isBetween(rows, Math.max(rows + 15, 128));
        assertThat(choice).isGreaterThanOrEqualTo(128);
    }

    @Property
    void aNormHasAThreadForEveryPartOfItsRow(@ForAll @IntRange(min = 1, max = 16_384) int width) {
        int threads = CudaKernels.normThreads(width);
        assertThat(threads % 32).isZero();
        assertThat(threads).isBetween(32, 1024);
        assertThat(threads * 8 * 2).isGreaterThanOrEqualTo(width);
    }

    @Test
    void aDriverMustKnowTheCudaThatCompiledTheKernels() {
        assertThat(CudaProbe.outdated(12_080, OptionalInt.of(13)))
                .hasValueSatisfying(reason -> assertThat(reason)
                        .contains("CUDA 12.8")
                        .contains("CUDA 13")
                        .contains("newer driver"));
        assertThat(CudaProbe.outdated(13_000, OptionalInt.of(13))).isEmpty();
        assertThat(CudaProbe.outdated(13_010, OptionalInt.of(12))).isEmpty();
        assertThat(CudaProbe.outdated(12_080, OptionalInt.empty())).isEmpty();
    }

    @Test
    void aNormThatIsTooWideIsRefused() {
        assertThatThrownBy(() -> CudaKernels.normThreads(16_385)).hasMessageContaining("16385");
    }

    @Test
    void argumentsLieWhereTheirAddressesSay() {
        try (Arena arena = Arena.ofConfined()) {
            ArgumentBlock block = new ArgumentBlock(arena);
            block.start().add(1L << 40).add(-7).add(1.5f);
            assertThat(block.count()).isEqualTo(3);
            assertThat(at(block, 0).get(ValueLayout.JAVA_LONG, 0)).isEqualTo(1L << 40);
            assertThat(at(block, 1).get(ValueLayout.JAVA_INT, 0)).isEqualTo(-7);
            assertThat(at(block, 2).get(ValueLayout.JAVA_FLOAT, 0)).isEqualTo(1.5f);
            assertThat(block.start().count()).isZero();
        }
    }

    private static MemorySegment at(ArgumentBlock block, int index) {
        long address = block.addresses().getAtIndex(ValueLayout.JAVA_LONG, index);
        return MemorySegment.ofAddress(address).reinterpret(Long.BYTES);
    }

    @Test
    void aFaultSaysWhichRowAndValue() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(FaultRecord.BYTES, 16);
            FaultRecord record = new FaultRecord(memory);
            assertThat(record.fault()).isNull();
            memory.set(ValueLayout.JAVA_LONG, 0, (33L << 8) | 1);
            memory.set(ValueLayout.JAVA_LONG, Long.BYTES, 50_272);
            assertThat(record.fault()).hasMessageContaining("row 33").hasMessageContaining("50272");
        }
    }

    @Test
    void theFirstErrorIsTheOneThatStays() {
        CudaHealth health = new CudaHealth();
        health.guard(() -> CudaErrors.check(0, () -> "never asked for"));
        assertThat(health.failed()).isFalse();
        health.guard(() -> CudaErrors.check(700, () -> "cuLaunchKernel of gate_f16"));
        health.fail(new DeviceException("later"));
        assertThat(health.failure())
                .hasMessageContaining("gate_f16")
                .hasMessageContaining("CUDA_ERROR_ILLEGAL_ADDRESS");
    }

    @Test
    void theCublasSettingIsAFileOrAFolder(@TempDir Path folder) throws Exception {
        assertThat(CublasLt.candidates(Optional.of(folder)))
                .containsExactly(folder + "/libcublasLt.so.13", folder + "/libcublasLt.so.12");
        Path file = folder.resolve("libother.so");
        assertThat(CublasLt.candidates(Optional.of(file))).containsExactly(file.toString());
        Files.writeString(file, "no library");
        assertThat(CublasLt.find(Optional.of(file))).isEmpty();
        assertThat(CublasLt.candidates(Optional.empty()))
                .startsWith("libcublasLt.so.13")
                .contains("/usr/local/cuda/lib64/libcublasLt.so.12");
    }

    @Test
    void epiloguesHaveTheLibrarysNumbers() {
        assertThat(CublasLt.Epilogue.STORE.code(CublasLt.Bias.ABSENT)).isEqualTo(1);
        assertThat(CublasLt.Epilogue.STORE.code(CublasLt.Bias.PRESENT)).isEqualTo(4);
        assertThat(CublasLt.Epilogue.RELU.code(CublasLt.Bias.ABSENT)).isEqualTo(2);
        assertThat(CublasLt.Epilogue.RELU.code(CublasLt.Bias.PRESENT)).isEqualTo(6);
    }

    @Test
    void optionsRefuseWhatNoGpuHas() {
        assertThatThrownBy(() -> options(-1, 0, ElementType.F16)).hasMessageContaining("-1");
        assertThatThrownBy(() -> options(0, -5, ElementType.F16)).hasMessageContaining("-5");
        assertThatThrownBy(() -> options(0, 0, ElementType.F32)).hasMessageContaining("F32");
    }

    @Test
    void theProbeAnswersInOneLine() {
        CudaProbe.missing(options(0, 0, ElementType.F16))
                .ifPresent(reason ->
                        assertThat(reason).startsWith("no CUDA device").hasLineCount(1));
    }

    private static CudaOptions options(int ordinal, long bytes, ElementType type) {
        return new CudaOptions(ordinal, bytes, bytes, type, 64, Optional.empty());
    }
}
