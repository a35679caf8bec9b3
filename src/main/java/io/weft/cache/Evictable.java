package io.weft.cache;

/** What is stored of a block's tokens, with those who use it counted. If nobody does, it gives way to others. */
abstract sealed class Evictable permits Block, WindowPiece {
    private int users;
    private long idleSince;

    Evictable(int users) {
        this.users = users;
    }

    final boolean isIdle() {
        return users == 0;
    }

    final int users() {
        return users;
    }

    final void use() {
        users++;
    }

    /** A user less. */
    final void giveBack() {
        if (users < 1) {
            throw new IllegalStateException("nobody uses " + this);
        }
        users--;
    }

    /** @param stamp from which on nobody uses it, if nobody does */
    final void idleFrom(long stamp) {
        idleSince = stamp;
    }

    /** The smaller, the longer nobody has used it; no two have the same. */
    final long idleSince() {
        return idleSince;
    }
}
