package io.weft.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class StridedViewTest {
    /** Element i is i. */
    private static TensorView counted(Integer... shape) {
        float[] values = new float[List.of(shape).stream().reduce(1, (a, b) -> a * b)];
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
        }
        return new TensorView("counted", ElementType.F32, List.of(shape), MemorySegment.ofArray(values));
    }

    @Property
    void rowsAndColumnsAreThoseOfTheSource(
            @ForAll @IntRange(min = 1, max = 9) int rows,
            @ForAll @IntRange(min = 1, max = 9) int columns,
            @ForAll @IntRange(min = 0, max = 8) int from,
            @ForAll @IntRange(min = 1, max = 4) int step) {
        TensorView source = counted(rows, columns);
        if (from < rows) {
            StridedView view = StridedView.ofRows(source, from, step);
            assertThat(view.shape()).containsExactly((rows - from + step - 1) / step, columns);
            for (int i = 0; i < view.elements(); i++) {
                int row = from + i / columns * step;
                assertThat(view.element(i)).isEqualTo(row * columns + i % columns);
            }
        }
        if (from < columns) {
            StridedView view = StridedView.ofColumns(source, from, step);
            assertThat(view.shape()).containsExactly((columns - from + step - 1) / step, rows);
            for (int i = 0; i < view.elements(); i++) {
                int column = from + i / rows * step;
                assertThat(view.element(i)).isEqualTo(i % rows * columns + column);
            }
        }
    }

    @Test
    void elementsOfAVectorAndPartsOfATensor() {
        StridedView odd = StridedView.ofRows(counted(7), 1, 2);
        assertThat(odd.shape()).containsExactly(3);
        assertThat(odd.element(2)).isEqualTo(5);
        TensorView part = counted(3, 2, 4).at(2);
        assertThat(part.shape()).containsExactly(2, 4);
        assertThat(part.element(3)).isEqualTo(19);
    }

    @Test
    void elementsOutsideTheSourceAreRefused() {
        assertThatThrownBy(() -> new StridedView(counted(2, 3), List.of(2, 3), 1, 3, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("counted: elements 1 to 6 of shape [2, 3] are not in one of shape [2, 3]");
    }
}
