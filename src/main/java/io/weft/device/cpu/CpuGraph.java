package io.weft.device.cpu;

import io.weft.device.Graph;
import io.weft.device.Stream;
import java.util.List;

/** Operations that are issued again one by one. */
final class CpuGraph implements Graph {
    private final List<CpuStream.Operation> operations;
    private boolean closed;

    CpuGraph(List<CpuStream.Operation> operations) {
        this.operations = List.copyOf(operations);
    }

    @Override
    public void launch(Stream stream) {
        if (closed) {
            throw new IllegalStateException("the graph is closed");
        }
        operations.forEach(((CpuStream) stream)::issue);
    }

    @Override
    public void close() {
        closed = true;
    }
}
