package io.weft.device;

import org.jspecify.annotations.Nullable;

/**
 * Checks the sizes of each call before a device's own kernels issue it, so the device need not. The device itself
 * checks values in device memory, such as token ids and offsets, when it reads them.
 *
 * @param elementType element type of the device
 * @param kernels the device's own, called with buffers that are large enough
 */
public record CheckedKernels(ElementType elementType, Kernels kernels) implements Kernels {
    @Override
    public void embed(
            Stream stream, Embedding table, DeviceBuffer tokenIds, DeviceBuffer positions, DeviceBuffer out, int rows) {
        tokenIds.requireBytes("tokenIds", ints(rows));
        positions.requireBytes("positions", ints(rows));
        out.requireBytes("out", elements(rows, table.width()));
        kernels.embed(stream, table, tokenIds, positions, out, rows);
    }

    @Override
    public void norm(Stream stream, Norm norm, DeviceBuffer in, DeviceBuffer out, int rows) {
        in.requireBytes("in", elements(rows, norm.width()));
        out.requireBytes("out", elements(rows, norm.width()));
        kernels.norm(stream, norm, in, out, rows);
    }

    @Override
    public void normHeads(Stream stream, Norm norm, HeadRows in, HeadRows out, int heads, int headSize, int rows) {
        if (norm.width() != headSize && norm.width() != heads * headSize) {
            throw new IllegalArgumentException("a norm of width %d is neither of one head of %d nor of %d heads"
                    .formatted(norm.width(), headSize, heads));
        }
        requireHeads("in", in, heads, headSize, rows);
        requireHeads("out", out, heads, headSize, rows);
        kernels.normHeads(stream, norm, in, out, heads, headSize, rows);
    }

    /** Heads may begin within the first row: values are after keys. */
    private void requireHeads(String name, HeadRows values, int heads, int headSize, int rows) {
        if (heads * headSize > values.rowWidth()) {
            throw new IllegalArgumentException(
                    "%d heads of %d do not fit rows of %d".formatted(heads, headSize, values.rowWidth()));
        }
        values.memory().requireBytes(name, elements(rows - 1, values.rowWidth()) + elements(heads, headSize));
    }

    @Override
    public void addResidual(
            Stream stream,
            DeviceBuffer hidden,
            DeviceBuffer in,
            @Nullable Norm norm,
            float factor,
            float scale,
            int width,
            int rows) {
        if (norm != null && norm.width() != width) {
            throw new IllegalArgumentException(
                    "the norm has width %d, must have that of rows, %d".formatted(norm.width(), width));
        }
        hidden.requireBytes("hidden", elements(rows, width));
        in.requireBytes("in", elements(rows, width));
        kernels.addResidual(stream, hidden, in, norm, factor, scale, width, rows);
    }

    @Override
    public void linear(Stream stream, Linear weights, DeviceBuffer in, DeviceBuffer out, int rows, Epilogue epilogue) {
        in.requireBytes("in", elements(rows, weights.inFeatures()));
        out.requireBytes("out", elements(rows, weights.outFeatures()));
        kernels.linear(stream, weights, in, out, rows, epilogue);
    }

    @Override
    public void linearPair(
            Stream stream,
            Linear first,
            Linear second,
            DeviceBuffer in,
            DeviceBuffer firstOut,
            DeviceBuffer secondOut,
            int rows) {
        if (first.inFeatures() != second.inFeatures()) {
            throw new IllegalArgumentException(
                    "inFeatures are %d and %d, must be the same".formatted(first.inFeatures(), second.inFeatures()));
        }
        in.requireBytes("in", elements(rows, first.inFeatures()));
        firstOut.requireBytes("firstOut", elements(rows, first.outFeatures()));
        secondOut.requireBytes("secondOut", elements(rows, second.outFeatures()));
        kernels.linearPair(stream, first, second, in, firstOut, secondOut, rows);
    }

    @Override
    public void gatedLinear(
            Stream stream,
            Linear weights,
            Activation activation,
            DeviceBuffer in,
            DeviceBuffer gateUp,
            DeviceBuffer out,
            int rows) {
        in.requireBytes("in", elements(rows, weights.inFeatures()));
        gateUp.requireBytes("gateUp", elements(rows, weights.outFeatures()));
        out.requireBytes("out", elements(rows, weights.outFeatures() / 2));
        kernels.gatedLinear(stream, weights, activation, in, gateUp, out, rows);
    }

    @Override
    public void gate(Stream stream, Activation activation, DeviceBuffer gateUp, DeviceBuffer out, int rows, int width) {
        gateUp.requireBytes("gateUp", elements(rows, 2L * width));
        out.requireBytes("out", elements(rows, width));
        kernels.gate(stream, activation, gateUp, out, rows, width);
    }

    @Override
    public void route(Stream stream, ExpertRouting routing, DeviceBuffer logits, ExpertChoices choices, int rows) {
        if (choices.perRow() != routing.chosen()) {
            throw new IllegalArgumentException(
                    "choices are %d a row, must be %d".formatted(choices.perRow(), routing.chosen()));
        }
        logits.requireBytes("logits", elements(rows, routing.experts()));
        requireChoices(choices, rows);
        kernels.route(stream, routing, logits, choices, rows);
    }

    @Override
    public void experts(
            Stream stream,
            Experts experts,
            Gating gating,
            DeviceBuffer in,
            ExpertChoices choices,
            DeviceBuffer scratch,
            DeviceBuffer out,
            int rows,
            Epilogue epilogue) {
        if (epilogue instanceof Epilogue.Activate) {
            throw new IllegalArgumentException("the output of experts is stored or added, not activated");
        }
        if (choices.perRow() > experts.shape().count()) {
            throw new IllegalArgumentException("choices are %d a row, must be at most %d, the number of experts"
                    .formatted(choices.perRow(), experts.shape().count()));
        }
        in.requireBytes("in", elements(rows, experts.shape().width()));
        requireChoices(choices, rows);
        scratch.requireBytes("scratch", experts.scratchBytes(1, choices.perRow()));
        out.requireBytes("out", elements(rows, experts.shape().width()));
        kernels.experts(stream, experts, gating, in, choices, scratch, out, rows, epilogue);
    }

    private static void requireChoices(ExpertChoices choices, int rows) {
        choices.ids().requireBytes("ids", ints((long) rows * choices.perRow()));
        choices.weights().requireBytes("weights", ints((long) rows * choices.perRow()));
    }

    @Override
    public void addGated(
            Stream stream, DeviceBuffer logits, DeviceBuffer values, DeviceBuffer out, int rows, int width) {
        logits.requireBytes("logits", elements(rows, 1));
        values.requireBytes("values", elements(rows, width));
        out.requireBytes("out", elements(rows, width));
        kernels.addGated(stream, logits, values, out, rows, width);
    }

    @Override
    public void rotate(
            Stream stream,
            RotaryTable table,
            DeviceBuffer values,
            int rowWidth,
            int heads,
            int headSize,
            DeviceBuffer positions,
            int rowsPerPosition,
            int rows) {
        if (heads * headSize > rowWidth || table.rotaryWidth() > headSize) {
            throw new IllegalArgumentException("%d heads of %d do not fit rows of %d, or %d rotated dimensions a head"
                    .formatted(heads, headSize, rowWidth, table.rotaryWidth()));
        }
        values.requireBytes("values", elements(rows, rowWidth));
        positions.requireBytes("positions", ints(Math.ceilDiv(rows, rowsPerPosition)));
        kernels.rotate(stream, table, values, rowWidth, heads, headSize, positions, rowsPerPosition, rows);
    }

    @Override
    public void place(
            Stream stream,
            AttentionShape shape,
            @Nullable RotaryTable table,
            DeviceBuffer queries,
            DeviceBuffer keyValues,
            DeviceBuffer activations,
            int width,
            RowPlaces places,
            DeviceBuffer base,
            int rows) {
        queries.requireBytes("queries", elements(rows, shape.queryWidth()));
        keyValues.requireBytes("keyValues", elements(rows, shape.keyValueWidth()));
        activations.requireBytes("activations", elements(rows, width));
        places.positions().requireBytes("positions", ints(rows));
        places.keyValueOffsets().requireBytes("keyValueOffsets", longs(rows));
        if (width > 0) {
            places.activationOffsets().requireBytes("activationOffsets", longs(rows));
        }
        kernels.place(stream, shape, table, queries, keyValues, activations, width, places, base, rows);
    }

    @Override
    public void gatherRows(
            Stream stream, DeviceBuffer values, int rowBytes, DeviceBuffer offsets, DeviceBuffer out, int rows) {
        offsets.requireBytes("offsets", longs(rows));
        out.requireBytes("out", (long) rows * rowBytes);
        kernels.gatherRows(stream, values, rowBytes, offsets, out, rows);
    }

    @Override
    public void encodeBlocks(
            Stream stream,
            BlockCode code,
            BlockValues values,
            BlockPlaces from,
            BlockPlaces to,
            DeviceBuffer misfits,
            int blocks) {
        requirePlaces(code, values, from, to, blocks);
        if (code.isExact()) {
            misfits.requireBytes("misfits", ints(blocks));
        }
        kernels.encodeBlocks(stream, code, values, from, to, misfits, blocks);
    }

    @Override
    public void decodeBlocks(
            Stream stream, BlockCode code, BlockValues values, BlockPlaces from, BlockPlaces to, int blocks) {
        requirePlaces(code, values, from, to, blocks);
        kernels.decodeBlocks(stream, code, values, from, to, blocks);
    }

    private static void requirePlaces(
            BlockCode code, BlockValues values, BlockPlaces from, BlockPlaces to, int blocks) {
        if (!code.isExact()) {
            values.requireKeyValues();
        }
        from.offsets().requireBytes("offsets", longs(blocks));
        to.offsets().requireBytes("offsets", longs(blocks));
    }

    @Override
    public void readHost(Stream stream, HostBuffer from, DeviceBuffer to) {
        Stream.requireSameLength(from.bytes(), to.bytes());
        kernels.readHost(stream, from, to);
    }

    @Override
    public void attend(
            Stream stream,
            AttentionShape shape,
            @Nullable AttentionSinks sinks,
            AttentionIndex index,
            AttentionWork work,
            BlockBases bases,
            DeviceBuffer queries,
            DeviceBuffer state,
            DeviceBuffer out) {
        if (sinks != null && sinks.heads() != shape.heads()) {
            throw new IllegalArgumentException(
                    "sinks are of %d heads, must be of %d".formatted(sinks.heads(), shape.heads()));
        }
        work.spans().requireBytes("spans", ints((long) work.spanCount() * AttentionWork.SPAN_INTS));
        kernels.attend(stream, shape, sinks, index, work, bases, queries, state, out);
    }

    @Override
    public void capLogits(Stream stream, DeviceBuffer logits, float factor, float cap, int vocabulary, int rows) {
        if (!(cap >= 0) || cap == Float.POSITIVE_INFINITY) {
            throw new IllegalArgumentException("cap is " + cap + ", must be a number from 0 on");
        }
        logits.requireBytes("logits", elements(rows, vocabulary));
        kernels.capLogits(stream, logits, factor, cap, vocabulary, rows);
    }

    @Override
    public void toFloat(Stream stream, DeviceBuffer in, DeviceBuffer out, long count) {
        in.requireBytes("in", elements(count, 1));
        out.requireBytes("out", count * Float.BYTES);
        kernels.toFloat(stream, in, out, count);
    }

    @Override
    public void chooseTokens(
            Stream stream,
            DeviceBuffer logits,
            TokenChoices choices,
            DeviceBuffer scores,
            DeviceBuffer tokens,
            int rows,
            int vocabulary) {
        TokenChoices.requireVocabulary(vocabulary);
        logits.requireBytes("logits", elements(rows, vocabulary));
        scores.requireBytes("scores", (long) rows * vocabulary * Float.BYTES);
        choices.rows().requireBytes("choices", (long) rows * TokenChoices.ROW_BYTES);
        tokens.requireBytes("tokens", ints(rows));
        kernels.chooseTokens(stream, logits, choices, scores, tokens, rows, vocabulary);
    }

    /** Bytes of {@code rows} rows of {@code width} elements. */
    private long elements(long rows, long width) {
        return rows * width * elementType.bytes();
    }

    private static long ints(long count) {
        return count * Integer.BYTES;
    }

    private static long longs(long count) {
        return count * Long.BYTES;
    }
}
