package io.weft.text.constraint;

/**
 * Bounds what a constraint costs by counting, so that the same constraint is refused on every machine. A unit is about
 * ten nanoseconds.
 */
final class Work {
    private final String limitOf;
    private long left;

    /** @param limitOf what is too large once the units are spent, for the message */
    Work(String limitOf, long units) {
        this.limitOf = limitOf;
        this.left = units;
    }

    /** @throws ConstraintException once more units are spent than there are */
    void spend(long units) {
        left -= units;
        if (left < 0) {
            throw new ConstraintException(limitOf);
        }
    }

    /** Units that are not spent yet. */
    long left() {
        return left;
    }

    /** Adds units, up to a number of them. */
    void allow(long units, long most) {
        left = Math.min(most, left + units);
    }
}
