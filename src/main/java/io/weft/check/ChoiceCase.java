package io.weft.check;

import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.TokenChoices;
import io.weft.device.TokenChoices.Edit;
import io.weft.device.TokenChoices.Row;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;

/** Logits from which tokens are chosen in many ways. */
final class ChoiceCase {
    private static final int EDITS_MOST = 40;
    private static final int BAD_ROWS_EVERY = 5;
    private static final int MASKED_ROWS_EVERY = 3;
    private static final float[] INFINITE = {Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};

    private final float[] logits;
    private final int vocabulary;
    private final List<Row> rows = new ArrayList<>();
    private final List<Edit> edits = new ArrayList<>();
    private final List<BitSet> masks = new ArrayList<>();

    /**
     * A random case. Every other row has few different logits, so that cuts fall among equals.
     *
     * @param scale scale of the logits, which {@code type} holds exactly
     */
    ChoiceCase(int rowCount, int vocabulary, double scale, ElementType type, SplittableRandom random) {
        this.logits = new float[rowCount * vocabulary];
        this.vocabulary = vocabulary;
        for (int i = 0; i < logits.length; i++) {
            double share = random.nextDouble(-1, 1);
            boolean coarse = i / vocabulary % 2 == 1;
            logits[i] = Workbench.round(type, (float) (scale * (coarse ? Math.rint(2 * share) / 2 : share)));
        }
        for (int row = 0; row < rowCount; row++) {
            if (row % BAD_ROWS_EVERY == BAD_ROWS_EVERY - 1) {
                int bad = 1 + random.nextInt(2 * vocabulary);
                for (int i = 0; i < bad; i++) {
                    logits[row * vocabulary + random.nextInt(vocabulary)] = INFINITE[random.nextInt(INFINITE.length)];
                }
                if (random.nextBoolean()) {
                    logits[row * vocabulary + random.nextInt(vocabulary)] = Float.NaN;
                }
            }
            int editCount = random.nextInt(Math.min(vocabulary, EDITS_MOST) + 1);
            int mask = TokenChoices.NO_MASK;
            if (row % MASKED_ROWS_EVERY == MASKED_ROWS_EVERY - 1) {
                mask = masks.size();
                masks.add(mask(vocabulary, random));
            }
            rows.add(row(edits.size(), editCount, mask, vocabulary, random));
            int first = random.nextInt(vocabulary);
            for (int i = 0; i < editCount; i++) {
                edits.add(new Edit(
                        (first + i) % vocabulary,
                        (float) random.nextDouble(-2, 2),
                        (float) random.nextDouble(0.5, 2),
                        (float) random.nextDouble(-2, 2)));
            }
        }
    }

    /** One token, a few, or half of them. */
    private static BitSet mask(int vocabulary, SplittableRandom random) {
        BitSet mask = new BitSet(vocabulary);
        int count = 1 + random.nextInt(random.nextBoolean() ? Math.min(vocabulary, 5) : vocabulary);
        random.ints(count, 0, vocabulary).forEach(mask::set);
        return mask;
    }

    private static Row row(int firstEdit, int edits, int mask, int vocabulary, SplittableRandom random) {
        return new Row(
                firstEdit,
                edits,
                mask,
                random.nextDouble(0.01, 2),
                random.nextBoolean() ? Integer.MAX_VALUE : 1 + random.nextInt(random.nextBoolean() ? 50 : vocabulary),
                random.nextBoolean() ? 1 : 1 - random.nextDouble() * random.nextDouble(),
                random.nextBoolean() ? 0 : random.nextDouble() * random.nextDouble(),
                random.nextLong() >>> 1);
    }

    /** The tokens of all rows, {@code batch} rows at once. */
    int[] run(Workbench bench, int batch) {
        DeviceBuffer from = bench.elements(logits);
        DeviceBuffer choices = bench.bytes(TokenChoices.rowArray(rows));
        DeviceBuffer changes = bench.bytes(TokenChoices.editArray(edits));
        DeviceBuffer allowed = bench.bytes(maskArray());
        DeviceBuffer scores = bench.poisoned((long) logits.length * Float.BYTES);
        DeviceBuffer tokens = bench.poisoned((long) rows.size() * Integer.BYTES);
        long rowBytes = (long) vocabulary * bench.elementBytes();
        for (int row = 0; row < rows.size(); row += batch) {
            bench.kernels()
                    .chooseTokens(
                            bench.stream(),
                            from.from(row * rowBytes),
                            new TokenChoices(choices.from((long) row * TokenChoices.ROW_BYTES), changes, allowed),
                            scores,
                            tokens.from((long) row * Integer.BYTES),
                            batch,
                            vocabulary);
        }
        return bench.readInts(tokens);
    }

    private MemorySegment maskArray() {
        int words = TokenChoices.maskBytes(vocabulary) / Long.BYTES;
        long[] all = new long[words * masks.size()];
        for (int i = 0; i < masks.size(); i++) {
            long[] mask = masks.get(i).toLongArray();
            System.arraycopy(mask, 0, all, i * words, mask.length);
        }
        return MemorySegment.ofArray(all);
    }

    /** The number of rows whose token {@link ChoiceReference} does not allow. */
    int implausible(int[] tokens) {
        int wrong = 0;
        for (int i = 0; i < rows.size(); i++) {
            Row row = rows.get(i);
            float[] rowLogits = Arrays.copyOfRange(logits, i * vocabulary, (i + 1) * vocabulary);
            List<Edit> rowEdits = edits.subList(row.firstEdit(), row.firstEdit() + row.edits());
            IntPredicate allowed = row.mask() == TokenChoices.NO_MASK ? token -> true : masks.get(row.mask())::get;
            if (!new ChoiceReference(rowLogits, row, rowEdits, allowed).mayChoose(tokens[i])) {
                wrong++;
            }
        }
        return wrong;
    }
}
