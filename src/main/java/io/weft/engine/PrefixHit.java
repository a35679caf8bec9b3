package io.weft.engine;

/**
 * Tokens at the beginning of a prompt that were cached when its request was admitted, by where they were found.
 *
 * @param deviceTokens in device memory
 * @param hostTokens in host memory
 * @param diskTokens on the disk; they were brought to host memory
 */
public record PrefixHit(int deviceTokens, int hostTokens, int diskTokens) {
    /** Nothing was cached. */
    public static final PrefixHit NONE = new PrefixHit(0, 0, 0);

    /** All of them. */
    public int tokens() {
        return deviceTokens + hostTokens + diskTokens;
    }

    /** The sum of both. */
    public PrefixHit plus(PrefixHit more) {
        return new PrefixHit(
                deviceTokens + more.deviceTokens, hostTokens + more.hostTokens, diskTokens + more.diskTokens);
    }
}
