package io.weft.plan.step;

/**
 * The cached tokens of a step, by how it uses them in every layer.
 *
 * @param resident tokens whose K and V lie on the device
 * @param transferred tokens whose K and V cross the link
 * @param recomputed tokens whose K and V are computed from activations, wherever those lie
 */
public record StepTokens(long resident, long transferred, long recomputed) {
    /** No tokens. */
    public static final StepTokens NONE = new StepTokens(0, 0, 0);

    /** The tokens of a step. */
    public static StepTokens of(StepShape shape, int blockTokens) {
        long resident = 0;
        long transferred = 0;
        long recomputed = 0;
        for (SequenceShape sequence : shape.sequences()) {
            resident += sequence.openTokens();
            for (int block = 0; block < sequence.closed().size(); block++) {
                switch (sequence.closed().get(block)) {
                    case DEVICE_KV -> resident += blockTokens;
                    case HOST_KV -> transferred += blockTokens;
                    case DEVICE_ACT, HOST_ACT -> recomputed += blockTokens;
                }
            }
        }
        return new StepTokens(resident, transferred, recomputed);
    }

    /** The sum of both. */
    public StepTokens plus(StepTokens more) {
        return new StepTokens(resident + more.resident, transferred + more.transferred, recomputed + more.recomputed);
    }
}
