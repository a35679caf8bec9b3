package io.weft.model;

import io.weft.device.Activation;
import io.weft.device.AttentionShape;
import io.weft.device.ExpertRouting;
import io.weft.device.Gating;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A model's computation as a description that one pipeline runs: an embedding, a list of layers, a head. To add a
 * family, write one {@link ModelFamily} that makes such a description from a {@code config.json}.
 *
 * @param dimensions sizes, those of {@code layers}
 * @param embedding token and learned position tables
 * @param normKind of every norm
 * @param layers in order
 * @param head from the residual stream to logits
 */
public record Architecture(
        ModelDimensions dimensions, EmbeddingTensors embedding, Norm.Kind normKind, List<Layer> layers, Head head) {
    public Architecture {
        layers = List.copyOf(layers);
    }

    /**
     * A description of these layers.
     *
     * @param hiddenSize D
     * @param vocabularySize V
     * @param maxPositions tokens a sequence may have
     */
    public static Architecture of(
            int hiddenSize,
            int vocabularySize,
            int maxPositions,
            EmbeddingTensors embedding,
            Norm.Kind normKind,
            List<Layer> layers,
            Head head) {
        List<LayerDimensions> sizes = layers.stream().map(Layer::dimensions).toList();
        return new Architecture(
                ModelDimensions.of(hiddenSize, vocabularySize, maxPositions, sizes), embedding, normKind, layers, head);
    }

    /** Is told which tensors there are, and their shapes. */
    public interface TensorVisitor {
        /** A table, of which the first {@code rows} rows are used. */
        void table(String name, int rows, int columns);

        /** A matrix with {@code rows} rows in all. */
        void linear(LinearTensors tensors, int rows, int columns);

        /** A norm, whose tensors have one of these widths. */
        void norm(NormTensors tensors, List<Integer> widths);

        void vector(String name, int elements);
    }

    /** Visits all tensors. */
    public void visit(TensorVisitor visitor) {
        int hidden = dimensions.hiddenSize();
        int vocabulary = dimensions.vocabularySize();
        int width = embedding.width().orElse(hidden);
        visitor.table(embedding.tokens(), vocabulary, width);
        embedding.projection().ifPresent(projection -> visitor.linear(projection, hidden, width));
        embedding
                .positions()
                .ifPresent(name -> visitor.table(name, dimensions.maxPositions() + embedding.positionOffset(), hidden));
        for (Layer layer : layers) {
            layer.visit(visitor, hidden);
        }
        head.norm().ifPresent(norm -> visitor.norm(norm, List.of(hidden)));
        head.projection().ifPresent(projection -> visitor.linear(projection, width, hidden));
        visitor.linear(head.linear(), vocabulary, width);
    }

    /** The attention of a layer over a cache. */
    public AttentionShape attentionShape(int layer, CacheGeometry geometry) {
        Attention attention = layers.get(layer).attention();
        return new AttentionShape(
                attention.heads(),
                attention.keyValueHeads(),
                attention.headSize(),
                attention.scale(),
                attention.scoreCap(),
                attention.window(),
                geometry.blockTokens(),
                geometry.cellTokens());
    }

    /**
     * One layer. With norms and factors that are absent or 1 left out, {@code y = x + f·norm(attention(norm(x)))}, and
     * the same for the feed-forward network, in the order that {@code wiring} says.
     *
     * @param attentionNorm before attention; its output, or {@code x}, is the activation that the cache may store
     * @param attention from tokens to tokens
     * @param attentionOutNorm after attention
     * @param feedForwardNorm before the feed-forward network
     * @param feedForward by token
     * @param feedForwardOutNorm after the feed-forward network
     * @param wiring how attention and feed-forward network join the residual stream
     * @param residualFactor f: factor on what joins the residual stream
     * @param scale a stored factor (1) on the residual stream at the end of the layer, or empty
     */
    public record Layer(
            Optional<NormTensors> attentionNorm,
            Attention attention,
            Optional<NormTensors> attentionOutNorm,
            Optional<NormTensors> feedForwardNorm,
            FeedForward feedForward,
            Optional<NormTensors> feedForwardOutNorm,
            Wiring wiring,
            float residualFactor,
            Optional<String> scale) {
        public Layer {
            boolean plain = residualFactor == 1 && attentionOutNorm.isEmpty() && feedForwardOutNorm.isEmpty();
            if (wiring == Wiring.PARALLEL && !plain) {
                throw new IllegalArgumentException("a parallel layer has no norms or factors on its outputs");
            }
            if (feedForward instanceof FeedForward.Experts experts
                    && experts.shared().isPresent()
                    && (feedForwardOutNorm.isPresent() || residualFactor != 1)) {
                throw new IllegalArgumentException("a shared expert joins the residual stream as it is");
            }
        }

        /** A layer with norms before attention and feed-forward network, and nothing else. */
        public static Layer preNorm(
                NormTensors attentionNorm,
                Attention attention,
                NormTensors feedForwardNorm,
                FeedForward feedForward,
                Wiring wiring) {
            return new Layer(
                    Optional.of(attentionNorm),
                    attention,
                    Optional.empty(),
                    Optional.of(feedForwardNorm),
                    feedForward,
                    Optional.empty(),
                    wiring,
                    1,
                    Optional.empty());
        }

        /** A sequential layer with norms before and after attention and feed-forward network. */
        public static Layer sandwich(
                NormTensors attentionNorm,
                Attention attention,
                NormTensors attentionOutNorm,
                NormTensors feedForwardNorm,
                FeedForward feedForward,
                NormTensors feedForwardOutNorm) {
            return new Layer(
                    Optional.of(attentionNorm),
                    attention,
                    Optional.of(attentionOutNorm),
                    Optional.of(feedForwardNorm),
                    feedForward,
                    Optional.of(feedForwardOutNorm),
                    Wiring.SEQUENTIAL,
                    1,
                    Optional.empty());
        }

        /**
         * The same with factors.
         *
         * @param residual on what joins the residual stream
         * @param stored on the residual stream at the end of the layer, or empty
         */
        public Layer with(float residual, Optional<String> stored) {
            return new Layer(
                    attentionNorm,
                    attention,
                    attentionOutNorm,
                    feedForwardNorm,
                    feedForward,
                    feedForwardOutNorm,
                    wiring,
                    residual,
                    stored);
        }

        private void visit(TensorVisitor visitor, int hidden) {
            for (Optional<NormTensors> norm :
                    List.of(attentionNorm, attentionOutNorm, feedForwardNorm, feedForwardOutNorm)) {
                norm.ifPresent(tensors -> visitor.norm(tensors, List.of(hidden)));
            }
            attention.visit(visitor, hidden);
            feedForward.visit(visitor, hidden);
            scale.ifPresent(name -> visitor.vector(name, 1));
        }

        /** The layer's sizes. */
        public LayerDimensions dimensions() {
            return new LayerDimensions(
                    attention.heads(),
                    attention.keyValueHeads(),
                    attention.headSize(),
                    attention.window(),
                    attention.source(),
                    feedForward.dimensions());
        }
    }

    /** How attention and feed-forward network join the residual stream. */
    public enum Wiring {
        /** {@code y = x + attention(norm(x)); y + feedForward(norm(y))}. */
        SEQUENTIAL,
        /**
         * {@code x + attention(norm(x)) + feedForward(norm(x))}; without a norm of its own, the feed-forward network
         * takes that of attention.
         */
        PARALLEL,
        /**
         * {@code y = norm(x + attention(x)); norm(y + feedForward(y))}: the norms after attention and feed-forward
         * network apply to the sums.
         */
        NORM_OF_SUM
    }

    /**
     * Attention.
     *
     * @param heads H: query heads
     * @param keyValueHeads KVH
     * @param headSize HD
     * @param scale factor on q·k
     * @param window tokens a query sees at most, itself included; {@link LayerDimensions#NO_WINDOW} for all
     * @param scoreCap c in {@code c·tanh(score / c)}; 0 for none
     * @param positions how a token's place enters
     * @param query D to H·HD
     * @param source what K and V are made of
     * @param keyValue D to 2·KVH·HD, K first, or to the KVH·HD that they share
     * @param output H·HD to D
     * @param queryNorm before positions
     * @param keyNorm before positions
     * @param valueNorm of V
     * @param sinks (H): logits that take part in each head's softmax and have no value
     */
    public record Attention(
            int heads,
            int keyValueHeads,
            int headSize,
            float scale,
            int window,
            float scoreCap,
            Positions positions,
            KeyValueSource source,
            LinearTensors query,
            LinearTensors keyValue,
            LinearTensors output,
            Optional<HeadNorm> queryNorm,
            Optional<HeadNorm> keyNorm,
            Optional<HeadNorm> valueNorm,
            Optional<String> sinks) {
        /** Attention with nothing but the usual. */
        public static Attention plain(
                int heads,
                int keyValueHeads,
                int headSize,
                Positions positions,
                LinearTensors query,
                LinearTensors keyValue,
                LinearTensors output) {
            return new Attention(
                    heads,
                    keyValueHeads,
                    headSize,
                    (float) (1 / Math.sqrt(headSize)),
                    LayerDimensions.NO_WINDOW,
                    0,
                    positions,
                    KeyValueSource.ACTIVATION,
                    query,
                    keyValue,
                    output,
                    Optional.empty(),
                    Optional.empty(),
                    Optional.empty(),
                    Optional.empty());
        }

        private void visit(TensorVisitor visitor, int hidden) {
            visitor.linear(query, heads * headSize, hidden);
            int parts = switch (source) {
                case ACTIVATION -> 2;
                case SHARED_PROJECTION -> 1;
            };
            visitor.linear(keyValue, parts * keyValueHeads * headSize, hidden);
            visitor.linear(output, hidden, heads * headSize);
            queryNorm.ifPresent(norm -> visitor.norm(norm.tensors(), norm.widths(heads, headSize)));
            keyNorm.ifPresent(norm -> visitor.norm(norm.tensors(), norm.widths(keyValueHeads, headSize)));
            valueNorm.ifPresent(norm -> visitor.norm(norm.tensors(), norm.widths(keyValueHeads, headSize)));
            sinks.ifPresent(name -> visitor.vector(name, heads));
        }

        /** The same where K and V are norms of one projection. */
        public Attention withSharedProjection(LinearTensors projection, HeadNorm ofKeys, HeadNorm ofValues) {
            return new Attention(
                    heads,
                    keyValueHeads,
                    headSize,
                    scale,
                    window,
                    scoreCap,
                    positions,
                    KeyValueSource.SHARED_PROJECTION,
                    query,
                    projection,
                    output,
                    queryNorm,
                    Optional.of(ofKeys),
                    Optional.of(ofValues),
                    sinks);
        }

        /** The same with a window. */
        public Attention withWindow(int tokens) {
            return with(scale, tokens, scoreCap, queryNorm, keyNorm, valueNorm, sinks);
        }

        /** The same with another factor on q·k, and a cap; 0 for none. */
        public Attention withScores(float factor, float cap) {
            return with(factor, window, cap, queryNorm, keyNorm, valueNorm, sinks);
        }

        /** The same with norms of queries and keys. */
        public Attention withNorms(HeadNorm ofQueries, HeadNorm ofKeys) {
            return with(scale, window, scoreCap, Optional.of(ofQueries), Optional.of(ofKeys), valueNorm, sinks);
        }

        /** The same with a norm of values. */
        public Attention withValueNorm(HeadNorm ofValues) {
            return with(scale, window, scoreCap, queryNorm, keyNorm, Optional.of(ofValues), sinks);
        }

        /** The same with sinks. */
        public Attention withSinks(String tensor) {
            return with(scale, window, scoreCap, queryNorm, keyNorm, valueNorm, Optional.of(tensor));
        }

        /** The same heads, positions and projections. */
        private Attention with(
                float newScale,
                int newWindow,
                float newCap,
                Optional<HeadNorm> ofQueries,
                Optional<HeadNorm> ofKeys,
                Optional<HeadNorm> ofValues,
                Optional<String> newSinks) {
            return new Attention(
                    heads,
                    keyValueHeads,
                    headSize,
                    newScale,
                    newWindow,
                    newCap,
                    positions,
                    source,
                    query,
                    keyValue,
                    output,
                    ofQueries,
                    ofKeys,
                    ofValues,
                    newSinks);
        }
    }

    /**
     * A norm of queries, keys or values.
     *
     * @param span what is normalised together
     * @param tensors of a gain of one head, of all heads, or none
     */
    public record HeadNorm(Span span, NormTensors tensors) {
        /** What is normalised together. */
        public enum Span {
            HEAD,
            ROW
        }

        private List<Integer> widths(int heads, int headSize) {
            return switch (span) {
                case HEAD -> List.of(headSize, heads * headSize);
                case ROW -> List.of(heads * headSize);
            };
        }
    }

    /** How a token's place enters attention. */
    public sealed interface Positions {
        /** Not at all; perhaps by learned vectors that are added to the embedding. */
        record None() implements Positions {}

        /**
         * Rotary positions.
         *
         * @param inverseFrequencies angle per position of each rotated pair of dimensions
         * @param magnitude factor on cosines and sines
         * @param layout which dimensions are rotated together
         * @param longContext other frequencies for longer contexts, or empty
         */
        record Rotary(
                List<Float> inverseFrequencies,
                float magnitude,
                RotaryTable.Layout layout,
                Optional<LongContext> longContext)
                implements Positions {
            public Rotary {
                inverseFrequencies = List.copyOf(inverseFrequencies);
            }

            /** The same frequencies for every context. */
            public Rotary(List<Float> inverseFrequencies, float magnitude, RotaryTable.Layout layout) {
                this(inverseFrequencies, magnitude, layout, Optional.empty());
            }

            /** The same with other pairs of dimensions. */
            public Rotary with(RotaryTable.Layout other) {
                return new Rotary(inverseFrequencies, magnitude, other, longContext);
            }
        }

        /**
         * Frequencies of longer contexts.
         *
         * @param afterTokens the most tokens of a context with the others
         * @param inverseFrequencies as many as the others
         */
        record LongContext(int afterTokens, List<Float> inverseFrequencies) {
            public LongContext {
                inverseFrequencies = List.copyOf(inverseFrequencies);
            }
        }
    }

    /** The feed-forward network. */
    public sealed interface FeedForward {
        /** Its sizes. */
        FeedForwardDimensions dimensions();

        /** Visits its tensors. */
        void visit(TensorVisitor visitor, int hidden);

        /**
         * {@code out(activation(in(x)))}.
         *
         * @param size F
         * @param in D to F
         * @param out F to D
         */
        record Plain(Activation activation, int size, LinearTensors in, LinearTensors out) implements FeedForward {
            @Override
            public FeedForwardDimensions dimensions() {
                return FeedForwardDimensions.dense(FeedForwardDimensions.Kind.PLAIN, size);
            }

            @Override
            public void visit(TensorVisitor visitor, int hidden) {
                visitor.linear(in, size, hidden);
                visitor.linear(out, hidden, size);
            }
        }

        /**
         * {@code out(activation(gate(x)) · up(x))}.
         *
         * @param size F
         * @param in D to 2F: gate, then up
         * @param out F to D
         */
        record Gated(Activation activation, int size, LinearTensors in, LinearTensors out) implements FeedForward {
            @Override
            public FeedForwardDimensions dimensions() {
                return FeedForwardDimensions.dense(FeedForwardDimensions.Kind.GATED, size);
            }

            @Override
            public void visit(TensorVisitor visitor, int hidden) {
                visitor.linear(in, 2 * size, hidden);
                visitor.linear(out, hidden, size);
            }
        }

        /**
         * {@code Σ weight · expert(x)} over the experts that a row chooses, and perhaps {@code σ(gate(x)) · shared(x)}.
         *
         * @param routing how rows choose
         * @param gating of the experts
         * @param size elements of an expert's inner layer
         * @param router D to the number of experts
         * @param experts in the order of the router's rows
         * @param shared a network that all rows use, or empty
         * @param sharedGate D to 1, or empty for a factor of 1
         */
        record Experts(
                ExpertRouting routing,
                Gating gating,
                int size,
                LinearTensors router,
                List<ExpertTensors> experts,
                Optional<Gated> shared,
                Optional<LinearTensors> sharedGate)
                implements FeedForward {
            public Experts {
                experts = List.copyOf(experts);
                if (experts.size() != routing.experts()) {
                    throw new IllegalArgumentException(
                            "there are " + experts.size() + " experts, must be " + routing.experts());
                }
            }

            @Override
            public FeedForwardDimensions dimensions() {
                return new FeedForwardDimensions(
                        FeedForwardDimensions.Kind.GATED,
                        shared.map(Gated::size).orElse(0),
                        routing.experts(),
                        routing.chosen(),
                        size);
            }

            @Override
            public void visit(TensorVisitor visitor, int hidden) {
                visitor.linear(router, routing.experts(), hidden);
                for (ExpertTensors expert : experts) {
                    visitor.linear(expert.in(), 2 * size, hidden);
                    visitor.linear(expert.out(), hidden, size);
                }
                shared.ifPresent(network -> network.visit(visitor, hidden));
                sharedGate.ifPresent(gate -> visitor.linear(gate, 1, hidden));
            }
        }
    }

    /**
     * One of several networks among which rows choose: gated, and added with its weight.
     *
     * @param in D to 2F: gate, then up
     * @param out F to D
     */
    public record ExpertTensors(LinearTensors in, LinearTensors out) {}

    /**
     * From the residual stream to logits: {@code c·tanh(factor · (rows · project(norm(x)) + bias) / c)}.
     *
     * @param norm of the residual stream
     * @param projection D to the width of {@code rows}, or empty
     * @param rows (V, width)
     * @param bias (V), or empty
     * @param factor on logits
     * @param cap c; 0 for none
     */
    public record Head(
            Optional<NormTensors> norm,
            Optional<LinearTensors> projection,
            TensorRows rows,
            Optional<TensorRows> bias,
            float factor,
            float cap) {
        /** A norm and a matrix. */
        public static Head plain(NormTensors norm, TensorRows rows) {
            return new Head(Optional.of(norm), Optional.empty(), rows, Optional.empty(), 1, 0);
        }

        /** A norm, a matrix and a bias. */
        public static Head biased(NormTensors norm, TensorRows rows, TensorRows bias) {
            return new Head(Optional.of(norm), Optional.empty(), rows, Optional.of(bias), 1, 0);
        }

        /** The matrix and its bias. */
        public LinearTensors linear() {
            return new LinearTensors(List.of(rows), bias.stream().toList());
        }
    }

    /**
     * Rows of a stored tensor, or columns that stand for rows.
     *
     * @param tensor its name in the files
     * @param part index in the outermost extent of a tensor that holds several matrices; empty if it holds one
     * @param axis whether rows are stored as rows
     * @param fromRow first row
     * @param step from one row to the next
     * @param rows number of rows
     */
    public record TensorRows(String tensor, OptionalInt part, Axis axis, int fromRow, int step, int rows) {
        /** Where rows are. */
        public enum Axis {
            ROWS,
            COLUMNS
        }

        /** A run of rows. */
        public TensorRows(String tensor, int fromRow, int rows) {
            this(tensor, OptionalInt.empty(), Axis.ROWS, fromRow, 1, rows);
        }

        /** The shape that the tensor has at least: with perhaps more matrices, and more rows. */
        List<Integer> leastShape(List<Integer> columns) {
            List<Integer> shape = new ArrayList<>();
            part.ifPresent(index -> shape.add(index + 1));
            int row = shape.size();
            shape.addAll(columns);
            shape.add(axis == Axis.ROWS ? row : shape.size(), fromRow + (rows - 1) * step + 1);
            return shape;
        }

        /** Whether a stored tensor has these rows. */
        boolean isIn(List<Integer> shape, List<Integer> columns) {
            List<Integer> least = leastShape(columns);
            boolean fits = shape.size() == least.size();
            int exact = axis == Axis.ROWS ? shape.size() - 1 : shape.size() - 2;
            for (int i = 0; fits && i < shape.size(); i++) {
                boolean isColumns = !columns.isEmpty() && i == exact;
                fits = isColumns ? shape.get(i).equals(least.get(i)) : shape.get(i) >= least.get(i);
            }
            return fits;
        }

        /** The rows of a part of which these are all, or every so many. */
        int rowsOfPart() {
            return step * rows;
        }

        /** Whether it is a run of rows of a matrix or vector. */
        boolean isRun() {
            return part.isEmpty() && axis == Axis.ROWS && step == 1;
        }
    }

    /**
     * A matrix put together from stored rows.
     *
     * @param weight its rows (output features), in order
     * @param bias the same rows of the bias; empty for none
     */
    public record LinearTensors(List<TensorRows> weight, List<TensorRows> bias) {
        public LinearTensors {
            weight = List.copyOf(weight);
            bias = List.copyOf(bias);
        }
    }

    /**
     * A norm's tensors. A name with a {@code *} stands for tensors that are numbered from 0 on, one after the other.
     *
     * @param gain one element each, or empty for 1
     * @param bias one element each, or empty
     */
    public record NormTensors(Optional<String> gain, Optional<String> bias) {}

    /**
     * The embedding's tensors.
     *
     * @param tokens (vocabulary, width)
     * @param positions (positions, D), or empty without learned positions
     * @param positionOffset row that position 0 uses
     * @param scale factor on a token's row
     * @param width elements of a token's row; empty for D
     * @param projection width to D, applied before positions are added; empty if width is D
     */
    public record EmbeddingTensors(
            String tokens,
            Optional<String> positions,
            int positionOffset,
            float scale,
            OptionalInt width,
            Optional<LinearTensors> projection) {
        /** A table of tokens alone. */
        public static EmbeddingTensors of(String tokens, float scale) {
            return new EmbeddingTensors(tokens, Optional.empty(), 0, scale, OptionalInt.empty(), Optional.empty());
        }
    }
}
