package io.weft.cache;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A block that is full, or that the coming step fills. Once it is full it never changes. Several sequences may use it
 * if it has a name; while none does, it is <em>idle</em>, and stays until its memory is wanted.
 */
final class Block implements Evictable {
    private BlockHome home;
    private BlockHome.@Nullable OnDevice copy;
    private @Nullable WindowPiece windowPiece;
    private boolean isArriving;
    private @Nullable BlockName name;
    private String salt = "";
    private int users = 1;
    private long idleSince;
    private long release;

    /** A block of one sequence, without a name. */
    Block(BlockHome home) {
        this.home = home;
    }

    BlockHome home() {
        return home;
    }

    void moveTo(BlockHome other) {
        home = other;
    }

    /** Where a step reads it: its copy on the device if it has one, else its home. */
    BlockHome place() {
        return copy == null ? home : copy;
    }

    BlockHome.@Nullable OnDevice copy() {
        return copy;
    }

    void setCopy(BlockHome.@Nullable OnDevice made) {
        copy = made;
    }

    /** What rings had of it, if that is kept. */
    @Nullable
    WindowPiece windowPiece() {
        return windowPiece;
    }

    void setWindowPiece(@Nullable WindowPiece kept) {
        windowPiece = kept;
    }

    /** Whether the next step of some sequence makes a copy. */
    boolean isArriving() {
        return isArriving;
    }

    void setArriving(boolean arriving) {
        isArriving = arriving;
    }

    boolean hasName() {
        return name != null;
    }

    BlockName name() {
        return Objects.requireNonNull(name);
    }

    String salt() {
        return salt;
    }

    void setName(BlockName given, String ofSalt) {
        name = given;
        salt = ofSalt;
    }

    void forgetName() {
        name = null;
    }

    boolean isIdle() {
        return users == 0;
    }

    int users() {
        return users;
    }

    void use() {
        users++;
    }

    /**
     * A user less.
     *
     * @param stamp of now, if nobody uses it any more
     * @param ofRelease of what is given back together
     */
    void giveBack(long stamp, long ofRelease) {
        if (users < 1) {
            throw new IllegalStateException("nobody uses block " + name);
        }
        users--;
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
