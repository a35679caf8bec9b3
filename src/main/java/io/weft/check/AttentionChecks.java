package io.weft.check;

import io.weft.check.AttentionCase.Division;
import io.weft.device.AttentionShape;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * Checks attention against its formula, and that its bits do not depend on how rows and tokens are divided among calls.
 */
final class AttentionChecks {
    private static final int NO_WINDOW = Integer.MAX_VALUE;

    private final CheckBench bench;

    AttentionChecks(CheckBench bench) {
        this.bench = bench;
    }

    /** With 20 heads for K and V, 33 sequences give every multiprocessor of a large GPU its share. */
    private List<AttentionShape> shapes() {
        return switch (bench.extent()) {
            case ALL, SMALL ->
                List.of(
                        new AttentionShape(4, 4, 16, 0.25f, NO_WINDOW, 16, 64),
                        new AttentionShape(4, 2, 32, 0.2f, NO_WINDOW, 16, 256),
                        new AttentionShape(24, 24, 64, 0.125f, NO_WINDOW, 16, 64),
                        new AttentionShape(8, 2, 128, 0.09f, NO_WINDOW, 16, 64),
                        new AttentionShape(40, 20, 128, 0.09f, NO_WINDOW, 16, 64),
                        new AttentionShape(20, 20, 128, 0.09f, 40, 32, 128),
                        new AttentionShape(4, 2, 64, 0.125f, 63, 16, 64),
                        new AttentionShape(40, 20, 128, 0.09f, 64, 16, 64),
                        new AttentionShape(4, 2, 96, 0.1f, 65, 16, 64),
                        new AttentionShape(8, 4, 256, 0.06f, 129, 16, 128),
                        new AttentionShape(2, 2, 20, 0.22f, 1, 4, 20),
                        new AttentionShape(22, 22, 80, 0.11f, NO_WINDOW, 8, 48),
                        new AttentionShape(2, 1, 96, 0.1f, NO_WINDOW, 1, 7),
                        new AttentionShape(20, 1, 64, 0.125f, 100, 16, 96),
                        new AttentionShape(2, 2, 20, 0.22f, NO_WINDOW, 4, 20),
                        new AttentionShape(2, 1, 256, 0.06f, NO_WINDOW, 16, 64));
            case AWKWARD ->
                List.of(
                        new AttentionShape(1, 1, 8, 0.35f, NO_WINDOW, 1, 1),
                        new AttentionShape(4, 4, 16, 0.25f, NO_WINDOW, 16, 64),
                        new AttentionShape(4, 2, 32, 0.2f, NO_WINDOW, 16, 256),
                        new AttentionShape(6, 3, 25, 0.2f, 13, 8, 24),
                        new AttentionShape(4, 1, 11, 0.3f, 23, 8, 24),
                        new AttentionShape(2, 2, 16, 0.25f, 24, 8, 24),
                        new AttentionShape(3, 1, 16, 0.25f, 25, 8, 24),
                        new AttentionShape(2, 1, 8, 0.35f, 1, 4, 20),
                        new AttentionShape(2, 1, 96, 0.1f, NO_WINDOW, 1, 7),
                        new AttentionShape(8, 1, 64, 0.125f, 100, 16, 96),
                        new AttentionShape(2, 2, 20, 0.22f, NO_WINDOW, 4, 20),
                        new AttentionShape(2, 1, 256, 0.06f, NO_WINDOW, 16, 64));
        };
    }

    void run() {
        long seed = 1;
        for (AttentionShape shape : shapes()) {
            switch (bench.extent()) {
                case ALL -> {
                    for (int sequences : new int[] {1, 7, 33}) {
                        check("decode", shape, sequences, 1, seed++);
                    }
                    check("prefill", shape, 1, 257, seed++);
                    check("prefill", shape, 3, 33, seed++);
                    check("pieces of prompts", shape, 5, 7, seed++);
                    check("pieces of many prompts", shape, 33, 7, seed++);
                }
                case AWKWARD -> {
                    check("decode", shape, 1, 1, seed++);
                    check("decode", shape, 6, 1, seed++);
                    check("prefill", shape, 1, 25, seed++);
                    check("pieces of prompts", shape, 4, 13, seed++);
                }
                case SMALL -> {
                    check("decode", shape, 7, 1, seed++);
                    check("prefill", shape, 1, 257, seed++);
                    check("prefill", shape, 3, 33, seed++);
                    check("pieces of prompts", shape, 5, 7, seed++);
                }
            }
        }
    }

    private void check(String what, AttentionShape shape, int sequences, int rowsMost, long seed) {
        SplittableRandom lengths = new SplittableRandom(seed);
        int[] rows = new int[sequences];
        int[] tokens = new int[sequences];
        for (int i = 0; i < sequences; i++) {
            rows[i] = i == 0 ? rowsMost : 1 + lengths.nextInt(rowsMost);
            tokens[i] = rows[i] + (i == 0 ? 300 : lengths.nextInt(200));
        }
        AttentionCase attention =
                new AttentionCase(shape, tokens, rows, seed, value -> Workbench.round(bench.type(), value));
        String name = "attend %s, %d sequences, %d rows, %d/%d heads of %d, cell %d%s"
                .formatted(
                        what,
                        sequences,
                        attention.rows(),
                        shape.heads(),
                        shape.keyValueHeads(),
                        shape.headSize(),
                        shape.cellTokens(),
                        shape.window() == NO_WINDOW ? "" : ", window " + shape.window());
        bench.attempt(name, () -> check(name, shape, attention));
    }

    private void check(String name, AttentionShape shape, AttentionCase attention) {
        float[] whole = attention.run(bench.tested(), Division.WHOLE);
        bench.within(name, bound(shape, attention.tokensMost()), attention.expected(), whole);
        for (Division division : divisions(shape)) {
            bench.sameBits(
                    name + ", " + division.name().toLowerCase(Locale.ROOT),
                    whole,
                    attention.run(bench.tested(), division));
        }
    }

    /**
     * The result is stored, and weights may be too. An error of a score counts twice, in a weight and in the sum of all
     * weights. Cells of one token merge once per token.
     */
    private double bound(AttentionShape shape, int tokens) {
        return 2 * RoundingErrors.stored(bench.type())
                + 2 * RoundingErrors.sum(shape.headSize())
                + 2 * RoundingErrors.sum(tokens)
                + 2 * RoundingErrors.FUNCTION;
    }

    private List<Division> divisions(AttentionShape shape) {
        List<Division> divisions = new ArrayList<>();
        divisions.add(Division.SPAN_PER_ROW);
        if (bench.extent() != Extent.SMALL) {
            divisions.add(Division.CALL_PER_CELL);
            divisions.add(Division.CALL_PER_SEQUENCE);
        }
        if (shape.window() != NO_WINDOW) {
            divisions.add(Division.VISIBLE);
            divisions.add(Division.CALL_PER_VISIBLE_CELL);
        }
        return divisions;
    }
}
