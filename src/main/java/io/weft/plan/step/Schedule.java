package io.weft.plan.step;

/** How a step brings the cached tokens to the attention. */
public enum Schedule {
    /** All K and V stay in device memory. */
    RESIDENT("resident"),
    /** All K and V cross the link. */
    FULL_TRANSFER("full-transfer"),
    /**
     * The KVPR paper's: the activations of the first tokens of a layer cross, then K and V of the others while the
     * first are recomputed.
     */
    KVPR("kvpr"),
    /** Activations and K and V cross in chunks, recomputed chunk by chunk; the link runs ahead into the next layers. */
    CHUNKED("chunked");

    private final String label;

    Schedule(String label) {
        this.label = label;
    }

    /** The name users give it. */
    public String label() {
        return label;
    }
}
