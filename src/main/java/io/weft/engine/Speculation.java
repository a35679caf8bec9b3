package io.weft.engine;

/** Whether decode steps check drafts of what comes next. It changes no text. */
public sealed interface Speculation {
    /** They do not. */
    record Off() implements Speculation {}

    /**
     * They do.
     *
     * @param drafters make drafts
     * @param lengths how much of them steps check
     */
    record Drafting(Drafter.Source drafters, Lengths lengths) implements Speculation {}

    /** How much of their drafts the requests of a step check. */
    enum Lengths {
        /** As much as pays, by the planning in force; nothing if that knows no times. */
        PLANNED,
        /** All, as far as there is room. */
        ALL
    }

    /** Drafts from n-grams of a request's own text. */
    static Speculation ngrams(Lengths lengths) {
        return new Drafting(
                request -> new NgramDrafter(request.promptTokens(), request.predictedTokens(), request.maxNewTokens()),
                lengths);
    }
}
