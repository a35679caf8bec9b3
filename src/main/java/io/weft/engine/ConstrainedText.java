package io.weft.engine;

import io.weft.pipeline.TokenMask;
import io.weft.text.constraint.Constraint;
import io.weft.text.constraint.ConstraintException;
import io.weft.text.constraint.ConstraintState;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * The text of one request under its constraint. The mask of the next token is made on other threads, from the moment
 * the token before it is known, while the device runs the step whose logits it edits. So are those of tokens after
 * drafted ones, as if these were right. Only the engine's thread calls it.
 */
final class ConstrainedText {
    private final Executor threads;
    private final boolean endsByToken;
    private final int words;
    /** Of the next token, and of those after it that a step chooses beside it. */
    private final Deque<Mask> masks = new ArrayDeque<>();

    private ConstraintState state;
    /** Tokens that the text may still have. */
    private int tokensLeft;

    /**
     * @param tokensMost tokens that the text may have
     * @param endsByToken whether the model has a token that ends a text
     * @param threads make masks
     */
    ConstrainedText(Constraint constraint, int tokensMost, boolean endsByToken, Executor threads) {
        this.tokensLeft = tokensMost;
        this.state = constraint.start();
        this.words = constraint.words();
        this.endsByToken = endsByToken;
        this.threads = threads;
    }

    /** A mask that is being made. */
    private static final class Mask {
        private final long[] words;
        private final CompletableFuture<Void> made;
        private volatile @Nullable RuntimeException failure;

        Mask(int words, ConstraintState at, int tokensLeft, Executor threads) {
            this.words = new long[words];
            CompletableFuture<Void> making;
            try {
                making = CompletableFuture.runAsync(() -> at.mask(this.words, tokensLeft), threads);
            } catch (RejectedExecutionException e) {
                // The engine closes; what the text becomes matters to nobody.
                making = CompletableFuture.failedFuture(e);
            }
            this.made = making;
        }

        /** Without a mask any token is chosen, and {@link #requireMade} fails if it is used. */
        void write(MemorySegment bits) {
            try {
                made.join();
                int most = (int) Math.min(words.length, bits.byteSize() / Long.BYTES);
                MemorySegment.copy(words, 0, bits, ValueLayout.JAVA_LONG, 0, most);
            } catch (CompletionException | CancellationException e) {
                failure = e.getCause() instanceof RuntimeException cause ? cause : e;
                bits.fill((byte) -1);
            }
        }

        void requireMade() {
            RuntimeException thrown = failure;
            if (thrown != null) {
                throw thrown;
            }
        }
    }

    /** How many of the drafted tokens may come next, one after the other, without completing the text. */
    int allowed(List<Integer> drafted) {
        ConstraintState at = state;
        for (int i = 0; i < drafted.size(); i++) {
            try {
                at = at.advance(drafted.get(i));
            } catch (IllegalArgumentException | ConstraintException e) {
                return i;
            }
            if (isComplete(at)) {
                return i;
            }
        }
        return drafted.size();
    }

    /**
     * The masks of the next token and of those after it, if the drafted ones before are right; there is one step at a
     * time.
     *
     * @param drafted tokens that are {@linkplain #allowed allowed}
     */
    List<TokenMask> masks(List<Integer> drafted) {
        if (masks.isEmpty()) {
            masks.addLast(new Mask(words, state, tokensLeft, threads));
        }
        while (masks.size() > 1) {
            cancel(masks.removeLast());
        }
        ConstraintState at = state;
        for (int i = 0; i < drafted.size(); i++) {
            at = at.advance(drafted.get(i));
            masks.addLast(new Mask(words, at, tokensLeft - i - 1, threads));
        }
        List<TokenMask> all = new ArrayList<>();
        masks.forEach(mask -> all.add(mask::write));
        return all;
    }

    /**
     * Takes the token that was chosen from the row of the first mask that was not used yet.
     *
     * @throws ConstraintException if the constraint is too costly from here on
     */
    void advance(int token) {
        Mask used = masks.pollFirst();
        if (used != null) {
            used.requireMade();
        }
        state = state.advance(token);
        tokensLeft--;
    }

    /** All tokens of a step were taken, so the mask of the next one can be made. Those after wrong drafts are void. */
    void stepped() {
        close();
        if (!isComplete() && tokensLeft > 0) {
            masks.addLast(new Mask(words, state, tokensLeft, threads));
        }
    }

    /** Whether nothing may follow. A text without a token that ends it is complete as soon as it may be. */
    boolean isComplete() {
        return isComplete(state);
    }

    private boolean isComplete(ConstraintState at) {
        return at.ended() || (!endsByToken && at.complete());
    }

    /** Lets go of masks that are being made. */
    void close() {
        masks.forEach(ConstrainedText::cancel);
        masks.clear();
    }

    private static void cancel(Mask mask) {
        mask.made.cancel(false);
    }
}
