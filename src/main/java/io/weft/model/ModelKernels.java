package io.weft.model;

import io.weft.device.AttentionIndex;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases;
import io.weft.device.DeviceBuffer;
import io.weft.device.Embedding;
import io.weft.device.Epilogue;
import io.weft.device.ExpertChoices;
import io.weft.device.HeadRows;
import io.weft.device.Kernels;
import io.weft.device.Norm;
import io.weft.device.RowPlaces;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Wiring;
import io.weft.model.ModelWeights.Network;
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
     * Memory of {@link #embed}.
     *
     * @param tokenIds (rows) int32
     * @param positions (rows) int32
     * @param hidden (rows, D), overwritten
     * @param room (rows, D)
     */
    public record EmbedBuffers(DeviceBuffer tokenIds, DeviceBuffer positions, DeviceBuffer hidden, DeviceBuffer room) {}

    /** Embeds the new tokens. */
    public void embed(Stream stream, EmbedBuffers buffers, int rows) {
        DeviceBuffer hidden = buffers.hidden();
        if (weights.projected().isEmpty()) {
            kernels.embed(stream, weights.embedding(), buffers.tokenIds(), buffers.positions(), hidden, rows);
            return;
        }
        ModelWeights.Projected projected = weights.projected().get();
        kernels.embed(stream, weights.embedding(), buffers.tokenIds(), buffers.positions(), buffers.room(), rows);
        kernels.linear(stream, projected.linear(), buffers.room(), hidden, rows, STORE);
        if (projected.positions().isPresent()) {
            Embedding table = projected.positions().get();
            kernels.embed(stream, table, buffers.positions(), buffers.positions(), buffers.room(), rows);
            kernels.addResidual(stream, hidden, buffers.room(), null, 1, 1, dimensions.hiddenSize(), rows);
        }
    }

    /**
     * Memory of {@link #project}.
     *
     * @param hidden (rows, D): the residual stream, read
     * @param normed (rows, D): input of the projections
     * @param queries (rows, H·HD)
     * @param keyValues (rows, 2·KVH·HD), K first; without positions
     * @param room (rows, H·HD): overwritten where K and V share a projection
     */
    public record ProjectBuffers(
            DeviceBuffer hidden,
            DeviceBuffer normed,
            DeviceBuffer queries,
            DeviceBuffer keyValues,
            DeviceBuffer room) {}

    /**
     * Norm, Q, K and V of the new tokens, and their positions; K, V and their source go to their places.
     *
     * @param places places of the rows
     * @param open base of the offsets of {@code places}: the open blocks of the layer
     */
    public void project(
            Stream stream, int layer, ProjectBuffers buffers, RowPlaces places, DeviceBuffer open, int rows) {
        ModelWeights.Layer weightsOfLayer = layer(layer);
        DeviceBuffer activations =
                normed(stream, weightsOfLayer.attentionNorm(), buffers.hidden(), buffers.normed(), rows);
        ModelWeights.Attention attention = weightsOfLayer.attention();
        AttentionShape shape = attentions.get(layer);
        KeyValueSource source = description(layer).source();
        DeviceBuffer projected = switch (source) {
            case ACTIVATION -> buffers.keyValues();
            case SHARED_PROJECTION -> buffers.room();
        };
        kernels.linearPair(
                stream, attention.query(), attention.keyValue(), activations, buffers.queries(), projected, rows);
        attention
                .queryNorm()
                .ifPresent(norm -> normHeads(
                        stream,
                        norm,
                        description(layer).queryNorm(),
                        new HeadRows(buffers.queries(), shape.queryWidth()),
                        new HeadRows(buffers.queries(), shape.queryWidth()),
                        shape.heads(),
                        shape.headSize(),
                        rows));
        normKeyValues(stream, layer, projected, buffers.keyValues(), rows);
        kernels.place(
                stream,
                shape,
                attention.rotary().orElse(null),
                buffers.queries(),
                buffers.keyValues(),
                switch (source) {
                    case ACTIVATION -> activations;
                    case SHARED_PROJECTION -> projected;
                },
                dimensions.isWindowed(layer) ? 0 : geometry.openSourceWidth(),
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

    private Architecture.Attention description(int layer) {
        return architecture.layers().get(layer).attention();
    }

    private void normHeads(
            Stream stream,
            Norm norm,
            Optional<HeadNorm> described,
            HeadRows in,
            HeadRows out,
            int heads,
            int headSize,
            int rows) {
        switch (described.orElseThrow().span()) {
            case HEAD -> kernels.normHeads(stream, norm, in, out, heads, headSize, rows);
            case ROW -> kernels.normHeads(stream, norm, in, out, 1, heads * headSize, rows);
        }
    }

    /**
     * The norms of K and V, before positions.
     *
     * @param projected (rows, 2·KVH·HD), the same memory as {@code keyValues}, or the (rows, KVH·HD) that both share
     */
    private void normKeyValues(Stream stream, int layer, DeviceBuffer projected, DeviceBuffer keyValues, int rows) {
        ModelWeights.Attention attention = layer(layer).attention();
        Architecture.Attention description = description(layer);
        AttentionShape shape = attentions.get(layer);
        int heads = shape.keyValueHeads();
        int headSize = shape.headSize();
        int width = shape.keyValueWidth();
        HeadRows keys = new HeadRows(keyValues, width);
        HeadRows values = new HeadRows(keyValues.from((long) heads * headSize * geometry.elementBytes()), width);
        HeadRows shared = new HeadRows(projected, width / 2);
        attention.keyNorm().ifPresent(norm -> {
            HeadRows in = switch (description.source()) {
                case ACTIVATION -> keys;
                case SHARED_PROJECTION -> shared;
            };
            normHeads(stream, norm, description.keyNorm(), in, keys, heads, headSize, rows);
        });
        attention.valueNorm().ifPresent(norm -> {
            HeadRows in = switch (description.source()) {
                case ACTIVATION -> values;
                case SHARED_PROJECTION -> shared;
            };
            normHeads(stream, norm, description.valueNorm(), in, values, heads, headSize, rows);
        });
    }

    /**
     * K and V of their stored source, with their positions.
     *
     * @param activations (tokens, D), or (tokens, KVH·HD) of a shared projection
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
        switch (description(layer).source()) {
            case ACTIVATION -> {
                kernels.linear(stream, layer(layer).attention().keyValue(), activations, keyValues, tokens, STORE);
                normKeyValues(stream, layer, keyValues, keyValues, tokens);
            }
            case SHARED_PROJECTION -> normKeyValues(stream, layer, activations, keyValues, tokens);
        }
        AttentionShape attention = attentions.get(layer);
        layer(layer)
                .attention()
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
                layer(layer).attention().sinks().orElse(null),
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
     * @param activations (rows, D): input of {@link #project}'s projections if they have a norm; overwritten
     * @param normed (rows, D): input of the feed-forward network
     * @param gateUp (rows, 2F): room for a gated network's first product; not used without a gate
     * @param inner (rows, F): input of the last product
     * @param experts for layers with experts, or empty
     */
    public record FeedForwardBuffers(
            DeviceBuffer attention,
            DeviceBuffer hidden,
            DeviceBuffer activations,
            DeviceBuffer normed,
            DeviceBuffer gateUp,
            DeviceBuffer inner,
            Optional<ExpertBuffers> experts) {}

    /**
     * Memory of experts.
     *
     * @param logits (rows, E)
     * @param ids (rows, k) int32
     * @param weights (rows, k) fp32
     * @param scratch {@link FeedForwardDimensions#scratchBytes}
     */
    public record ExpertBuffers(DeviceBuffer logits, DeviceBuffer ids, DeviceBuffer weights, DeviceBuffer scratch) {}

    /** Output projection and feed-forward network. */
    public void feedForward(Stream stream, int layer, FeedForwardBuffers buffers, int rows) {
        ModelWeights.Layer weightsOfLayer = layer(layer);
        Architecture.Layer description = architecture.layers().get(layer);
        boolean isParallel = description.wiring() == Wiring.PARALLEL;
        if (!isParallel) {
            addAttention(stream, layer, buffers, rows);
        }
        DeviceBuffer in;
        if (weightsOfLayer.feedForwardNorm().isPresent()) {
            in = normed(stream, weightsOfLayer.feedForwardNorm(), buffers.hidden(), buffers.normed(), rows);
        } else if (isParallel && weightsOfLayer.attentionNorm().isPresent()) {
            in = buffers.activations();
        } else {
            in = buffers.hidden();
        }
        if (isParallel) {
            addAttention(stream, layer, buffers, rows);
        }
        Joining joining =
                new Joining(description, weightsOfLayer.feedForwardOutNorm(), weightsOfLayer.scale(), buffers, rows);
        switch (weightsOfLayer.network()) {
            case Network.Dense dense -> {
                DeviceBuffer inner = inner(stream, description.feedForward(), dense, in, buffers, rows);
                join(
                        stream,
                        joining,
                        (out, epilogue) -> kernels.linear(stream, dense.out(), inner, out, rows, epilogue));
            }
            case Network.Routed routed -> routed(stream, description, routed, in, joining);
        }
    }

    private void addAttention(Stream stream, int layer, FeedForwardBuffers buffers, int rows) {
        ModelWeights.Layer weightsOfLayer = layer(layer);
        Joining joining =
                new Joining(architecture.layers().get(layer), weightsOfLayer.attentionOutNorm(), 1, buffers, rows);
        join(
                stream,
                joining,
                (out, epilogue) -> kernels.linear(
                        stream, weightsOfLayer.attention().output(), buffers.attention(), out, rows, epilogue));
    }

    /**
     * How the output of a part of a layer joins the residual stream.
     *
     * @param norm of the output, or of the sum
     * @param scale factor on the sum
     */
    private record Joining(
            Architecture.Layer layer, Optional<Norm> norm, float scale, FeedForwardBuffers buffers, int rows) {
        /** Whether the output is added as it is. */
        boolean isPlain() {
            return layer.residualFactor() == 1 && scale == 1 && (norm.isEmpty() || isNormOfSum());
        }

        boolean isNormOfSum() {
            return layer.wiring() == Wiring.NORM_OF_SUM;
        }
    }

    /** Makes an output: stores it, or adds it. */
    private interface Output {
        void write(DeviceBuffer out, Epilogue epilogue);
    }

    private void join(Stream stream, Joining joining, Output output) {
        DeviceBuffer hidden = joining.buffers().hidden();
        if (joining.isPlain()) {
            output.write(hidden, ADD);
        } else {
            DeviceBuffer room = joining.buffers().activations();
            output.write(room, STORE);
            kernels.addResidual(
                    stream,
                    hidden,
                    room,
                    joining.isNormOfSum() ? null : joining.norm().orElse(null),
                    joining.layer().residualFactor(),
                    joining.scale(),
                    dimensions.hiddenSize(),
                    joining.rows());
        }
        if (joining.isNormOfSum() && joining.norm().isPresent()) {
            kernels.norm(stream, joining.norm().get(), hidden, hidden, joining.rows());
        }
    }

    /** Everything of a network but its last product. */
    private DeviceBuffer inner(
            Stream stream,
            FeedForward description,
            Network.Dense network,
            DeviceBuffer in,
            FeedForwardBuffers buffers,
            int rows) {
        switch (description) {
            case FeedForward.Plain plain ->
                kernels.linear(
                        stream, network.in(), in, buffers.inner(), rows, new Epilogue.Activate(plain.activation()));
            case FeedForward.Gated gated ->
                kernels.gatedLinear(
                        stream, network.in(), gated.activation(), in, buffers.gateUp(), buffers.inner(), rows);
            case FeedForward.Experts _ -> throw new IllegalArgumentException("experts are no network of all rows");
        }
        return buffers.inner();
    }

    private void routed(
            Stream stream, Architecture.Layer layer, Network.Routed network, DeviceBuffer in, Joining joining) {
        if (!(layer.feedForward() instanceof FeedForward.Experts description)) {
            throw new IllegalArgumentException("the layer has no experts");
        }
        FeedForwardBuffers buffers = joining.buffers();
        ExpertBuffers room = buffers.experts().orElseThrow();
        int rows = joining.rows();
        ExpertChoices choices = new ExpertChoices(description.routing().chosen(), room.ids(), room.weights());
        kernels.linear(stream, network.router(), in, room.logits(), rows, STORE);
        kernels.route(stream, description.routing(), room.logits(), choices, rows);
        join(
                stream,
                joining,
                (out, epilogue) -> kernels.experts(
                        stream,
                        network.experts(),
                        description.gating(),
                        in,
                        choices,
                        room.scratch(),
                        out,
                        rows,
                        epilogue));
        if (network.shared().isEmpty()) {
            return;
        }
        Network.Dense shared = network.shared().get();
        DeviceBuffer inner = inner(stream, description.shared().orElseThrow(), shared, in, buffers, rows);
        if (network.sharedGate().isEmpty()) {
            kernels.linear(stream, shared.out(), inner, buffers.hidden(), rows, ADD);
            return;
        }
        // The choices of experts are done with these.
        DeviceBuffer gate = room.logits();
        kernels.linear(stream, network.sharedGate().get(), in, gate, rows, STORE);
        kernels.linear(stream, shared.out(), inner, buffers.activations(), rows, STORE);
        kernels.addGated(stream, gate, buffers.activations(), buffers.hidden(), rows, dimensions.hiddenSize());
    }

    /**
     * Memory of {@link #head}.
     *
     * @param hidden the residual stream; undefined afterwards
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
        if (weights.headProjection().isPresent()) {
            // Nothing reads the residual stream after this.
            kernels.linear(stream, weights.headProjection().get(), in, buffers.hidden(), work.rows(), STORE);
            in = buffers.hidden();
        }
        kernels.linear(stream, weights.head(), in, buffers.logits(), work.rows(), STORE);
        Architecture.Head head = architecture.head();
        if (head.factor() != 1 || head.cap() != 0) {
            kernels.capLogits(stream, buffers.logits(), head.factor(), head.cap(), vocabulary, work.rows());
        }
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
