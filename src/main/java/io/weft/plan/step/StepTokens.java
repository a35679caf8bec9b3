package io.weft.plan.step;

/**
 * The cached tokens of a step, by the form in which they lie; each has one in all layers.
 *
 * @param deviceKeyValues K and V on the device, those after a sequence's last full block included
 * @param deviceActivations activations on the device
 * @param hostKeyValues K and V in host memory
 * @param hostActivations activations in host memory
 */
public record StepTokens(long deviceKeyValues, long deviceActivations, long hostKeyValues, long hostActivations) {
    /** No tokens. */
    public static final StepTokens NONE = new StepTokens(0, 0, 0, 0);

    /** The tokens of a step. */
    public static StepTokens of(StepShape shape, int blockTokens) {
        long deviceKeyValues = 0;
        long deviceActivations = 0;
        long hostKeyValues = 0;
        long hostActivations = 0;
        for (SequenceShape sequence : shape.sequences()) {
            deviceKeyValues += sequence.openTokens();
            for (int block = 0; block < sequence.closed().size(); block++) {
                switch (sequence.closed().get(block)) {
                    case DEVICE_KV -> deviceKeyValues += blockTokens;
                    case DEVICE_ACT -> deviceActivations += blockTokens;
                    case HOST_KV -> hostKeyValues += blockTokens;
                    case HOST_ACT -> hostActivations += blockTokens;
                }
            }
        }
        return new StepTokens(deviceKeyValues, deviceActivations, hostKeyValues, hostActivations);
    }

    /** The tokens whose K and V lie on the device. */
    public long resident() {
        return deviceKeyValues;
    }

    /** The tokens whose K and V cross the link. */
    public long transferred() {
        return hostKeyValues;
    }

    /** The tokens whose K and V are computed from activations, wherever those lie. */
    public long recomputed() {
        return deviceActivations + hostActivations;
    }

    /** The sum of both. */
    public StepTokens plus(StepTokens more) {
        return new StepTokens(
                deviceKeyValues + more.deviceKeyValues,
                deviceActivations + more.deviceActivations,
                hostKeyValues + more.hostKeyValues,
                hostActivations + more.hostActivations);
    }
}
