package io.weft.cache;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A block that is full, or that the coming step fills. Once it is full it never changes. Several sequences may use it
 * if it has a name; while none does, it is <em>idle</em>, and stays until its memory is wanted.
 */
final class Block extends Evictable {
    private BlockHome home;
    private BlockHome.@Nullable OnDevice copy;
    private @Nullable WindowPiece windowPiece;
    private boolean isArriving;
    private @Nullable BlockName name;
    private String salt = "";

    /** A block of one sequence, without a name. */
    Block(BlockHome home) {
        super(1);
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

    @Override
    public String toString() {
        return "block " + name;
    }
}
