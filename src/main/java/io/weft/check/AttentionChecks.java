package io.weft.check;

import io.weft.check.AttentionCase.Division;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionSinks;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * Checks attention against its formula, and that its bits do not depend on how rows and tokens are divided among calls.
 */
final class AttentionChecks {
    private static final int NO_WINDOW = Integer.MAX_VALUE;
    private static final float[] NO_SINKS = {};
    /** Seeds that the checks of one shape take, or more. */
    private static final int CHECKS_OF_SHAPE = 7;

    private final CheckBench bench;

    AttentionChecks(CheckBench bench) {
        this.bench = bench;
    }

    /** With 20 heads for K and V, 33 sequences give every multiprocessor of a large GPU its share. */
    private List<AttentionShape> shapes() {
        return switch (bench.extent()) {
            case ALL, BRIEF, SMALL ->
                List.of(
                        new AttentionShape(4, 4, 16, 0.25f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(4, 2, 32, 0.2f, 0, NO_WINDOW, 16, 256),
                        new AttentionShape(24, 24, 64, 0.125f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(8, 2, 128, 0.09f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(40, 20, 128, 0.09f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(20, 20, 128, 0.09f, 0, 40, 32, 128),
                        new AttentionShape(4, 2, 64, 0.125f, 0, 63, 16, 64),
                        new AttentionShape(40, 20, 128, 0.09f, 0, 64, 16, 64),
                        new AttentionShape(4, 2, 96, 0.1f, 0, 65, 16, 64),
                        new AttentionShape(8, 4, 256, 0.06f, 0, 129, 16, 128),
                        new AttentionShape(2, 2, 20, 0.22f, 0, 1, 4, 20),
                        new AttentionShape(22, 22, 80, 0.11f, 0, NO_WINDOW, 8, 48),
                        new AttentionShape(2, 1, 96, 0.1f, 0, NO_WINDOW, 1, 7),
                        new AttentionShape(20, 1, 64, 0.125f, 0, 100, 16, 96),
                        new AttentionShape(2, 2, 20, 0.22f, 0, NO_WINDOW, 4, 20),
                        new AttentionShape(2, 1, 256, 0.06f, 0, NO_WINDOW, 16, 64));
            case AWKWARD ->
                List.of(
                        new AttentionShape(1, 1, 8, 0.35f, 0, NO_WINDOW, 1, 1),
                        new AttentionShape(4, 4, 16, 0.25f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(4, 2, 32, 0.2f, 0, NO_WINDOW, 16, 256),
                        new AttentionShape(6, 3, 25, 0.2f, 0, 13, 8, 24),
                        new AttentionShape(4, 1, 11, 0.3f, 0, 23, 8, 24),
                        new AttentionShape(2, 2, 16, 0.25f, 0, 24, 8, 24),
                        new AttentionShape(3, 1, 16, 0.25f, 0, 25, 8, 24),
                        new AttentionShape(2, 1, 8, 0.35f, 0, 1, 4, 20),
                        new AttentionShape(2, 1, 96, 0.1f, 0, NO_WINDOW, 1, 7),
                        new AttentionShape(8, 1, 64, 0.125f, 0, 100, 16, 96),
                        new AttentionShape(2, 2, 20, 0.22f, 0, NO_WINDOW, 4, 20),
                        new AttentionShape(2, 1, 256, 0.06f, 0, NO_WINDOW, 16, 64));
        };
    }

    /** Caps that scores reach; with and without windows. */
    private List<AttentionShape> cappedShapes() {
        return switch (bench.extent()) {
            case ALL ->
                List.of(
                        new AttentionShape(24, 24, 64, 0.6f, 2, NO_WINDOW, 16, 64),
                        new AttentionShape(8, 2, 128, 0.5f, 1.5f, 65, 16, 64),
                        new AttentionShape(8, 4, 256, 0.4f, 3, NO_WINDOW, 16, 128),
                        new AttentionShape(2, 2, 20, 0.9f, 2, 30, 4, 20));
            case BRIEF, SMALL -> List.of(new AttentionShape(8, 2, 128, 0.5f, 1.5f, 65, 16, 64));
            case AWKWARD ->
                List.of(
                        new AttentionShape(2, 1, 16, 1.2f, 1.5f, NO_WINDOW, 16, 64),
                        new AttentionShape(4, 2, 25, 1.2f, 2, 23, 8, 24),
                        new AttentionShape(2, 1, 256, 0.06f, 50, NO_WINDOW, 16, 64));
        };
    }

    /** With caps and without, with windows and without. */
    private List<AttentionShape> shapesWithSinks() {
        return switch (bench.extent()) {
            case ALL ->
                List.of(
                        new AttentionShape(64, 8, 64, 0.125f, 0, 128, 16, 64),
                        new AttentionShape(40, 20, 128, 0.09f, 2, 64, 16, 64),
                        new AttentionShape(8, 4, 256, 0.06f, 0, NO_WINDOW, 16, 128),
                        new AttentionShape(2, 2, 20, 0.22f, 0, 1, 4, 20));
            case BRIEF, SMALL -> List.of(new AttentionShape(16, 2, 64, 0.125f, 0, 128, 16, 64));
            case AWKWARD ->
                List.of(
                        new AttentionShape(4, 2, 16, 0.25f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(6, 1, 25, 0.2f, 1.5f, 23, 8, 24),
                        new AttentionShape(5, 5, 8, 0.35f, 0, 1, 4, 20));
        };
    }

    /** Heads that are too large for some GPUs. */
    private List<AttentionShape> largeShapes() {
        List<AttentionShape> shapes = switch (bench.extent()) {
            case ALL ->
                List.of(
                        new AttentionShape(8, 4, 512, 0.045f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(16, 1, 512, 0.045f, 0, NO_WINDOW, 16, 64),
                        new AttentionShape(4, 2, 512, 0.3f, 2, 65, 16, 128),
                        new AttentionShape(2, 2, 264, 0.06f, 0, NO_WINDOW, 8, 48));
            case BRIEF, SMALL -> List.of(new AttentionShape(4, 2, 512, 0.3f, 2, 65, 16, 64));
            case AWKWARD -> List.of(new AttentionShape(2, 1, 512, 0.3f, 2, 65, 16, 64));
        };
        int most = bench.device().headSizeMost();
        return shapes.stream().filter(shape -> shape.headSize() <= most).toList();
    }

    void run() {
        long seed = 1;
        for (AttentionShape shape : shapes()) {
            check(shape, NO_SINKS, seed);
            seed += CHECKS_OF_SHAPE;
        }
        for (AttentionShape shape : cappedShapes()) {
            check(shape, NO_SINKS, seed);
            seed += CHECKS_OF_SHAPE;
        }
        for (AttentionShape shape : largeShapes()) {
            check(shape, sinks(shape.heads()), seed);
            seed += CHECKS_OF_SHAPE;
        }
        for (AttentionShape shape : shapesWithSinks()) {
            check(shape, sinks(shape.heads()), seed);
            seed += CHECKS_OF_SHAPE;
        }
    }

    /** Sinks like scores, and every fifth so large or so small that e^sink is no fp32 number. */
    private float[] sinks(int heads) {
        float[] sinks = bench.values(heads, 2);
        for (int head = 0; head < heads; head += 5) {
            sinks[head] = head % 2 == 0 ? 120 : -120;
        }
        return sinks;
    }

    private void check(AttentionShape shape, float[] sinks, long seed) {
        switch (bench.extent()) {
            case ALL -> {
                check("decode", shape, sinks, 1, 1, seed);
                check("decode", shape, sinks, 7, 1, seed + 1);
                check("decode", shape, sinks, 33, 1, seed + 2);
                check("prefill", shape, sinks, 1, 257, seed + 3);
                check("prefill", shape, sinks, 3, 33, seed + 4);
                check("pieces of prompts", shape, sinks, 5, 7, seed + 5);
                check("pieces of many prompts", shape, sinks, 33, 7, seed + 6);
            }
            case AWKWARD -> {
                check("decode", shape, sinks, 1, 1, seed);
                check("decode", shape, sinks, 6, 1, seed + 1);
                check("prefill", shape, sinks, 1, 25, seed + 2);
                check("pieces of prompts", shape, sinks, 4, 13, seed + 3);
            }
            case BRIEF -> {
                check("decode", shape, sinks, 7, 1, seed);
                check("prefill", shape, sinks, 3, 33, seed + 1);
                check("pieces of prompts", shape, sinks, 5, 7, seed + 2);
            }
            case SMALL -> {
                check("decode", shape, sinks, 7, 1, seed);
                check("prefill", shape, sinks, 1, 257, seed + 1);
                check("prefill", shape, sinks, 3, 33, seed + 2);
                check("pieces of prompts", shape, sinks, 5, 7, seed + 3);
            }
        }
    }

    private void check(String what, AttentionShape shape, float[] sinks, int sequences, int rowsMost, long seed) {
        SplittableRandom lengths = new SplittableRandom(seed);
        int[] rows = new int[sequences];
        int[] tokens = new int[sequences];
        for (int i = 0; i < sequences; i++) {
            rows[i] = i == 0 ? rowsMost : 1 + lengths.nextInt(rowsMost);
            tokens[i] = rows[i] + (i == 0 ? 300 : lengths.nextInt(200));
        }
        AttentionCase attention =
                new AttentionCase(shape, tokens, rows, sinks, seed, value -> Workbench.round(bench.type(), value));
        String name = "attend %s, %d sequences, %d rows, %d/%d heads of %d, cell %d%s%s%s"
                .formatted(
                        what,
                        sequences,
                        attention.rows(),
                        shape.heads(),
                        shape.keyValueHeads(),
                        shape.headSize(),
                        shape.cellTokens(),
                        shape.window() == NO_WINDOW ? "" : ", window " + shape.window(),
                        shape.scoreCap() == 0 ? "" : ", cap " + shape.scoreCap(),
                        sinks.length == 0 ? "" : ", sinks");
        bench.attempt(name, () -> check(name, shape, sinks, attention));
    }

    private void check(String name, AttentionShape shape, float[] sinks, AttentionCase attention) {
        AttentionSinks deviceSinks = sinks.length == 0 ? null : load(sinks);
        float[] whole = attention.run(bench.tested(), deviceSinks, Division.WHOLE);
        bench.within(name, bound(shape, attention.tokensMost()), attention.expected(), whole);
        for (Division division : divisions(shape)) {
            bench.sameBits(
                    name + ", " + division.name().toLowerCase(Locale.ROOT),
                    whole,
                    attention.run(bench.tested(), deviceSinks, division));
        }
    }

    private AttentionSinks load(float[] sinks) {
        try (Arena arena = Arena.ofShared()) {
            return bench.device().attentionSinks(bench.tensor(arena, "sinks", List.of(sinks.length), sinks));
        }
    }

    /**
     * The result is stored, and weights may be too. An error of a score counts twice, in a weight and in the sum of all
     * weights; that of a capped one is relative to the cap. Cells of one token merge once per token.
     */
    private double bound(AttentionShape shape, int tokens) {
        return 2 * RoundingErrors.stored(bench.type())
                + 2 * RoundingErrors.sum(shape.headSize())
                + 2 * RoundingErrors.sum(tokens)
                + 2 * RoundingErrors.FUNCTION * (1 + shape.scoreCap());
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
