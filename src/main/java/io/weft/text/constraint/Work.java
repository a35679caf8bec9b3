package io.weft.text.constraint;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Bounds what a constraint costs by counting, so that the same constraint is refused on every machine. A unit is about
 * ten nanoseconds. Any thread.
 */
final class Work {
    private final String limitOf;
    private final AtomicLong left;

    /** @param limitOf what is too large once the units are spent, for the message */
    Work(String limitOf, long units) {
        this.limitOf = limitOf;
        this.left = new AtomicLong(units);
    }

    /** @throws ConstraintException once more units are spent than there are */
    void spend(long units) {
        if (left.addAndGet(-units) < 0) {
            throw new ConstraintException(limitOf);
        }
    }

    /** Units that are not spent yet. */
    long left() {
        return left.get();
    }

    /** Adds units, up to a number of them. */
    void allow(long units, long most) {
        left.updateAndGet(before -> Math.min(most, before + units));
    }
}
