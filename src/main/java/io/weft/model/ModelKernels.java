package io.weft.model;

import io.weft.device.AttentionIndex;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases;
import io.weft.device.DeviceBuffer;
import io.weft.device.Epilogue;
import io.weft.device.Kernels;
import io.weft.device.Norm;
import io.weft.device.RowPlaces;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.model.Architecture.FeedForward;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The kernels of a model's stages, in the order in which they are launched. A step runs them on its workspace and a
 * measurement on scratch memory, so predictions are for the kernels that run.
 *
 * <p>Unless stated otherwise, buffers are row-major in the device's element type. {@link Kernels} checks sizes. Every
 * method issues its work and returns.
 */
public final class ModelKernels {
    private static final Epilogue STORE = new Epilogue.Store();
    private static final Epilogue ADD = new Epilogue.AddToOutput();

    private final Kernels kernels;
    private final ModelWeights weights;
    private final Architecture architecture;
    private final ModelDimensions dimensions;
    private final CacheGeometry geometry;
    /** By layer. */
    private final List<AttentionShape> attentions;

    /**
     * @param kernels of the device that holds the weights
     * @param geometry of the cache
     */
    public ModelKernels(Kernels kernels, ModelWeights weights, CacheGeometry geometry) {
        this.kernels = kernels;
        this.weights = weights;
        this.architecture = weights.architecture();
        this.dimensions = geometry.dimensions();
        this.geometry = geometry;
        this.attentions = IntStream.range(0, architecture.layers().size())
                .mapToObj(layer -> architecture.attentionShape(layer, geometry))
                .toList();
    }

    private ModelWeights.Layer layer(int layer) {
        return weights.layers().get(layer);
    }

    /**
     * Embeds the new tokens.
     *
     * @param tokenIds (rows) int32
     * @param positions (rows) int32
     * @param hidden (rows, D), overwritten
     */
    public void embed(Stream stream, DeviceBuffer tokenIds, DeviceBuffer positions, DeviceBuffer hidden, int rows) {
        kernels.embed(stream, weights.embedding(), tokenIds, positions, hidden, rows);
    }

    /**
     * Memory of {@link #project}.
     *
     * @param hidden (rows, D): the residual stream, read
     * @param normed (rows, D): input of the projections; the activation that the cache may store
     * @param queries (rows, H·HD)
     * @param keyValues (rows, 2·KVH·HD), K first; without positions
     */
    public record ProjectBuffers(
            DeviceBuffer hidden, DeviceBuffer normed, DeviceBuffer queries, DeviceBuffer keyValues) {}

    /**
     * Norm, Q, K and V of the new tokens, and their positions; K, V and activations go to their places.
     *
     * @param places places of the rows
     * @param open base of the offsets of {@code places}: the open blocks of the layer
     */
    public void project(
            Stream stream, int layer, ProjectBuffers buffers, RowPlaces places, DeviceBuffer open, int rows) {
        ModelWeights.Layer weightsOfLayer = layer(layer);
        DeviceBuffer activations =
                normed(stream, weightsOfLayer.attentionNorm(), buffers.hidden(), buffers.normed(), rows);
        kernels.linearPair(
                stream,
                weightsOfLayer.query(),
                weightsOfLayer.keyValue(),
                activations,
                buffers.queries(),
                buffers.keyValues(),
                rows);
        kernels.place(
                stream,
                attentions.get(layer),
                weightsOfLayer.rotary().orElse(null),
                buffers.queries(),
                buffers.keyValues(),
                activations,
                dimensions.isWindowed(layer) ? 0 : dimensions.hiddenSize(),
                places,
                open,
                rows);
    }

    /** The normalised rows, in {@code out}; without a norm the rows themselves. */
    private DeviceBuffer normed(Stream stream, Optional<Norm> norm, DeviceBuffer in, DeviceBuffer out, int rows) {
        if (norm.isEmpty()) {
            return in;
        }
        kernels.norm(stream, norm.get(), in, out, rows);
        return out;
    }

    /**
     * K and V of stored activations, with their positions.
     *
     * @param activations (tokens, D)
     * @param keyValues (tokens, 2·KVH·HD), K first; overwritten
     * @param blockPositions (blocks) int32: the position of each block's first token
     */
    public void recompute(
            Stream stream,
            int layer,
            DeviceBuffer activations,
            DeviceBuffer keyValues,
            DeviceBuffer blockPositions,
            int tokens) {
        kernels.linear(stream, layer(layer).keyValue(), activations, keyValues, tokens, STORE);
        AttentionShape attention = attentions.get(layer);
        layer(layer)
                .rotary()
                .ifPresent(table -> kernels.rotate(
                        stream,
                        table,
                        keyValues,
                        attention.keyValueWidth(),
                        attention.keyValueHeads(),
                        attention.headSize(),
                        blockPositions,
                        geometry.blockTokens(),
                        tokens));
    }

    /**
     * Memory of {@link #attend}.
     *
     * @param queries (rows, H·HD), with their positions; read
     * @param state (rows, H, HD + 2) fp32: the running state across the calls of a layer
     * @param out (rows, H·HD)
     */
    public record AttendBuffers(DeviceBuffer queries, DeviceBuffer state, DeviceBuffer out) {}

    /** The rows attend to ranges of tokens. */
    public void attend(
            Stream stream,
            int layer,
            AttentionIndex index,
            AttentionWork work,
            BlockBases bases,
            AttendBuffers buffers) {
        kernels.attend(
                stream,
                attentions.get(layer),
                null,
                index,
                work,
                bases,
                buffers.queries(),
                buffers.state(),
                buffers.out());
    }

    /**
     * Memory of {@link #feedForward}.
     *
     * @param attention (rows, H·HD): the output of {@link #attend}, read
     * @param hidden (rows, D): the residual stream, to which the result is added
     * @param normed (rows, D): input of the feed-forward network
     * @param gateUp (rows, 2F): room for a gated network's first product; not used without a gate
     * @param inner (rows, F): input of the last product
     */
    public record FeedForwardBuffers(
            DeviceBuffer attention,
            DeviceBuffer hidden,
            DeviceBuffer normed,
            DeviceBuffer gateUp,
            DeviceBuffer inner) {}

    /** Output projection and feed-forward network. */
    public void feedForward(Stream stream, int layer, FeedForwardBuffers buffers, int rows) {
        ModelWeights.Layer weightsOfLayer = layer(layer);
        Architecture.Layer description = architecture.layers().get(layer);
        boolean isParallel = description.wiring() == Architecture.Wiring.PARALLEL;
        if (!isParallel) {
            addAttention(stream, weightsOfLayer, buffers, rows);
        }
        DeviceBuffer in = normed(stream, weightsOfLayer.feedForwardNorm(), buffers.hidden(), buffers.normed(), rows);
        if (isParallel) {
            addAttention(stream, weightsOfLayer, buffers, rows);
        }
        switch (description.feedForward()) {
            case FeedForward.Plain plain ->
                kernels.linear(
                        stream,
                        weightsOfLayer.feedForwardIn(),
                        in,
                        buffers.inner(),
                        rows,
                        new Epilogue.Activate(plain.activation()));
            case FeedForward.Gated gated ->
                kernels.gatedLinear(
                        stream,
                        weightsOfLayer.feedForwardIn(),
                        gated.activation(),
                        in,
                        buffers.gateUp(),
                        buffers.inner(),
                        rows);
        }
        kernels.linear(stream, weightsOfLayer.feedForwardOut(), buffers.inner(), buffers.hidden(), rows, ADD);
    }

    private void addAttention(Stream stream, ModelWeights.Layer layer, FeedForwardBuffers buffers, int rows) {
        kernels.linear(stream, layer.output(), buffers.attention(), buffers.hidden(), rows, ADD);
    }

    /**
     * Memory of {@link #head}.
     *
     * @param hidden the residual stream, read
     * @param in (rows, D): its rows that have logits
     * @param logits (rows, V)
     * @param floatLogits (rows, V) fp32, for logits that leave the device; may be the same memory as {@code logits} on
     *     an fp32 device
     * @param scores (tokens, V) fp32: the scores from which tokens are chosen
     * @param tokens (tokens) int32
     */
    public record HeadBuffers(
            DeviceBuffer hidden,
            DeviceBuffer in,
            DeviceBuffer logits,
            DeviceBuffer floatLogits,
            DeviceBuffer scores,
            DeviceBuffer tokens) {}

    /**
     * The work of {@link #head} and {@link #choose}.
     *
     * @param offsets (rows) int64: offsets of the rows in the residual stream, in bytes
     * @param choices how the tokens are chosen
     * @param rows number of rows whose logits are computed
     * @param tokens number of rows for which a token is chosen: the last of these
     * @param logits number of rows whose logits leave the device: the first of these
     */
    public record HeadWork(DeviceBuffer offsets, TokenChoices choices, int rows, int tokens, int logits) {}

    /** Final norm and logits. */
    public void head(Stream stream, HeadBuffers buffers, HeadWork work) {
        int rowBytes = dimensions.hiddenSize() * geometry.elementBytes();
        int vocabulary = dimensions.vocabularySize();
        kernels.gatherRows(stream, buffers.hidden(), rowBytes, work.offsets(), buffers.in(), work.rows());
        DeviceBuffer in = normed(stream, weights.finalNorm(), buffers.in(), buffers.in(), work.rows());
        kernels.linear(stream, weights.head(), in, buffers.logits(), work.rows(), STORE);
        if (!buffers.floatLogits().equals(buffers.logits())) {
            kernels.toFloat(stream, buffers.logits(), buffers.floatLogits(), (long) work.logits() * vocabulary);
        }
    }

    /** Chooses tokens from the logits of {@link #head}. */
    public void choose(Stream stream, HeadBuffers buffers, HeadWork work) {
        int vocabulary = dimensions.vocabularySize();
        long firstToken = (long) (work.rows() - work.tokens()) * vocabulary * geometry.elementBytes();
        kernels.chooseTokens(
                stream,
                buffers.logits().from(firstToken),
                work.choices(),
                buffers.scores(),
                buffers.tokens(),
                work.tokens(),
                vocabulary);
    }
}
