package io.weft.text.tools;

import java.util.List;
import java.util.Optional;

/** Looks for marks in a text that arrives character by character. No mark begins with another one. */
final class Marks {
    private final List<String> marks;
    private final StringBuilder held = new StringBuilder();

    Marks(List<String> marks) {
        this.marks = marks;
    }

    /**
     * Takes a character, and appends to {@code passed} what is now known to be no mark.
     *
     * @return the mark that the character completes
     */
    Optional<String> add(char c, StringBuilder passed) {
        held.append(c);
        while (!held.isEmpty()) {
            String text = held.toString();
            boolean open = false;
            for (String mark : marks) {
                if (mark.equals(text)) {
                    held.setLength(0);
                    return Optional.of(mark);
                }
                open |= mark.startsWith(text);
            }
            if (open) {
                break;
            }
            passed.append(held.charAt(0));
            held.deleteCharAt(0);
        }
        return Optional.empty();
    }

    /** Whether the text so far ends with what may be the beginning of a mark. */
    boolean open() {
        return !held.isEmpty();
    }

    /** Gives back what is held. */
    String finish() {
        String rest = held.toString();
        held.setLength(0);
        return rest;
    }
}
