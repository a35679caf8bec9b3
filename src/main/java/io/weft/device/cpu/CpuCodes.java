package io.weft.device.cpu;

import static io.weft.device.cpu.CpuLinear.PANEL;

import io.weft.device.QuantisedTensor;
import io.weft.device.Tensor;
import io.weft.device.WeightEncoding;
import io.weft.device.WeightEncoding.Zero;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/**
 * Quantised weights (N, K) in memory: codes (N, bytes of a row), scales (N, groups) fp32, and zeros (N, groups) bytes
 * if groups have their own. A product decodes panels of rows to fp32, so it has the bits of a product with the decoded
 * weights.
 *
 * @param encoding how they are stored
 * @param rows N
 * @param columns K
 * @param address address of the codes, after which come scales and zeros
 */
record CpuCodes(WeightEncoding encoding, int rows, int columns, long address) {
    static long bytes(int rows, int columns, WeightEncoding encoding) {
        long groupBytes = (long) Float.BYTES + (encoding.zero() == Zero.GROUP ? 1 : 0);
        long bytes = rows * (encoding.rowBytes(columns) + encoding.groups(columns) * groupBytes);
        return Math.ceilDiv(bytes, NativeMemory.ALIGNMENT_BYTES) * NativeMemory.ALIGNMENT_BYTES;
    }

    private MemorySegment codes() {
        return Memory.segment(address, rows * encoding.rowBytes(columns));
    }

    private MemorySegment scales() {
        long bytes = (long) rows * encoding.groups(columns) * Float.BYTES;
        return Memory.segment(address + codes().byteSize(), bytes);
    }

    private MemorySegment zeros() {
        long bytes = encoding.zero() == Zero.GROUP ? (long) rows * encoding.groups(columns) : 0;
        return Memory.segment(address + codes().byteSize() + scales().byteSize(), bytes);
    }

    /** Reads quantised tensors that make up the rows. */
    void load(List<? extends Tensor> parts) {
        long rowBytes = encoding.rowBytes(columns);
        long groups = encoding.groups(columns);
        long row = 0;
        for (Tensor part : parts) {
            QuantisedTensor tensor = (QuantisedTensor) part;
            int count = tensor.rows();
            int from = tensor.firstRow();
            tensor.source().codes(from, count, codes().asSlice(row * rowBytes, count * rowBytes));
            tensor.source()
                    .scales(from, count, scales().asSlice(row * groups * Float.BYTES, count * groups * Float.BYTES));
            if (encoding.zero() == Zero.GROUP) {
                tensor.source().zeros(from, count, zeros().asSlice(row * groups, count * groups));
            }
            row += count;
        }
    }

    /** Writes panels [from, end) as fp32; the last may lack rows, whose elements are 0. */
    void decode(CpuLinear linear, int from, int end, long to) {
        QuantisedTensor.Decoder decoder = new QuantisedTensor.Decoder(encoding, columns);
        int groups = encoding.groups(columns);
        byte[] codes = new byte[Math.toIntExact(encoding.rowBytes(columns))];
        float[] scales = new float[groups];
        byte[] zeros = new byte[encoding.zero() == Zero.GROUP ? groups : 0];
        float[] values = new float[columns];
        long codeAddress = address;
        long scaleAddress = codeAddress + rows * encoding.rowBytes(columns);
        long zeroAddress = scaleAddress + (long) rows * groups * Float.BYTES;
        for (int row = from * PANEL; row < end * PANEL; row++) {
            if (row < rows) {
                read(codeAddress + (long) row * codes.length, MemorySegment.ofArray(codes));
                read(scaleAddress + (long) row * groups * Float.BYTES, MemorySegment.ofArray(scales));
                read(zeroAddress + (long) row * zeros.length, MemorySegment.ofArray(zeros));
                decoder.decode(codes, scales, zeros, values);
            } else {
                Arrays.fill(values, 0);
            }
            long at = to + (row / PANEL - from) * linear.panelBytes() + (long) (row % PANEL) * Float.BYTES;
            for (int k = 0; k < columns; k++) {
                Memory.setFloat(at + (long) k * PANEL * Float.BYTES, values[k]);
            }
        }
    }

    private static void read(long from, MemorySegment to) {
        to.copyFrom(Memory.segment(from, to.byteSize()));
    }
}
