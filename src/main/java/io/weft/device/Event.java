package io.weft.device;

/**
 * A point in a stream's work. {@link Stream#record} marks it. {@link Stream#await} makes another stream wait for the
 * last mark that was recorded before the wait was issued. An event that was never recorded counts as reached.
 */
public interface Event {
    /** Whether the last recorded mark has been reached. */
    boolean isReached();

    /**
     * Runs {@code callback} once the last recorded mark is reached, on a thread of the device; at once if it already
     * is. Use it to notify subscribers, never to order work.
     *
     * @param callback receives {@code null}, or the error that stopped the stream before the mark
     */
    void onReached(ReachedCallback callback);

    /**
     * Blocks the calling thread until the last recorded mark is reached; throws {@link DeviceException} if the stream
     * failed before it.
     */
    void join();

    /**
     * Nanoseconds from {@code origin}'s mark to this one's; both must be {@linkplain Timing#TIMED timed} and reached.
     *
     * @throws IllegalStateException if either is untimed or not reached
     */
    long nanosSince(Event origin);

    /** Whether marks record the time; untimed events are cheaper. */
    enum Timing {
        UNTIMED,
        TIMED
    }

    /** The callback of {@link #onReached}. */
    @FunctionalInterface
    interface ReachedCallback {
        void reached(@org.jspecify.annotations.Nullable Throwable error);
    }
}
