package io.weft.pipeline;

import io.weft.device.TokenChoices;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * How the token behind a sequence is chosen, see {@link io.weft.device.Kernels#chooseTokens}.
 *
 * @param edits of logits, at most one a token
 * @param temperature that edited logits are divided by, above 0
 * @param topK the likeliest tokens that are kept; 1 takes the likeliest
 * @param topP of these the fewest that reach this share of their probability, in (0, 1]
 * @param minP of these all that have at least this times the largest probability, in [0, 1]
 * @param uniform what the token is drawn with: a number of 63 random bits
 */
public record TokenChoice(List<LogitEdit> edits, double temperature, int topK, double topP, double minP, long uniform) {
    public TokenChoice {
        edits = List.copyOf(edits);
    }

    /**
     * What is done to one logit: the bias is added; what is then positive is divided by the repetition penalty,
     * anything else multiplied by it; the penalty is subtracted.
     *
     * @param token whose logit
     */
    public record LogitEdit(int token, float bias, float repetitionPenalty, float penalty) {}

    /** The likeliest token. */
    public static TokenChoice likeliest() {
        return new TokenChoice(List.of(), 1, 1, 1, 0, 0);
    }

    /**
     * Writes it as the kernel reads it.
     *
     * @param rows of {@link TokenChoices.Row}; this becomes number {@code row}
     * @param edits of {@link TokenChoices.Edit}; those of this begin at number {@code firstEdit}
     */
    public void write(MemorySegment rows, int row, MemorySegment edits, int firstEdit) {
        new TokenChoices.Row(firstEdit, this.edits.size(), temperature, topK, topP, minP, uniform).write(rows, row);
        for (int i = 0; i < this.edits.size(); i++) {
            LogitEdit edit = this.edits.get(i);
            new TokenChoices.Edit(edit.token(), edit.bias(), edit.repetitionPenalty(), edit.penalty())
                    .write(edits, firstEdit + i);
        }
    }
}
