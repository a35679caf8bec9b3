package io.weft.device;

import org.jspecify.annotations.Nullable;

/**
 * The computations of a transformer step. Activations are row-major in the device's {@linkplain Device#elementType
 * element type}, sums are in fp32. A row's result has the same bits whatever the number of rows and whatever else runs:
 * the shape of a call neither splits nor orders a sum.
 *
 * <p>Every method checks sizes when it is called ({@link IllegalArgumentException}, {@link IndexOutOfBoundsException}),
 * issues the work and returns.
 */
public interface Kernels {
    /**
     * Embeds tokens.
     *
     * @param tokenIds (rows) int32
     * @param positions (rows) int32
     * @param out (rows, width)
     */
    void embed(
            Stream stream, Embedding table, DeviceBuffer tokenIds, DeviceBuffer positions, DeviceBuffer out, int rows);

    /** Normalises each row of {@code in} (rows, width) into {@code out} (rows, width); they may be the same buffer. */
    void norm(Stream stream, Norm norm, DeviceBuffer in, DeviceBuffer out, int rows);

    /**
     * Normalises {@code heads} heads of {@code headSize} at the start of each row, each by itself. Both sides may be
     * the same rows.
     *
     * @param norm of width headSize, whose gain and bias all heads share, or of heads·headSize, with those of each head
     */
    void normHeads(Stream stream, Norm norm, HeadRows in, HeadRows out, int heads, int headSize, int rows);

    /**
     * Adds the output of a part of a layer to the residual stream: {@code hidden[r] = scale · (hidden[r] + factor ·
     * norm(in[r]))}, in fp32 with one rounding.
     *
     * @param hidden (rows, width)
     * @param in (rows, width)
     * @param norm of the output, or null for none
     * @param width elements of a row; that of the norm
     */
    void addResidual(
            Stream stream,
            DeviceBuffer hidden,
            DeviceBuffer in,
            @Nullable Norm norm,
            float factor,
            float scale,
            int width,
            int rows);

    /**
     * {@code in} (rows, inFeatures) times the weights into {@code out} (rows, outFeatures), as {@code epilogue} says.
     */
    void linear(Stream stream, Linear weights, DeviceBuffer in, DeviceBuffer out, int rows, Epilogue epilogue);

    /**
     * Two products with the same {@code in} (rows, inFeatures), into {@code firstOut} (rows, outFeatures of the first)
     * and {@code secondOut} (rows, outFeatures of the second). Both have the same bits as with {@link #linear}.
     */
    default void linearPair(
            Stream stream,
            Linear first,
            Linear second,
            DeviceBuffer in,
            DeviceBuffer firstOut,
            DeviceBuffer secondOut,
            int rows) {
        linear(stream, first, in, firstOut, rows, new Epilogue.Store());
        linear(stream, second, in, secondOut, rows, new Epilogue.Store());
    }

    /**
     * A product that yields gates and, after them, the values that they gate, followed by {@link #gate}. It has the
     * same bits as the two calls.
     *
     * @param weights with 2·width output features
     * @param in (rows, inFeatures)
     * @param gateUp (rows, 2·width): room for the product; undefined afterwards
     * @param out (rows, width)
     */
    default void gatedLinear(
            Stream stream,
            Linear weights,
            Activation activation,
            DeviceBuffer in,
            DeviceBuffer gateUp,
            DeviceBuffer out,
            int rows) {
        linear(stream, weights, in, gateUp, rows, new Epilogue.Store());
        gate(stream, activation, gateUp, out, rows, weights.outFeatures() / 2);
    }

    /**
     * {@code out[r, j] = activation(gateUp[r, j]) · gateUp[r, width + j]}; {@code gateUp} is (rows, 2·width),
     * {@code out} (rows, width).
     */
    void gate(Stream stream, Activation activation, DeviceBuffer gateUp, DeviceBuffer out, int rows, int width);

    /**
     * Chooses experts for each row (Shazeer et al. 2017): those with the largest logits, the smaller id first among
     * equals. A NaN counts as the least logit. Weights are computed in fp32.
     *
     * @param logits (rows, E)
     * @param choices receives them, with as many for a row as {@code routing} says
     */
    void route(Stream stream, ExpertRouting routing, DeviceBuffer logits, ExpertChoices choices, int rows);

    /**
     * Sends each row through its experts: {@code y = Σ weight · (down · gating(gate, up) + downBias)} with {@code [gate
     * | up] = gateUp · in + gateUpBias}, added in the order of {@code choices}. Gates and sums are in fp32; what the
     * gates let through is rounded once, and so is the result. Reads only experts that some row chose.
     *
     * @param in (rows, D)
     * @param scratch at least {@link Experts#scratchBytes} of one row; undefined afterwards
     * @param out (rows, D)
     * @param epilogue stores y or adds it to {@code out}
     */
    void experts(
            Stream stream,
            Experts experts,
            Gating gating,
            DeviceBuffer in,
            ExpertChoices choices,
            DeviceBuffer scratch,
            DeviceBuffer out,
            int rows,
            Epilogue epilogue);

    /**
     * {@code out[r, j] += σ(logits[r]) · values[r, j]}, rounded once: an expert that all rows share, with a gate of its
     * own.
     *
     * @param logits (rows)
     * @param values (rows, width)
     * @param out (rows, width)
     */
    void addGated(Stream stream, DeviceBuffer logits, DeviceBuffer values, DeviceBuffer out, int rows, int width);

    /**
     * Rotates {@code heads} heads of {@code headSize} at the start of each row of {@code values}, in place. Row r has
     * position {@code positions[r / rowsPerPosition] + r % rowsPerPosition}.
     *
     * @param values (rows, rowWidth)
     * @param positions (ceil(rows / rowsPerPosition)) int32
     * @param rowsPerPosition rows that one entry serves: 1 for unrelated rows, the tokens of a block for recomputed
     *     blocks
     */
    void rotate(
            Stream stream,
            RotaryTable table,
            DeviceBuffer values,
            int rowWidth,
            int heads,
            int headSize,
            DeviceBuffer positions,
            int rowsPerPosition,
            int rows);

    /**
     * Puts new rows into the cache: applies positions to queries (in place) and keys, and copies each row's K, V and
     * activation to the addresses in {@code places}.
     *
     * @param table rotary positions, or null without
     * @param queries (rows, H·HD)
     * @param keyValues (rows, 2·KVH·HD), K first; not changed
     * @param activations (rows, width)
     * @param width elements of an activation; 0 stores none, and nothing reads their places
     * @param base address from which the offsets of {@code places} count
     */
    void place(
            Stream stream,
            AttentionShape shape,
            @Nullable RotaryTable table,
            DeviceBuffer queries,
            DeviceBuffer keyValues,
            DeviceBuffer activations,
            int width,
            RowPlaces places,
            DeviceBuffer base,
            int rows);

    /**
     * Copies the {@code rowBytes} bytes from {@code offsets[r]} on in {@code values} to row {@code r} of {@code out}.
     *
     * @param offsets (rows) int64
     */
    void gatherRows(Stream stream, DeviceBuffer values, int rowBytes, DeviceBuffer offsets, DeviceBuffer out, int rows);

    /**
     * Codes blocks.
     *
     * @param from where the values are
     * @param to where the codes go, {@link BlockCode#bytes} of each block
     * @param misfits (blocks) int32: becomes 1 where a block has more escapes than {@link BlockCode#PACKED} has room
     *     for, and its codes must not be used; else it is left as it is. A code that loses something does not use it.
     */
    void encodeBlocks(
            Stream stream,
            BlockCode code,
            BlockValues values,
            BlockPlaces from,
            BlockPlaces to,
            DeviceBuffer misfits,
            int blocks);

    /**
     * Restores the values of blocks that {@link #encodeBlocks} coded.
     *
     * @param from where the codes are
     * @param to where the values go
     */
    void decodeBlocks(Stream stream, BlockCode code, BlockValues values, BlockPlaces from, BlockPlaces to, int blocks);

    /**
     * Copies host memory to the device with a kernel that reads it over the link: for a few kilobytes that must not
     * queue after the copies of another stream. Both have the same length.
     */
    void readHost(Stream stream, HostBuffer from, DeviceBuffer to);

    /**
     * Computes the attention of rows to ranges of tokens and merges the partial results into their running state
     * (Milakov and Gimelshein 2018; Dao et al. 2022). For each cell of the token grid, in order: {@code s_t =
     * scale·q·k_t}, capped if the shape says so, {@code m = max s_t}, {@code l = Σ e^(s_t − m)}, {@code acc = Σ e^(s_t
     * − m)·v_t}, then the merge. The partial of a cell and the order of merging do not depend on how the tokens are
     * divided among calls, nor on where a block lies.
     *
     * <p>The calls of a layer take a row's ranges in ascending order, without a gap among the tokens that it sees. The
     * range that holds the first of these begins the row's attention; the range that holds the row's own position ends
     * it with {@code out[r, h] = acc / l}, or {@code acc / (l + e^(sink_h − m))} with sinks. A range of which the row
     * sees nothing changes nothing of the row. Blocks of which no row of a span sees a token are not read, and their
     * entries in the block table may be anything.
     *
     * @param sinks of the query heads, or null for none
     * @param queries (rows, H·HD)
     * @param state (rows, H, HD + 2) fp32: acc, m, l between two calls; undefined before the first and after the last
     * @param out (rows, H·HD)
     */
    void attend(
            Stream stream,
            AttentionShape shape,
            @Nullable AttentionSinks sinks,
            AttentionIndex index,
            AttentionWork work,
            BlockBases bases,
            DeviceBuffer queries,
            DeviceBuffer state,
            DeviceBuffer out);

    /**
     * Scales and bounds logits in place: {@code x} becomes {@code cap · tanh(factor · x / cap)}, or {@code factor · x}
     * without a cap.
     *
     * @param logits (rows, vocabulary)
     * @param cap bound of the results; 0 for none
     */
    void capLogits(Stream stream, DeviceBuffer logits, float factor, float cap, int vocabulary, int rows);

    /** Converts {@code count} elements to fp32, for results that leave the device. */
    void toFloat(Stream stream, DeviceBuffer in, DeviceBuffer out, long count);

    /**
     * Chooses a token for each row, so that only token ids leave the device.
     *
     * <ol>
     *   <li>A row with a NaN among its logits has no token: it gets {@link TokenChoices#NO_TOKEN}.
     *   <li>A <em>score</em> is the logit in fp32, edited where {@code choices} says so. Infinities count as the
     *       largest and the least number. A token that the row's mask leaves out has less than any score, and is not
     *       chosen; the mask leaves at least one.
     *   <li>Top-k 1 takes the smallest id among the largest scores.
     *   <li>Otherwise a token's <em>weight</em> is {@code e^((score − largest score) / temperature)} in fp32. Tokens
     *       are ranked by weight, then by id, and cut off by top-k, top-p and min-p; the likeliest always stays.
     *   <li>Mass is counted in whole units, of which a weight of 1 has 2⁴⁰. The token is the first, in id order, with
     *       which the mass of those kept exceeds {@code uniform} of all their mass.
     * </ol>
     *
     * Sums of whole numbers are exact, and weights are computed by the same operations everywhere: a row's token
     * depends on its logits and its choice alone, and is the same on every device.
     *
     * @param logits (rows, vocabulary)
     * @param scores (rows, vocabulary) fp32, overwritten
     * @param tokens (rows) int32
     * @param vocabulary at most {@link TokenChoices#VOCABULARY_MOST}
     */
    void chooseTokens(
            Stream stream,
            DeviceBuffer logits,
            TokenChoices choices,
            DeviceBuffer scores,
            DeviceBuffer tokens,
            int rows,
            int vocabulary);
}
