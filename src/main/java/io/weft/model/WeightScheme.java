package io.weft.model;

import io.weft.device.WeightCode;
import java.util.Optional;

/** The form in which a checkpoint has a module's weight; {@link QuantisedReader} says which tensors make it up. */
sealed interface WeightScheme {
    /** As it is, under its own name. */
    record Plain() implements WeightScheme {}

    /**
     * A code an element under its own name; scales beside it, whose shape says for what each is.
     *
     * @param block for scales of blocks; empty if a scale is for a group, a row or the whole matrix
     */
    record Scaled(WeightCode code, Optional<Block> block) implements WeightScheme {}

    /** The extents of a block with one scale. */
    record Block(int rows, int columns) {}

    /**
     * {@code pack-quantized} of compressed-tensors: words of a row's neighbouring codes.
     *
     * @param code of two kinds of integers
     */
    record Packed(WeightCode code) implements WeightScheme {}

    /**
     * GPTQ: words of a column's neighbouring codes.
     *
     * @param code of two kinds of integers
     * @param groupColumns columns that share a scale; empty for a whole row
     * @param zeroOffset what is added to a stored zero
     */
    record Gptq(WeightCode code, Optional<Integer> groupColumns, int zeroOffset) implements WeightScheme {}

    /**
     * AWQ's gemm: words of codes of eight rows, interleaved.
     *
     * @param groupColumns columns that share a scale; empty for a whole row
     */
    record Awq(Optional<Integer> groupColumns) implements WeightScheme {}

    /** MXFP4 of stacked experts: blocks of 32 codes, and exponents. */
    record Mxfp4() implements WeightScheme {}
}
