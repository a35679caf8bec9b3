package io.weft.device;

import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A device that has another one do everything. */
public abstract class ForwardingDevice implements Device {
    private final Device device;

    protected ForwardingDevice(Device device) {
        this.device = device;
    }

    @Override
    public DeviceInfo info() {
        return device.info();
    }

    @Override
    public ElementType elementType() {
        return device.elementType();
    }

    @Override
    public DeviceBuffer allocate(String purpose, long bytes) {
        return device.allocate(purpose, bytes);
    }

    @Override
    public HostBuffer allocateHost(String purpose, long bytes) {
        return device.allocateHost(purpose, bytes);
    }

    @Override
    public List<Allocation> allocations() {
        return device.allocations();
    }

    @Override
    public Stream stream(String name) {
        return device.stream(name);
    }

    @Override
    public Event event(Event.Timing timing) {
        return device.event(timing);
    }

    @Override
    public Kernels kernels() {
        return device.kernels();
    }

    @Override
    public Optional<Graph> capture(Stream stream, Runnable operations) {
        return device.capture(stream, operations);
    }

    @Override
    public Linear linear(String purpose, List<? extends Tensor> rows, List<? extends Tensor> bias) {
        return device.linear(purpose, rows, bias);
    }

    @Override
    public Experts experts(String purpose, List<ExpertWeights> experts) {
        return device.experts(purpose, experts);
    }

    @Override
    public Embedding embedding(Tensor tokens, @Nullable Tensor positions, int positionOffset, float scale) {
        return device.embedding(tokens, positions, positionOffset, scale);
    }

    @Override
    public Norm norm(Norm.Kind kind, Tensor gain, @Nullable Tensor bias) {
        return device.norm(kind, gain, bias);
    }

    @Override
    public AttentionSinks attentionSinks(Tensor logits) {
        return device.attentionSinks(logits);
    }

    @Override
    public RotaryTable rotaryTable(
            List<float[]> inverseFrequencies, float magnitude, int positions, RotaryTable.Layout layout) {
        return device.rotaryTable(inverseFrequencies, magnitude, positions, layout);
    }

    @Override
    public void close() {
        device.close();
    }
}
