package io.weft.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class DrivenDraftsTest {
    @Test
    void fewPassesHaveTheMeanThatIsAskedFor() {
        Random random = new Random(3);
        for (int round = 0; round < 500; round++) {
            int drafted = random.nextInt(9);
            DrivenDrafts drafts = new DrivenDrafts(drafted, drafted * random.nextInt(11) / 10.0);
            int sequences = 1 + random.nextInt(5);
            List<int[]> passes = drafts.passes(sequences, 400);
            double accepted = passes.stream()
                    .mapToDouble(pass -> Arrays.stream(pass).average().orElseThrow())
                    .average()
                    .orElseThrow();
            assertThat(accepted).as(drafts.toString()).isCloseTo(drafts.accepted(), within(0.15));
        }
    }

    @Test
    void noSequenceGetsMoreTokensThanThereIsRoomFor() {
        Random random = new Random(5);
        for (int round = 0; round < 500; round++) {
            int drafted = random.nextInt(9);
            DrivenDrafts drafts = new DrivenDrafts(drafted, drafted * random.nextDouble());
            int sequences = 1 + random.nextInt(5);
            int room = random.nextInt(100);
            List<int[]> passes = drafts.passes(sequences, room);
            for (int i = 0; i < sequences; i++) {
                int made = 0;
                for (int[] pass : passes) {
                    assertThat(made + 1 + drafted).isLessThanOrEqualTo(room);
                    assertThat(pass[i]).isBetween(0, drafted);
                    made += 1 + pass[i];
                }
            }
        }
        assertThat(DrivenDrafts.NONE.passes(3, 15)).hasSize(15);
    }

    @Test
    void moreThanAllAreNeverAccepted() {
        assertThatThrownBy(() -> new DrivenDrafts(2, 2.1)).hasMessageContaining("2.1 of 2 drafts");
        assertThatThrownBy(() -> new DrivenDrafts(2, Double.NaN)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new DrivenDrafts(-1, 0)).isInstanceOf(IllegalArgumentException.class);
    }
}
