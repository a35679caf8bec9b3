package io.weft.text.constraint;

import java.util.List;

/** What a byte leads to. */
sealed interface Move permits Level, Move.Enter, Move.Leave, Move.Dead {
    /** A brace or bracket opens: the level stays below the new one. */
    record Enter(Level inner) implements Move {}

    /** It closes: which rules have ended, by their numbers. */
    record Leave(List<Grammar.Rule> ended) implements Move {}

    /** No text goes on so. */
    record Dead() implements Move {}
}
