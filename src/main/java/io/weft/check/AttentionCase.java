package io.weft.check;

import io.weft.device.AttentionIndex;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionSinks;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases;
import io.weft.device.BlockBases.Base;
import io.weft.device.DeviceBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Sequences of unequal length whose blocks are scattered over all four bases. The last tokens of a sequence are its
 * rows. Tokens that no row sees are NaN, and blocks that no row sees lie nowhere.
 */
final class AttentionCase {
    /** The place in its base of a block that must not be read. */
    private static final long NOWHERE = 1L << 60;

    private final AttentionShape shape;
    private final List<Part> parts;
    private final int[] positions;
    private final int blocksPerSequence;
    /** The base and place of each block, by (sequence, block). */
    private final long[] places;

    private final int blocksPerBase;
    private final float[] queries;
    private final float[][] keyValues;
    private final float[] sinks;

    /**
     * One sequence.
     *
     * @param tokens all tokens, the rows included
     * @param rows number of last tokens that are rows
     * @param firstRow of the case
     */
    private record Part(int tokens, int rows, int firstRow) {}

    /** A span: see {@link AttentionWork}. */
    private record Span(int sequence, int firstRow, int rows, int fromToken, int toToken) {}

    /** Ways to divide the same work among calls and spans. */
    enum Division {
        /** One call, with one span per sequence. */
        WHOLE,
        /** One call for each cell of the grid. */
        CALL_PER_CELL,
        /** One call, with one span for each row. */
        SPAN_PER_ROW,
        /** One call for each sequence. */
        CALL_PER_SEQUENCE,
        /** One call, with one span per sequence, from the first cell of which a row sees a token. */
        VISIBLE,
        /** One call for each cell of which a row sees a token. */
        CALL_PER_VISIBLE_CELL
    }

    /**
     * @param tokens of each sequence
     * @param rows of each sequence
     * @param sinks of the heads; empty for none
     * @param seed seed of the values and of the places of the blocks
     * @param rounded rounds a value to one that both devices can hold
     */
    AttentionCase(AttentionShape shape, int[] tokens, int[] rows, float[] sinks, long seed, Rounding rounded) {
        this.shape = shape;
        this.sinks = sinks;
        SplittableRandom random = new SplittableRandom(seed);
        this.parts = new ArrayList<>();
        int row = 0;
        int mostBlocks = 1;
        int blocks = 0;
        for (int i = 0; i < tokens.length; i++) {
            parts.add(new Part(tokens[i], rows[i], row));
            row += rows[i];
            int own = Math.ceilDiv(tokens[i], shape.blockTokens());
            mostBlocks = Math.max(mostBlocks, own);
            blocks += own;
        }
        this.positions = new int[row];
        for (Part part : parts) {
            for (int r = 0; r < part.rows(); r++) {
                positions[part.firstRow() + r] = part.tokens() - part.rows() + r;
            }
        }
        this.blocksPerSequence = mostBlocks;
        this.blocksPerBase = Math.ceilDiv(blocks, Base.values().length);
        this.places = scatter(random, blocks);
        this.queries = values(random, row * shape.queryWidth(), rounded);
        this.keyValues = new float[tokens.length][];
        for (int i = 0; i < tokens.length; i++) {
            keyValues[i] = values(random, tokens[i] * shape.keyValueWidth(), rounded);
        }
    }

    /** Rounds a value to the nearest allowed one. */
    @FunctionalInterface
    interface Rounding {
        float round(float value);
    }

    private static float[] values(SplittableRandom random, int count, Rounding rounded) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = rounded.round((float) random.nextDouble(-1, 1));
        }
        return values;
    }

    private long[] scatter(SplittableRandom random, int blocks) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < blocks; i++) {
            order.add(i);
        }
        for (int i = blocks - 1; i > 0; i--) {
            Collections.swap(order, i, random.nextInt(i + 1));
        }
        long[] table = new long[parts.size() * blocksPerSequence];
        int next = 0;
        for (int sequence = 0; sequence < parts.size(); sequence++) {
            int own = Math.ceilDiv(parts.get(sequence).tokens(), shape.blockTokens());
            for (int block = 0; block < own; block++) {
                table[sequence * blocksPerSequence + block] = order.get(next++);
            }
        }
        return table;
    }

    int rows() {
        return positions.length;
    }

    /**
     * The formula: {@code Σ softmax(scale · q·k)·v} over the tokens that a row sees, with capped scores, beside a sink.
     * An error of a score causes one of a weight, so sizes grow with the terms of the scores.
     *
     * @return (rows, H·HD)
     */
    Expected expected() {
        Expected out = new Expected(queries.length);
        IntStream.range(0, parts.size())
                .forEach(sequence -> IntStream.range(0, parts.get(sequence).rows())
                        .parallel()
                        .forEach(row -> {
                            for (int head = 0; head < shape.heads(); head++) {
                                expect(out, sequence, parts.get(sequence).firstRow() + row, head);
                            }
                        }));
        return out;
    }

    private void expect(Expected out, int sequence, int row, int head) {
        int headSize = shape.headSize();
        float[] cached = keyValues[sequence];
        int key = head / (shape.heads() / shape.keyValueHeads()) * headSize;
        int value = key + shape.keyValueHeads() * headSize;
        int query = row * shape.queryWidth() + head * headSize;
        int end = positions[row] + 1;
        int first = shape.firstVisible(positions[row]);
        int seen = end - first;
        double[] scores = new double[seen + (sinks.length == 0 ? 0 : 1)];
        double largestTerms = 1;
        for (int i = 0; i < seen; i++) {
            int token = (first + i) * shape.keyValueWidth();
            double sum = 0;
            double terms = 0;
            for (int j = 0; j < headSize; j++) {
                double term = (double) queries[query + j] * cached[token + key + j];
                sum += term;
                terms += Math.abs(term);
            }
            scores[i] = Reference.capped(shape.scale() * sum, shape.scoreCap());
            largestTerms = Math.max(largestTerms, shape.scale() * terms);
        }
        if (sinks.length > 0) {
            scores[seen] = sinks[head];
            largestTerms = Math.max(largestTerms, Math.abs(sinks[head]));
        }
        double[] weights = Reference.softmax(scores);
        for (int j = 0; j < headSize; j++) {
            double sum = 0;
            double size = 0;
            for (int i = 0; i < seen; i++) {
                double term = weights[i] * cached[(first + i) * shape.keyValueWidth() + value + j];
                sum += term;
                size += Math.abs(term);
            }
            out.set(query + j, sum, largestTerms * size);
        }
    }

    /** The tokens of the longest sequence. */
    int tokensMost() {
        return parts.stream().mapToInt(Part::tokens).max().orElse(0);
    }

    /**
     * Runs the case on a device.
     *
     * @param deviceSinks the sinks on the device, or null without
     * @return (rows, H·HD)
     */
    float[] run(Workbench bench, @Nullable AttentionSinks deviceSinks, Division division) {
        bench.clear();
        long blockBytes = (long) shape.blockTokens() * shape.keyValueWidth() * bench.elementBytes();
        Base[] bases = Base.values();
        DeviceBuffer[] memory = new DeviceBuffer[bases.length];
        int blockElements = shape.blockTokens() * shape.keyValueWidth();
        float[][] contents = new float[bases.length][blocksPerBase * blockElements];
        for (float[] content : contents) {
            Arrays.fill(content, Float.NaN);
        }
        long[] table = new long[places.length];
        for (int sequence = 0; sequence < parts.size(); sequence++) {
            int elements = parts.get(sequence).tokens() * shape.keyValueWidth();
            int visible = firstVisible(parts.get(sequence)) * shape.keyValueWidth();
            for (int block = 0; block < elements; block += blockElements) {
                int at = sequence * blocksPerSequence + block / blockElements;
                int base = (int) (places[at] % bases.length);
                int place = (int) (places[at] / bases.length);
                int from = Math.max(block, visible);
                int to = Math.min(block + blockElements, elements);
                if (from >= to) {
                    table[at] = bases[base].entry(NOWHERE);
                    continue;
                }
                table[at] = bases[base].entry(place * blockBytes);
                int target = place * blockElements + from - block;
                System.arraycopy(keyValues[sequence], from, contents[base], target, to - from);
            }
        }
        for (int i = 0; i < bases.length; i++) {
            memory[i] = bench.elements(contents[i]);
        }
        AttentionIndex index = new AttentionIndex(bench.ints(positions), bench.longs(table), blocksPerSequence);
        DeviceBuffer query = bench.elements(queries);
        DeviceBuffer state = bench.poisoned(rows() * shape.stateBytesPerRow());
        DeviceBuffer out = bench.elements((long) rows() * shape.queryWidth());
        BlockBases addresses = new BlockBases(
                memory[Base.CLOSED.ordinal()].address(),
                memory[Base.OPEN.ordinal()].address(),
                memory[Base.STAGED.ordinal()].address(),
                memory[Base.RECOMPUTED.ordinal()].address());
        for (List<Span> call : calls(division)) {
            bench.kernels()
                    .attend(bench.stream(), shape, deviceSinks, index, work(bench, call), addresses, query, state, out);
        }
        return bench.read(out);
    }

    private static AttentionWork work(Workbench bench, List<Span> call) {
        int[] spans = new int[call.size() * AttentionWork.SPAN_INTS];
        int maxRows = 0;
        int maxTokens = 0;
        int totalTokens = 0;
        int at = 0;
        for (Span span : call) {
            spans[at++] = span.sequence();
            spans[at++] = span.firstRow();
            spans[at++] = span.rows();
            spans[at++] = span.fromToken();
            spans[at++] = span.toToken();
            maxRows = Math.max(maxRows, span.rows());
            maxTokens = Math.max(maxTokens, span.toToken() - span.fromToken());
            totalTokens += span.toToken() - span.fromToken();
        }
        return new AttentionWork(
                bench.ints(spans), call.size(), maxRows, maxTokens, AttentionWork.fullSpans(totalTokens, maxTokens));
    }

    /** The first token that a row of a sequence sees. */
    private int firstVisible(Part part) {
        return shape.firstVisible(positions[part.firstRow()]);
    }

    /** A span for each sequence, from its first token, or from the first cell of which a row sees a token. */
    private List<Span> spans(Division division) {
        List<Span> spans = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            Part part = parts.get(i);
            int from = switch (division) {
                case VISIBLE, CALL_PER_VISIBLE_CELL -> firstVisible(part) / shape.cellTokens() * shape.cellTokens();
                case WHOLE, CALL_PER_CELL, SPAN_PER_ROW, CALL_PER_SEQUENCE -> 0;
            };
            spans.add(new Span(i, part.firstRow(), part.rows(), from, part.tokens()));
        }
        return spans;
    }

    private List<List<Span>> calls(Division division) {
        List<List<Span>> calls = new ArrayList<>();
        List<Span> whole = spans(division);
        switch (division) {
            case WHOLE, VISIBLE -> calls.add(whole);
            case CALL_PER_SEQUENCE -> whole.forEach(span -> calls.add(List.of(span)));
            case SPAN_PER_ROW -> {
                List<Span> rows = new ArrayList<>();
                for (Span span : whole) {
                    for (int row = 0; row < span.rows(); row++) {
                        rows.add(new Span(span.sequence(), span.firstRow() + row, 1, 0, span.toToken()));
                    }
                }
                calls.add(rows);
            }
            case CALL_PER_CELL, CALL_PER_VISIBLE_CELL -> {
                for (int from = 0; from < tokensMost(); from += shape.cellTokens()) {
                    List<Span> cell = new ArrayList<>();
                    for (Span span : whole) {
                        int to = Math.min(from + shape.cellTokens(), span.toToken());
                        if (from >= span.fromToken() && from < to) {
                            cell.add(new Span(span.sequence(), span.firstRow(), span.rows(), from, to));
                        }
                    }
                    if (!cell.isEmpty()) {
                        calls.add(cell);
                    }
                }
            }
        }
        return calls;
    }
}
