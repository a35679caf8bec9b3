package io.weft.api.openai;

import io.weft.engine.GenerationEvent.TokenScore;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Collects the result of a choice. */
final class ChoiceResult {
    private final Choice choice;
    private final StringBuilder text = new StringBuilder();
    private final List<Integer> tokens = new ArrayList<>();
    private final List<TokenScore> scores = new ArrayList<>();
    private final List<Integer> places = new ArrayList<>();
    private List<TokenScore> promptScores = List.of();
    private @Nullable String finishReason;

    ChoiceResult(Choice choice) {
        this.choice = choice;
    }

    void add(Delta delta) {
        switch (delta) {
            case Delta.PromptScored scored -> promptScores = scored.scores();
            case Delta.Token token -> {
                text.append(token.text());
                tokens.add(token.token());
                token.score().ifPresent(score -> {
                    scores.add(score);
                    places.add(token.place());
                });
            }
            case Delta.End end -> {
                end.token().ifPresent(this::add);
                text.append(end.text());
                finishReason = end.finishReason();
            }
        }
    }

    Choice choice() {
        return choice;
    }

    String text() {
        return text.toString();
    }

    List<Integer> tokens() {
        return tokens;
    }

    List<TokenScore> scores() {
        return scores;
    }

    /** For each scored token, the code points of the text before it. */
    List<Integer> places() {
        return places;
    }

    List<TokenScore> promptScores() {
        return promptScores;
    }

    String finishReason() {
        if (finishReason == null) {
            throw new IllegalStateException("choice " + choice.index() + " has no end");
        }
        return finishReason;
    }
}
