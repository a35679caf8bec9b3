package io.weft.check;

import java.util.List;

/**
 * Checks choices of tokens. Weights come from the same operations on every device, and sums are of whole numbers, so
 * all devices choose the same tokens, and the formula allows them. Rounded logits contain many equal ones, every fifth
 * row contains values that no model should produce, and every third has a mask.
 */
final class ChoiceChecks {
    private static final double[] SCALES = {0.5, 20};

    private final CheckBench bench;
    private final Workbench tested;
    private final Workbench reference;

    ChoiceChecks(CheckBench bench, Workbench reference) {
        this.bench = bench;
        this.tested = bench.tested();
        this.reference = reference;
    }

    private record Size(int rows, int vocabulary) {}

    private List<Size> sizes() {
        return switch (bench.extent()) {
            case ALL ->
                List.of(
                        new Size(33, 1),
                        new Size(33, 2),
                        new Size(257, 7),
                        new Size(257, 33),
                        new Size(257, 257),
                        new Size(33, 1024),
                        new Size(33, 5001),
                        new Size(33, 50_272),
                        new Size(3, 262_145));
            case AWKWARD ->
                List.of(
                        new Size(6, 1),
                        new Size(13, 2),
                        new Size(25, 7),
                        new Size(25, 33),
                        new Size(100, 257),
                        new Size(25, 1024),
                        new Size(8, 5001));
            case BRIEF -> List.of(new Size(25, 257), new Size(8, 5001));
            case SMALL -> List.of(new Size(3, 257));
        };
    }

    void run() {
        for (Size size : sizes()) {
            for (double scale : SCALES) {
                String name = "chooseTokens %d x %d, logits to %s".formatted(size.rows(), size.vocabulary(), scale);
                bench.attempt(name, () -> choose(name, size, scale));
            }
        }
    }

    private void choose(String name, Size size, double scale) {
        ChoiceCase choice = new ChoiceCase(size.rows(), size.vocabulary(), scale, bench.type(), bench.random());
        reference.clear();
        int[] expected = choice.run(reference, size.rows());
        tested.clear();
        int[] together = choice.run(tested, size.rows());
        bench.sameNumbers(name, expected, together);
        bench.count(name + ", by the formula", choice.implausible(together));
        switch (bench.extent()) {
            case ALL, BRIEF, AWKWARD -> {
                tested.clear();
                bench.sameNumbers(name + ", same as alone", together, choice.run(tested, 1));
            }
            case SMALL -> {}
        }
    }
}
