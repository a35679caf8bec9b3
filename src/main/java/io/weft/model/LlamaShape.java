package io.weft.model;

import static io.weft.model.TensorNames.head;
import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.device.Activation;
import io.weft.device.ExpertRouting;
import io.weft.device.Gating;
import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.ExpertTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Head;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.Wiring;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * What many families share with Llama: one norm before and one after the layers, a gated feed-forward network, rotary
 * positions, grouped-query attention, and the names of its tensors.
 *
 * @param config that it was read from
 * @param hiddenSize D
 * @param heads H
 * @param keyValueHeads KVH
 * @param headSize HD
 * @param activation of the gate
 * @param normKind of every norm
 * @param normBias whether norms have one
 * @param embeddingScale factor on a token's embedding
 */
record LlamaShape(
        ConfigReader config,
        int hiddenSize,
        int heads,
        int keyValueHeads,
        int headSize,
        Activation activation,
        Norm.Kind normKind,
        Bias normBias,
        float embeddingScale) {
    static final String PREFIX = "model.";

    /** Which projections have biases. */
    record Biases(boolean projections, boolean output, boolean feedForward) {
        static final Biases NONE = new Biases(false, false, false);
    }

    /** With RMS norms. */
    static LlamaShape read(ConfigReader config) {
        return read(config, Activations.read(config, "hidden_act"), rmsNorm(config, 0), Bias.ABSENT);
    }

    static LlamaShape read(ConfigReader config, Activation activation, Norm.Kind normKind, Bias normBias) {
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        int headSize = config.positive("head_dim", Math.max(1, hidden / heads));
        return new LlamaShape(config, hidden, heads, heads, headSize, activation, normKind, normBias, 1)
                .withHeads(headSize, config.positive("num_key_value_heads", heads));
    }

    /**
     * The RMS norm of a configuration.
     *
     * @param gainOffset what is added to stored gains
     */
    static Norm.Kind rmsNorm(ConfigReader config, float gainOffset) {
        return new Norm.Kind.RmsNorm((float) config.positiveNumber("rms_norm_eps"), gainOffset);
    }

    /** The same with other heads. */
    LlamaShape withHeads(int size, int ofKeysAndValues) {
        if (heads % ofKeysAndValues != 0) {
            throw config.wrong("num_key_value_heads", "a divisor of num_attention_heads, " + heads);
        }
        return new LlamaShape(
                config, hiddenSize, heads, ofKeysAndValues, size, activation, normKind, normBias, embeddingScale);
    }

    /** The same with another factor on embeddings. */
    LlamaShape withEmbeddingScale(float scale) {
        return new LlamaShape(
                config, hiddenSize, heads, keyValueHeads, headSize, activation, normKind, normBias, scale);
    }

    /** F. */
    int feedForwardSize() {
        return config.positive("intermediate_size");
    }

    /** Elements of a row of queries. */
    int queryWidth() {
        return heads * headSize;
    }

    /** Elements of one token's K, and of its V. */
    int keyWidth() {
        return keyValueHeads * headSize;
    }

    /** The prefix of a layer's tensors. */
    static String layerPrefix(int layer) {
        return PREFIX + "layers." + layer + ".";
    }

    /** The model, with the same window in all layers. */
    Architecture architecture(int window, Biases biases) {
        Positions positions = RotaryConfig.read(config, headSize);
        return architecture(layer -> preNorm(
                layerPrefix(layer),
                attention(layerPrefix(layer), positions, biases).withWindow(window),
                feedForward(layerPrefix(layer), biases)));
    }

    Architecture architecture(IntFunction<Layer> layer) {
        return architecture(layer, 1, 0);
    }

    /**
     * The model.
     *
     * @param layer by index
     * @param logitFactor on logits
     * @param logitCap of logits; 0 for none
     */
    Architecture architecture(IntFunction<Layer> layer, float logitFactor, float logitCap) {
        String embedding = PREFIX + "embed_tokens.weight";
        int vocabulary = config.positive("vocab_size");
        return Architecture.of(
                hiddenSize,
                vocabulary,
                config.positive("max_position_embeddings"),
                EmbeddingTensors.of(embedding, embeddingScale),
                normKind,
                IntStream.range(0, config.positive("num_hidden_layers"))
                        .mapToObj(layer)
                        .toList(),
                new Head(
                        Optional.of(norm(PREFIX + "norm", normBias)),
                        Optional.empty(),
                        head(config, embedding, "lm_head", vocabulary),
                        Optional.empty(),
                        logitFactor,
                        logitCap));
    }

    /** A layer with norms before attention and feed-forward network. */
    Layer preNorm(String prefix, Attention attention, FeedForward feedForward) {
        return Layer.preNorm(
                norm(prefix + "input_layernorm", normBias),
                attention,
                norm(prefix + "post_attention_layernorm", normBias),
                feedForward,
                Wiring.SEQUENTIAL);
    }

    /** A layer with norms before and after attention and feed-forward network, by Gemma's names. */
    Layer sandwich(String prefix, Attention attention, FeedForward feedForward) {
        return Layer.sandwich(
                norm(prefix + "input_layernorm", normBias),
                attention,
                norm(prefix + "post_attention_layernorm", normBias),
                norm(prefix + "pre_feedforward_layernorm", normBias),
                feedForward,
                norm(prefix + "post_feedforward_layernorm", normBias));
    }

    Attention attention(String layerPrefix, Positions positions, Biases biases) {
        String prefix = layerPrefix + "self_attn.";
        return attention(prefix, prefix + "v_proj", prefix + "o_proj", positions, biases);
    }

    /**
     * Attention whose values may come from another module.
     *
     * @param prefix of its modules
     * @param values module of values
     * @param output module of the output
     */
    Attention attention(String prefix, String values, String output, Positions positions, Biases biases) {
        Bias bias = Bias.of(biases.projections());
        return Attention.plain(
                heads,
                keyValueHeads,
                headSize,
                positions,
                linear(prefix + "q_proj", queryWidth(), bias),
                linear(
                        List.of(
                                new ModuleRows(prefix + "k_proj", 0, keyWidth()),
                                new ModuleRows(values, 0, keyWidth())),
                        bias),
                linear(output, hiddenSize, Bias.of(biases.output())));
    }

    /** The same attention with norms of queries and keys. */
    Attention normed(Attention attention, String layerPrefix, HeadNorm.Span span) {
        return attention.withNorms(
                new HeadNorm(span, norm(layerPrefix + "self_attn.q_norm", Bias.ABSENT)),
                new HeadNorm(span, norm(layerPrefix + "self_attn.k_norm", Bias.ABSENT)));
    }

    FeedForward feedForward(String layerPrefix, Biases biases) {
        return gated(layerPrefix + "mlp.", feedForwardSize(), Bias.of(biases.feedForward()));
    }

    /** A gated network with gate and up in one matrix. */
    FeedForward fusedFeedForward(String layerPrefix) {
        return new FeedForward.Gated(
                activation,
                feedForwardSize(),
                linear(layerPrefix + "mlp.gate_up_proj", 2 * feedForwardSize(), Bias.ABSENT),
                linear(layerPrefix + "mlp.down_proj", hiddenSize, Bias.ABSENT));
    }

    private FeedForward.Gated gated(String prefix, int size, Bias bias) {
        return new FeedForward.Gated(
                activation,
                size,
                linear(
                        List.of(
                                new ModuleRows(prefix + "gate_proj", 0, size),
                                new ModuleRows(prefix + "up_proj", 0, size)),
                        bias),
                linear(prefix + "down_proj", hiddenSize, bias));
    }

    /**
     * Experts as Qwen's models have them: in some layers, and perhaps with an expert that all rows share.
     *
     * @param sharedSize inner size of the shared expert; 0 for none
     */
    FeedForward qwenFeedForward(int layer, int sharedSize) {
        String prefix = layerPrefix(layer) + "mlp.";
        int step = config.positive("decoder_sparse_step");
        boolean isDense = (layer + 1) % step != 0
                || config.wholes("mlp_only_layers").orElse(List.of()).contains(layer);
        if (isDense) {
            return feedForward(layerPrefix(layer), Biases.NONE);
        }
        ExpertRouting.Weights weights = config.flag("norm_topk_prob")
                ? ExpertRouting.Weights.SOFTMAX_OF_CHOSEN
                : ExpertRouting.Weights.SOFTMAX_OF_ALL;
        ExpertRouting routing = routing(weights);
        int size = config.positive("moe_intermediate_size");
        return new FeedForward.Experts(
                routing,
                new Gating.Activated(activation),
                size,
                linear(prefix + "gate", routing.experts(), Bias.ABSENT),
                IntStream.range(0, routing.experts())
                        .mapToObj(expert -> gated(prefix + "experts." + expert + ".", size, Bias.ABSENT))
                        .map(expert -> new ExpertTensors(expert.in(), expert.out()))
                        .toList(),
                sharedSize == 0
                        ? Optional.empty()
                        : Optional.of(gated(prefix + "shared_expert.", sharedSize, Bias.ABSENT)),
                sharedSize == 0
                        ? Optional.empty()
                        : Optional.of(linear(prefix + "shared_expert_gate", 1, Bias.ABSENT)));
    }

    /** How rows choose experts. */
    ExpertRouting routing(ExpertRouting.Weights weights) {
        String field = config.has("num_local_experts") ? "num_local_experts" : "num_experts";
        int experts = config.positive(field);
        if (experts > ExpertRouting.EXPERTS_MOST) {
            throw config.wrong(field, "at most " + ExpertRouting.EXPERTS_MOST);
        }
        int chosen = config.positive("num_experts_per_tok");
        if (chosen > experts) {
            throw config.wrong("num_experts_per_tok", "at most " + field + ", " + experts);
        }
        return new ExpertRouting(experts, chosen, weights);
    }
}
