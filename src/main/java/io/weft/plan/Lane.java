package io.weft.plan;

/** What works on a stage; the stages of a lane run in order. */
public enum Lane {
    /** Host to device. */
    LINK_IN,
    COMPUTE,
    /** Device to host. */
    LINK_OUT
}
