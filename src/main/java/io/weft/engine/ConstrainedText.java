package io.weft.engine;

import io.weft.pipeline.TokenMask;
import io.weft.text.constraint.Constraint;
import io.weft.text.constraint.ConstraintException;
import io.weft.text.constraint.ConstraintState;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * The text of one request under its constraint. The mask of the next token is made on other threads, from the moment
 * the token before it is known, while the device runs the step whose logits it edits. Only the engine's thread calls
 * it.
 */
final class ConstrainedText {
    private final Executor threads;
    private final boolean endsByToken;
    /** Overwritten for each token. */
    private final long[] words;

    private ConstraintState state;
    /** Tokens that the text may still have. */
    private int tokensLeft;

    private @Nullable CompletableFuture<Void> mask;
    private @Nullable RuntimeException failure;

    /**
     * @param tokensMost tokens that the text may have
     * @param endsByToken whether the model has a token that ends a text
     * @param threads make masks
     */
    ConstrainedText(Constraint constraint, int tokensMost, boolean endsByToken, Executor threads) {
        this.tokensLeft = tokensMost;
        this.state = constraint.start();
        this.words = new long[constraint.words()];
        this.endsByToken = endsByToken;
        this.threads = threads;
    }

    /** The mask of the next token; there is one step at a time. */
    TokenMask mask() {
        if (mask == null) {
            make();
        }
        return this::write;
    }

    private void make() {
        ConstraintState at = state;
        int left = tokensLeft;
        try {
            mask = CompletableFuture.runAsync(() -> at.mask(words, left), threads);
        } catch (RejectedExecutionException e) {
            // The engine closes; what the text becomes matters to nobody.
            mask = CompletableFuture.failedFuture(e);
        }
    }

    /** Without a mask any token is chosen, and {@link #advance} fails. */
    private void write(MemorySegment bits) {
        try {
            if (mask != null) {
                mask.join();
            }
            int most = (int) Math.min(words.length, bits.byteSize() / Long.BYTES);
            MemorySegment.copy(words, 0, bits, ValueLayout.JAVA_LONG, 0, most);
        } catch (CompletionException | CancellationException e) {
            failure = e.getCause() instanceof RuntimeException cause ? cause : e;
            bits.fill((byte) -1);
        }
    }

    /**
     * Takes the token that was chosen.
     *
     * @throws ConstraintException if the constraint is too costly from here on
     */
    void advance(int token) {
        if (failure != null) {
            throw failure;
        }
        state = state.advance(token);
        tokensLeft--;
        mask = null;
        if (!isComplete() && tokensLeft > 0) {
            make();
        }
    }

    /** Whether nothing may follow. A text without a token that ends it is complete as soon as it may be. */
    boolean isComplete() {
        return state.ended() || (!endsByToken && state.complete());
    }

    /** Lets go of a mask that is being made. */
    void close() {
        if (mask != null) {
            mask.cancel(false);
        }
    }
}
