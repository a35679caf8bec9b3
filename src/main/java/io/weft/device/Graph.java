package io.weft.device;

/**
 * Captured operations of a stream that can be issued together any number of times, see {@link Device#capture}. They use
 * the memory with which they were captured; its contents may change from launch to launch.
 */
public interface Graph extends AutoCloseable {
    /**
     * Issues all operations, in their order.
     *
     * @throws IllegalStateException if the graph is closed
     */
    void launch(Stream stream);

    /** Frees the graph; all its launches must have ended. When a device closes, it frees the graphs that are left. */
    @Override
    void close();
}
