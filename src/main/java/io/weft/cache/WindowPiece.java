package io.weft.cache;

/**
 * What rings had of a full block, kept on the host, so that a sequence may begin after that block. A sequence needs it
 * only until its own ring is filled. It goes before its block, or with it.
 */
final class WindowPiece extends Evictable {
    private final Block block;
    private final HostSlot slot;

    WindowPiece(Block block, HostSlot slot) {
        super(0);
        this.block = block;
        this.slot = slot;
    }

    Block block() {
        return block;
    }

    HostSlot slot() {
        return slot;
    }
}
