package io.weft.engine;

import io.weft.plan.prediction.DraftAcceptance;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;

/**
 * The drafts of one request. Its drafter is made on another thread; until it is there, nothing is drafted. Each draft
 * is compared with the text as it goes on, whether a step checks it or not, so that what drafts are worth is known
 * before they cost anything. Only the engine's thread calls it.
 */
final class Drafts {
    private static final System.Logger LOG = System.getLogger(Drafts.class.getName());

    private final CompletableFuture<Drafter> drafter;
    /** Tokens that the drafter does not know yet. */
    private final List<Integer> unknown = new ArrayList<>();

    private final DraftAcceptance acceptance = new DraftAcceptance();
    /** Those that have been right so far. */
    private final List<Followed> followed = new ArrayList<>();

    /** A draft, of which the first {@code right} tokens were right. */
    private record Followed(List<Integer> draft, int right) {}

    /** @param threads make the drafter */
    Drafts(Drafter.Source source, GenerationRequest request, Executor threads) {
        CompletableFuture<Drafter> making;
        try {
            making = CompletableFuture.supplyAsync(() -> source.of(request), threads);
        } catch (RejectedExecutionException e) {
            // The engine closes.
            making = new CompletableFuture<>();
        }
        this.drafter = making;
    }

    /** What is known of its drafts. */
    DraftAcceptance acceptance() {
        return acceptance;
    }

    /** The draft of the next tokens, once for each step. */
    List<Integer> next() {
        if (!drafter.isDone()) {
            return List.of();
        }
        try {
            Drafter ready = drafter.join();
            unknown.forEach(ready::append);
            unknown.clear();
            List<Integer> draft = List.copyOf(ready.draft(DraftAcceptance.TOKENS_MOST));
            if (!draft.isEmpty()) {
                followed.add(new Followed(draft, 0));
            }
            return draft;
        } catch (CompletionException e) {
            LOG.log(Level.DEBUG, "a request has no drafts", e);
            return List.of();
        }
    }

    /** The text has one more token. */
    void append(int token) {
        unknown.add(token);
        for (int i = followed.size() - 1; i >= 0; i--) {
            Followed one = followed.remove(i);
            boolean isRight = one.draft().get(one.right()) == token;
            acceptance.count(one.right(), isRight);
            if (isRight && one.right() + 1 < one.draft().size()) {
                followed.add(i, new Followed(one.draft(), one.right() + 1));
            }
        }
    }

    /** Lets go of a drafter that is being made. */
    void close() {
        drafter.cancel(false);
        unknown.clear();
        followed.clear();
    }
}
