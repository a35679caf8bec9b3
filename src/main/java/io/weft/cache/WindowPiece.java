package io.weft.cache;

/**
 * What rings had of a full block, kept on the host, so that a sequence may begin after that block. A sequence needs it
 * only until its own ring is filled. It goes before its block, or with it.
 */
final class WindowPiece implements Evictable {
    private final Block block;
    private final HostSlot slot;
    private int users;
    private long idleSince;
    private long release;

    WindowPiece(Block block, HostSlot slot) {
        this.block = block;
        this.slot = slot;
    }

    Block block() {
        return block;
    }

    HostSlot slot() {
        return slot;
    }

    boolean isIdle() {
        return users == 0;
    }

    void use() {
        users++;
    }

    void giveBack() {
        users--;
    }

    /**
     * Nobody reads it any more.
     *
     * @param stamp of now
     * @param ofRelease of what becomes idle together
     */
    void idle(long stamp, long ofRelease) {
        idleSince = stamp;
        release = ofRelease;
    }

    @Override
    public long idleSince() {
        return idleSince;
    }

    @Override
    public long release() {
        return release;
    }
}
