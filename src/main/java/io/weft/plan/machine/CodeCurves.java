package io.weft.plan.machine;

import io.weft.model.Encoding;

/**
 * How long a device takes for blocks of one encoding in a layer, in nanoseconds over the bytes of what they hold.
 *
 * @param encoding of the blocks
 * @param encode bytes that are coded
 * @param decode bytes that are decoded
 */
public record CodeCurves(Encoding encoding, Curve encode, Curve decode) {
    public CodeCurves {
        if (!encoding.isCoded()) {
            throw new IllegalArgumentException(encoding + " is stored as it is");
        }
    }

    /** The same with kernels that take {@code factor} times as long. */
    CodeCurves times(double factor) {
        return new CodeCurves(encoding, encode.times(factor), decode.times(factor));
    }
}
