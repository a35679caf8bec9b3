package io.weft.device;

import java.util.List;

/**
 * The sizes of the experts of a layer, which are alike.
 *
 * @param count E, the number of experts
 * @param width D, elements of an input row and of an output row
 * @param innerWidth F, elements of a row between the two matrices of an expert
 */
public record ExpertShape(int count, int width, int innerWidth) {
    /**
     * The shape of the arguments of {@link Device#experts}.
     *
     * @throws IllegalArgumentException if matrices do not fit each other, or experts differ
     */
    public static ExpertShape of(String purpose, List<ExpertWeights> experts) {
        if (experts.isEmpty() || experts.size() > ExpertRouting.EXPERTS_MOST) {
            throw new IllegalArgumentException("%s: %d experts, must be from 1 to %d"
                    .formatted(purpose, experts.size(), ExpertRouting.EXPERTS_MOST));
        }
        ExpertWeights first = experts.getFirst();
        LinearShape down = LinearShape.of(purpose, first.down(), first.downBias());
        ExpertShape shape = new ExpertShape(experts.size(), down.outFeatures(), down.inFeatures());
        for (ExpertWeights expert : experts) {
            shape.require(purpose, expert);
            if (expert.gateUpBias().isEmpty() != first.gateUpBias().isEmpty()
                    || expert.downBias().isEmpty() != first.downBias().isEmpty()) {
                throw new IllegalArgumentException(purpose + ": some experts have a bias, others have none");
            }
        }
        return shape;
    }

    private void require(String purpose, ExpertWeights expert) {
        LinearShape gateUp = LinearShape.of(purpose, expert.gateUp(), expert.gateUpBias());
        LinearShape down = LinearShape.of(purpose, expert.down(), expert.downBias());
        if (gateUp.outFeatures() != 2 * innerWidth
                || gateUp.inFeatures() != width
                || down.outFeatures() != width
                || down.inFeatures() != innerWidth) {
            throw new IllegalArgumentException(
                    "%s: an expert has matrices (%d, %d) and (%d, %d), must have (%d, %d) and (%d, %d)"
                            .formatted(
                                    purpose,
                                    gateUp.outFeatures(),
                                    gateUp.inFeatures(),
                                    down.outFeatures(),
                                    down.inFeatures(),
                                    2 * innerWidth,
                                    width,
                                    width,
                                    innerWidth));
        }
    }
}
