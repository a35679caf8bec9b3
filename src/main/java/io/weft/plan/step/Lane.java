package io.weft.plan.step;

import java.util.Locale;

/** What works on a stage; the stages of a lane run in order. */
public enum Lane {
    /** Host to device. */
    LINK_IN,
    COMPUTE,
    /** Device to host. */
    LINK_OUT;

    /** The name people give it. */
    public String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
}
