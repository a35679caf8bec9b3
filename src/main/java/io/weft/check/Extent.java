package io.weft.check;

/** How much is checked. */
public enum Extent {
    /** Everything, the sizes of real models included, at which a GPU takes other kernels. */
    ALL,
    /** Each kernel at sizes that fill no vector, tile or block: for a device that has one kernel for every size. */
    AWKWARD,
    /** Each kernel at a few sizes, for tools that make kernels a thousand times slower. */
    SMALL
}
