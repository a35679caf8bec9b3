package io.weft.check;

/** How much is checked. */
public enum Extent {
    /** Everything. */
    ALL,
    /** Each kernel at a few sizes, for tools that make kernels a thousand times slower. */
    SMALL
}
