package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.cache.CacheSequence;
import io.weft.model.CacheForm;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.pipeline.TokenChoice.LogitEdit;
import io.weft.plan.step.Schedule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Sequences get what they ask for, whatever the others of the batch ask for. */
class StepResultTest {
    private static final Way WAY = Way.of(Schedule.CHUNKED);
    private static final int VOCABULARY = 384;

    private final ModelRun run = new ModelRun(Golden.model("opt"), GoldenTest.device(), 16, 32);

    @AfterEach
    void close() {
        run.close();
    }

    private List<Integer> prompt(int tokens) {
        return new Random(tokens).ints(tokens, 3, VOCABULARY).boxed().toList();
    }

    private CacheSequence admit(int tokens) {
        return run.admit(tokens, block -> CacheForm.HOST_KV);
    }

    /** The logits of every row of a prompt. */
    private List<float[]> logits(List<Integer> prompt) {
        try (CacheSequence sequence = admit(prompt.size())) {
            return run.prefill(WAY, sequence, prompt, prompt.size(), LogitRows.ALL);
        }
    }

    /** Takes a token that its bias alone makes the likeliest. */
    private static TokenChoice biased(int token) {
        return new TokenChoice(List.of(new LogitEdit(token, 100, 1, 0)), Optional.empty(), 1, 1, 1, 0, 0);
    }

    /** What the last rows of a sequence choose, and what they must choose. */
    private record Choices(List<TokenChoice> choices, List<Integer> expected) {
        /** @param rows the logits of all rows of the sequence */
        static Choices random(List<float[]> rows, Random random) {
            List<TokenChoice> choices = new ArrayList<>();
            List<Integer> expected = new ArrayList<>();
            int count = Math.min(rows.size(), random.nextInt(5));
            for (float[] logits : rows.subList(rows.size() - count, rows.size())) {
                int other = random.nextInt(VOCABULARY);
                boolean takesOther = random.nextBoolean();
                choices.add(takesOther ? biased(other) : TokenChoice.likeliest());
                expected.add(takesOther ? other : ModelRun.likeliest(logits));
            }
            return new Choices(choices, expected);
        }

        /** As many as can be. */
        int drafted() {
            return Math.max(0, choices.size() - 1);
        }
    }

    @Test
    void everySequenceGetsWhatItAsksFor() {
        Random random = new Random(3);
        int sequences = 7;
        List<List<float[]>> expected = new ArrayList<>();
        for (int i = 0; i < sequences; i++) {
            expected.add(logits(prompt(1 + 3 * i)));
        }
        for (int round = 0; round < 40; round++) {
            List<StepSequence> parts = new ArrayList<>();
            List<Choices> choices = new ArrayList<>();
            for (int i = 0; i < sequences; i++) {
                List<Integer> prompt = prompt(1 + 3 * i);
                CacheSequence sequence = admit(prompt.size());
                choices.add(Choices.random(expected.get(i), random));
                int drafted = choices.getLast().drafted();
                sequence.open(prompt.size(), drafted);
                LogitRows rows = LogitRows.values()[random.nextInt(LogitRows.values().length)];
                parts.add(new StepSequence(
                        sequence, prompt, drafted, rows, choices.getLast().choices()));
            }
            StepResult result = run.result(WAY, parts);
            for (int i = 0; i < sequences; i++) {
                List<float[]> all = expected.get(i);
                int wanted = parts.get(i).logitRows();
                for (int row = 0; row < wanted; row++) {
                    assertThat(result.logits(i, row)).containsExactly(all.get(all.size() - wanted + row));
                }
                List<Integer> tokens = choices.get(i).expected();
                for (int row = 0; row < tokens.size(); row++) {
                    assertThat(result.token(i, row)).hasValue(tokens.get(row));
                }
                parts.get(i).cache().close();
            }
        }
    }

    @Test
    void whatWasNotAskedForIsNotThere() {
        try (CacheSequence sequence = admit(4)) {
            sequence.open(4);
            StepResult result = run.result(
                    WAY,
                    List.of(new StepSequence(
                            sequence, prompt(4), 0, LogitRows.CHOOSING, List.of(TokenChoice.likeliest()))));
            assertThatThrownBy(() -> result.token(0, 1))
                    .isInstanceOf(IndexOutOfBoundsException.class)
                    .hasMessageContaining("choosing row 1 of 1");
            assertThatThrownBy(() -> result.logits(0, 1))
                    .isInstanceOf(IndexOutOfBoundsException.class)
                    .hasMessageContaining("logit row 1 of 1");
        }
    }

    @Test
    void moreEditsThanThereIsRoomForAreRefused() {
        try (CacheSequence sequence = admit(4)) {
            sequence.open(4);
            List<LogitEdit> edits = new ArrayList<>();
            for (int i = 0; i <= VOCABULARY; i++) {
                edits.add(new LogitEdit(i, 1, 1, 0));
            }
            TokenChoice choice = new TokenChoice(edits, Optional.empty(), 1, 1, 1, 0, 0);
            StepSequence part = new StepSequence(sequence, prompt(4), 0, LogitRows.NONE, List.of(choice));
            assertThatThrownBy(() -> run.result(WAY, List.of(part)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("385 edits of a row's logits, must be at most 384");
        }
    }
}
