package io.weft.engine;

import java.util.List;

/**
 * Guesses how one text goes on. A step checks such a draft: its tokens run as rows beside the text's last one, and
 * those that the model would have chosen anyway are accepted. So a draft never changes a text, only its pace.
 *
 * <p>One thread at a time.
 */
public interface Drafter {
    /**
     * Guesses the next tokens of the text.
     *
     * @param most at most so many
     * @return none if there is nothing to guess from
     */
    List<Integer> draft(int most);

    /** The text has one more token. */
    void append(int token);

    /** Makes drafters. */
    @FunctionalInterface
    interface Source {
        /** A drafter for the completion of a request. Runs on any thread, and may take as long as the prompt. */
        Drafter of(GenerationRequest request);
    }
}
