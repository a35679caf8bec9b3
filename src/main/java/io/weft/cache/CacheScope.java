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

    /** The scope of which this is the text; any other text is a salt of those who share with everybody. */
    static CacheScope parse(String text) {
        int colon = text.indexOf(':');
        if (colon > 0 && text.substring(0, colon).matches("[0-9]{1,9}")) {
            int end = colon + 1 + Integer.parseInt(text.substring(0, colon));
            if (end <= text.length()) {
                return new CacheScope(text.substring(colon + 1, end), text.substring(end));
            }
        }
        return new CacheScope("", text);
    }

    /** A text that is that of no other scope. */
    public String text() {
        return owner.length() + ":" + owner + salt;
    }
}
