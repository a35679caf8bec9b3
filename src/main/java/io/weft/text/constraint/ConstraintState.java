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
     * Sets the bit of each token that may come next: of token t, bit t mod 64 of word t / 64. There is one at least,
     * unless the text has ended, or may end and the vocabulary has no token that ends it.
     *
     * @param words {@link Vocabulary#words}, overwritten
     * @throws ConstraintException if the constraint has more alternatives here than may be looked at
     */
    public void mask(long[] words) {
        if (words.length != machine.vocabulary().words()) {
            throw new IllegalArgumentException("a mask of %d words for a vocabulary of %d"
                    .formatted(words.length, machine.vocabulary().words()));
        }
        if (here == null) {
            Arrays.fill(words, 0);
            return;
        }
        synchronized (machine) {
            machine.mask(here, words);
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
        synchronized (machine) {
            machine.allowWork();
            if (bytes.length == 0) {
                frame = machine.afterToken(token, frame);
            }
            for (byte b : bytes) {
                frame = frame == null ? null : machine.after(b, frame);
            }
        }
        if (frame == null) {
            throw new IllegalArgumentException("token " + token + " is not allowed here");
        }
        return new ConstraintState(machine, frame);
    }
}
