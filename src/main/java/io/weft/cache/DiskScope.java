package io.weft.cache;

import java.nio.charset.StandardCharsets;

/**
 * To whom a file of the cache's directory belongs, as hashes: they are in its name, so that the files of an owner or of
 * a salt can be found after a restart, and tell neither.
 *
 * @param owner hash of the owner
 * @param salt hash of the salt
 */
public record DiskScope(long owner, long salt) {
    /** The scope of an owner's requests with a salt; either may be empty. */
    public static DiskScope of(String owner, String salt) {
        return new DiskScope(ownerHash(owner), saltHash(salt));
    }

    static long ownerHash(String owner) {
        return BlockFile.hash(("owner " + owner).getBytes(StandardCharsets.UTF_8))
                .high();
    }

    static long saltHash(String salt) {
        return BlockFile.hash(("salt " + salt).getBytes(StandardCharsets.UTF_8)).high();
    }

    /** 32 hexadecimal digits. */
    @Override
    public String toString() {
        return new BlockName(owner, salt).toString();
    }
}
