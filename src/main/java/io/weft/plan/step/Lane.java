package io.weft.plan.step;

import java.util.Locale;

/** The unit that works on a stage. The stages of a lane run in order. */
public enum Lane {
    /** Host to device. */
    LINK_IN,
    COMPUTE,
    /** Device to host. */
    LINK_OUT;

    /** The name of the lane in texts for people. */
    public String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
}
