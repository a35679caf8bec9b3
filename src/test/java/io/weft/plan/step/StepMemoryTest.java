package io.weft.plan.step;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.AttentionWork;
import io.weft.device.TokenChoices;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelPreset;
import org.junit.jupiter.api.Test;

/** What is allocated and what is planned are compared in {@code MemoryBudgetTest}. */
class StepMemoryTest {
    @Test
    void arraysAreAsTheDeviceLaysThemOut() {
        assertThat(StepMemory.SPAN_INTS).isEqualTo(AttentionWork.SPAN_INTS);
        assertThat(StepMemory.CHOICE_BYTES).isEqualTo(TokenChoices.ROW_BYTES);
        assertThat(StepMemory.EDIT_BYTES).isEqualTo(TokenChoices.EDIT_BYTES);
        for (ModelPreset preset : ModelPreset.values()) {
            CacheGeometry geometry = new CacheGeometry(preset.dimensions(), 2, 16, 64);
            assertThat(new StepMemory(geometry, 1, 5, 4, 2, 100).maskBytes())
                    .isEqualTo(3L * TokenChoices.maskBytes(preset.dimensions().vocabularySize()));
        }
    }
}
