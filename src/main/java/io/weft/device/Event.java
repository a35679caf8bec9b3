package io.weft.device;

/**
 * A point in a stream's work. {@link Stream#record} marks it, {@link Stream#await} makes another stream wait for the
 * mark that was recorded last when the wait was issued; an event that was never recorded counts as reached.
 */
public interface Event {
    /** Whether the last recorded mark has been reached. */
    boolean isReached();

    /**
     * Runs {@code callback} once the last recorded mark is reached, on a thread of the device; at once if it already
     * is. For telling subscribers, never for ordering work.
     *
     * @param callback told {@code null}, or the error that stopped the stream before the mark
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

    /** Whether marks carry the time; untimed events are cheaper. */
    enum Timing {
        UNTIMED,
        TIMED
    }

    /** What {@link #onReached} calls. */
    @FunctionalInterface
    interface ReachedCallback {
        void reached(@org.jspecify.annotations.Nullable Throwable error);
    }
}
