package io.weft.device;

/**
 * Operations of a stream that are issued together, as often as wanted, see {@link Device#capture}. They read and write
 * the memory that they were captured with; what it holds may change from launch to launch.
 */
public interface Graph extends AutoCloseable {
    /**
     * Issues all operations, in their order.
     *
     * @throws IllegalStateException if the graph is closed
     */
    void launch(Stream stream);

    /** Gives it up; its launches have ended. A device that closes does the same with those that are left. */
    @Override
    void close();
}
