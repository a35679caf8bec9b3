package io.weft.check;

/** The extent of the checks. */
public enum Extent {
    /** Everything, including the sizes of real models, at which a GPU uses other kernels. */
    ALL,
    /** Each kind of check at small sizes, for one more element type of a device. */
    BRIEF,
    /** Each kernel at sizes that fill no vector, tile or block: for a device that has one kernel for every size. */
    AWKWARD,
    /** Each kernel at a few sizes, for tools that make kernels a thousand times slower. */
    SMALL
}
