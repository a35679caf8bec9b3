package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExtentAllocatorTest {
    private record Extent(long offset, int bytes) {}

    /**
     * A bit for each byte is the model: extents never overlap, refusals are true, and all that is freed can be had
     * again in one piece.
     */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void agreesWithAMapOfBytes(long seed) {
        Random random = new Random(seed);
        int size = 1 + random.nextInt(300);
        ExtentAllocator allocator = new ExtentAllocator(size);
        BitSet used = new BitSet(size);
        List<Extent> extents = new ArrayList<>();
        for (int i = 0; i < 2_000; i++) {
            if (extents.isEmpty() || random.nextBoolean()) {
                int wanted = 1 + random.nextInt(40);
                OptionalLong offset = allocator.allocate(wanted);
                assertThat(offset.isPresent()).isEqualTo(hasHole(used, size, wanted));
                offset.ifPresent(at -> {
                    assertThat(used.get((int) at, (int) at + wanted).isEmpty()).isTrue();
                    used.set((int) at, (int) at + wanted);
                    extents.add(new Extent(at, wanted));
                });
            } else {
                Extent extent = extents.remove(random.nextInt(extents.size()));
                allocator.free(extent.offset(), extent.bytes());
                used.clear((int) extent.offset(), (int) extent.offset() + extent.bytes());
            }
            assertThat(allocator.usedBytes()).isEqualTo(used.cardinality());
        }
        extents.forEach(extent -> allocator.free(extent.offset(), extent.bytes()));
        assertThat(allocator.usedBytes()).isZero();
        assertThat(allocator.allocate(size)).hasValue(0);
    }

    private static boolean hasHole(BitSet used, int size, int wanted) {
        for (int start = used.nextClearBit(0); start < size; start = used.nextClearBit(start)) {
            int next = used.nextSetBit(start);
            int end = next < 0 ? size : next;
            if (end - start >= wanted) {
                return true;
            }
            start = end;
        }
        return false;
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 0, 5, 15, 96})
    void refusesToFreeWhatIsNotInUse(long offset) {
        ExtentAllocator allocator = new ExtentAllocator(100);
        allocator.allocate(10).orElseThrow();
        assertThatThrownBy(() -> allocator.free(offset, 20)).isInstanceOf(IllegalStateException.class);
        assertThat(allocator.usedBytes()).isEqualTo(10);
    }

    @Test
    void refusesToFreeBeyondItsEnd() {
        ExtentAllocator allocator = new ExtentAllocator(100);
        allocator.allocate(100).orElseThrow();
        assertThatThrownBy(() -> allocator.free(90, 11)).isInstanceOf(IllegalStateException.class);
        allocator.free(90, 10);
        assertThat(allocator.usedBytes()).isEqualTo(90);
    }
}
