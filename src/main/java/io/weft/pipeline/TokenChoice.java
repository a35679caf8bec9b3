package io.weft.pipeline;

import io.weft.device.TokenChoices;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * How to choose the token after a sequence, see {@link io.weft.device.Kernels#chooseTokens}.
 *
 * @param edits of logits, at most one per token
 * @param mask the tokens that may be chosen; empty for all
 * @param temperature divisor of edited logits, above 0
 * @param topK how many of the likeliest tokens are kept; 1 takes the likeliest
 * @param topP keeps the fewest of these that reach this share of their probability, in (0, 1]
 * @param minP keeps those of these with at least this fraction of the largest probability, in [0, 1]
 * @param uniform random number of 63 bits with which the token is drawn
 */
public record TokenChoice(
        List<LogitEdit> edits,
        Optional<TokenMask> mask,
        double temperature,
        int topK,
        double topP,
        double minP,
        long uniform) {
    public TokenChoice {
        edits = List.copyOf(edits);
    }

    /**
     * The change of one logit: the bias is added; a positive result is divided by the repetition penalty, any other is
     * multiplied by it; the penalty is subtracted.
     *
     * @param token the token
     */
    public record LogitEdit(int token, float bias, float repetitionPenalty, float penalty) {}

    /** The likeliest token. */
    public static TokenChoice likeliest() {
        return new TokenChoice(List.of(), Optional.empty(), 1, 1, 1, 0, 0);
    }

    /** This choice among the tokens of a mask. */
    public TokenChoice among(TokenMask allowed) {
        return new TokenChoice(edits, Optional.of(allowed), temperature, topK, topP, minP, uniform);
    }

    /**
     * Writes it as the kernel reads it.
     *
     * @param rows of {@link TokenChoices.Row}; this becomes number {@code row}
     * @param edits of {@link TokenChoices.Edit}; those of this begin at number {@code firstEdit}
     * @param maskOfRow index of the mask among those of the step, or {@link TokenChoices#NO_MASK}
     */
    public void write(MemorySegment rows, int row, MemorySegment edits, int firstEdit, int maskOfRow) {
        new TokenChoices.Row(firstEdit, this.edits.size(), maskOfRow, temperature, topK, topP, minP, uniform)
                .write(rows, row);
        for (int i = 0; i < this.edits.size(); i++) {
            LogitEdit edit = this.edits.get(i);
            new TokenChoices.Edit(edit.token(), edit.bias(), edit.repetitionPenalty(), edit.penalty())
                    .write(edits, firstEdit + i);
        }
    }
}
