package io.weft.cache;

/** Whether codes of a fixed size suit the values of a model: of the newest blocks, how many fitted. */
final class CodeFits {
    /** A quarter of the newest 64 blocks. */
    private static final int MISFITS_MOST = Long.SIZE / 4;

    /** A bit for each of the newest blocks: 1 if it did not fit. */
    private long newest;

    private boolean wereMany;

    void note(boolean isMisfit) {
        newest = newest << 1 | (isMisfit ? 1 : 0);
        wereMany |= Long.bitCount(newest) >= MISFITS_MOST;
    }

    /** So many that it is not worth trying: each costs a copy that is made one after the other. */
    void noteMany() {
        wereMany = true;
    }

    boolean areFew() {
        return !wereMany;
    }
}
