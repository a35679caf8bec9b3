package io.weft.text.constraint;

import io.weft.text.constraint.Machine.Frame;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** How far a text has come under a {@link Constraint}. Immutable. */
public final class ConstraintState {
    private final Machine machine;

    /** Null after a token that ends the text. */
    private final @Nullable Frame here;

    private ConstraintState(Machine machine, @Nullable Frame here) {
        this.machine = machine;
        this.here = here;
    }

    static ConstraintState start(Machine machine) {
        return new ConstraintState(machine, new Frame(machine.start(), null));
    }

    /** Whether the text may end here; then the mask has the tokens that end it. */
    public boolean complete() {
        return here != null && here.below() == null && here.caller().complete;
    }

    /** Whether a token has ended the text. */
    public boolean ended() {
        return here == null;
    }

    /**
     * The fewest tokens with which the text is known to become complete, without one that ends it: one for each piece
     * of fixed text that is a token, such as the name of a property, and one for each other byte.
     */
    public int tokensToComplete() {
        if (here == null) {
            return 0;
        }
        return machine.rest(here);
    }

    /**
     * Sets the bit of each token that may come next: of token t, bit t mod 64 of word t / 64. There is one at least,
     * unless the text has ended, or may end and the vocabulary has no token that ends it.
     *
     * @param words {@link Vocabulary#words}, overwritten
     * @throws ConstraintException if the constraint has more alternatives here than may be looked at
     */
    public void mask(long[] words) {
        mask(words, Integer.MAX_VALUE);
    }

    /**
     * Does so without tokens after which the text could not become complete in time, if it still can.
     *
     * @param tokensLeft tokens that the text may still have, with the next one and one that ends it
     * @see #mask(long[])
     */
    public void mask(long[] words, int tokensLeft) {
        if (words.length != machine.vocabulary().words()) {
            throw new IllegalArgumentException("a mask of %d words for a vocabulary of %d"
                    .formatted(words.length, machine.vocabulary().words()));
        }
        if (here == null) {
            Arrays.fill(words, 0);
            return;
        }
        machine.mask(here, words);
        if (tokensLeft < Integer.MAX_VALUE) {
            machine.keepInTime(here, words, tokensLeft);
        }
    }

    /**
     * The state after one more token.
     *
     * @throws IllegalArgumentException if the token is not allowed here
     */
    public ConstraintState advance(int token) {
        Frame frame = here;
        if (frame == null) {
            throw new IllegalArgumentException("token " + token + " after the end");
        }
        for (int end : machine.vocabulary().endTokens()) {
            if (end == token && complete()) {
                return new ConstraintState(machine, null);
            }
        }
        byte[] bytes = machine.vocabulary().bytes(token);
        machine.allowWork();
        if (bytes.length == 0) {
            frame = machine.afterToken(token, frame);
        }
        for (byte b : bytes) {
            frame = frame == null ? null : machine.after(b, frame);
        }
        if (frame == null) {
            throw new IllegalArgumentException("token " + token + " is not allowed here");
        }
        return new ConstraintState(machine, frame);
    }
}
