package io.weft.cache;

/** What gives way if its memory is wanted. */
sealed interface Evictable permits Block, WindowPiece {
    /** The smaller, the longer nobody has used it; no two have the same. */
    long idleSince();

    /** Equal for what became idle together. */
    long release();
}
