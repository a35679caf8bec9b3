package io.weft.cache;

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

    /** Whether a text is that of one of an owner's scopes. */
    public static boolean isOf(String owner, String text) {
        return text.startsWith(new CacheScope(owner, "").text());
    }

    /** A text that is that of no other scope. */
    public String text() {
        return owner.length() + ":" + owner + salt;
    }
}
