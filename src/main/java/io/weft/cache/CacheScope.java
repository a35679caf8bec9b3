package io.weft.cache;

import java.nio.charset.StandardCharsets;

/**
 * Who may find a block. Names of blocks depend on it, so what one scope holds is never found, and not even seen to be
 * there, from another.
 *
 * @param owner whose blocks they are; empty if all clients share
 * @param salt what the owner's request gave as its salt; empty for none
 */
public record CacheScope(String owner, String salt) {
    /** Of those who share with everybody. */
    public static final CacheScope COMMON = new CacheScope("", "");

    /** Bytes that are those of no other scope. */
    public byte[] bytes() {
        return (owner.length() + ":" + owner + salt).getBytes(StandardCharsets.UTF_8);
    }
}
