package io.weft.device;

import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A machine with its own memory, a link to host memory, and kernels. Memory is allocated at start, within two budgets,
 * and freed when the device closes. No code above this package knows which device it uses.
 */
public interface Device extends AutoCloseable {
    DeviceInfo info();

    /** The element type of activations and of the cache. */
    ElementType elementType();

    /**
     * Allocates device memory; the contents are undefined.
     *
     * @param purpose for messages and the printed budget, such as {@code "staging ring"}
     * @throws OutOfMemoryBudgetException if it does not fit the budget
     */
    DeviceBuffer allocate(String purpose, long bytes);

    /**
     * Allocates host memory that the link reaches; the contents are undefined.
     *
     * @throws OutOfMemoryBudgetException if it does not fit the budget
     */
    HostBuffer allocateHost(String purpose, long bytes);

    /**
     * Takes host memory of which the link reaches a part; a device without a real link reaches all of it. Ends with the
     * device, as other memory does.
     *
     * @throws OutOfMemoryBudgetException if it does not fit the budget
     */
    default HostRegion reserveHost(String purpose, long bytes) {
        return HostRegion.of(allocateHost(purpose, bytes));
    }

    /** All allocations, in order, for the budget that is printed at start. */
    List<Allocation> allocations();

    /** Creates a stream. Streams live as long as the device. */
    Stream stream(String name);

    /** Creates an event. Events live as long as the device; reuse them. */
    Event event(Event.Timing timing);

    Kernels kernels();

    /** Elements of a head that attention takes at most. */
    default int headSizeMost() {
        return Integer.MAX_VALUE;
    }

    /**
     * Captures what {@code operations} issues on {@code stream} instead of running it: kernels and copies within device
     * memory, no events. Each kernel must have run before with the same sizes, so that it looks up and allocates
     * nothing during the capture.
     *
     * @return empty if the device cannot capture; then nothing was issued, and another attempt would fail too
     */
    Optional<Graph> capture(Stream stream, Runnable operations);

    /**
     * Loads a weight matrix in the device's own layout.
     *
     * @param purpose for messages
     * @param rows matrices of equal width whose rows, one after the other, are the output features
     * @param bias vectors that make up the bias in the same way; empty for none
     */
    Linear linear(String purpose, List<? extends Tensor> rows, List<? extends Tensor> bias);

    /**
     * Loads the experts of a layer in the device's own layout.
     *
     * @param purpose for messages
     * @param experts all of the same sizes, by id
     */
    Experts experts(String purpose, List<ExpertWeights> experts);

    /**
     * @param tokens (vocabulary, width)
     * @param positions (positions, width), or null without learned positions
     * @param positionOffset row of {@code positions} that position 0 uses
     * @param scale factor on the token's row
     */
    Embedding embedding(Tensor tokens, @Nullable Tensor positions, int positionOffset, float scale);

    /**
     * @param gain with width elements, of any shape
     * @param bias (width), or null for none
     */
    Norm norm(Norm.Kind kind, Tensor gain, @Nullable Tensor bias);

    /** A norm without gain and bias. */
    default Norm norm(Norm.Kind kind, int width) {
        return norm(kind, new RandomTensor("no gain", List.of(width), 0, 1 - kind.gainOffset(), 0), null);
    }

    /**
     * Loads the sinks of a layer's attention.
     *
     * @param logits (heads); they count beside scores that are scaled and capped
     */
    AttentionSinks attentionSinks(Tensor logits);

    /**
     * A rotary table for positions 0 to {@code positions − 1}: angle j at position p is {@code p ·
     * inverseFrequencies[j]}, cosines and sines times {@code magnitude}.
     */
    default RotaryTable rotaryTable(
            float[] inverseFrequencies, float magnitude, int positions, RotaryTable.Layout layout) {
        return rotaryTable(List.of(inverseFrequencies), magnitude, positions, layout);
    }

    /**
     * Rotary tables, one after the other: with the i-th frequencies, position p is position {@code i · positions + p}
     * of the result.
     *
     * @param inverseFrequencies all of one length
     */
    RotaryTable rotaryTable(
            List<float[]> inverseFrequencies, float magnitude, int positions, RotaryTable.Layout layout);

    /** Waits until everything issued on every stream has run, stops the device's threads and frees its memory. */
    @Override
    void close();

    /**
     * One allocation.
     *
     * @param purpose purpose of the allocation
     * @param memory the memory
     * @param bytes size
     */
    record Allocation(String purpose, Memory memory, long bytes) {
        /** The two memories. */
        public enum Memory {
            DEVICE,
            HOST
        }
    }
}
