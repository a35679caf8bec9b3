package io.weft.text.constraint;

/** A constraint that cannot be enforced; the message names what is at fault and, for a schema, where it stands. */
public final class ConstraintException extends RuntimeException {
    public ConstraintException(String message) {
        super(message);
    }

    /** @param pointer JSON pointer of the place in the schema; empty for the whole schema */
    static ConstraintException at(String pointer, String problem) {
        return new ConstraintException(
                (pointer.isEmpty() ? "the schema" : "the schema at " + pointer) + ": " + problem);
    }
}
