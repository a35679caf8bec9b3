package io.weft.model;

import static io.weft.model.TensorNames.linear;

import io.weft.device.ExpertRouting;
import io.weft.device.Gating;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.ExpertTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.TensorRows.Axis;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * gpt-oss (OpenAI 2025): Llama with sinks, windows in every other layer, biases, and experts with a clamped gate. Gates
 * and what they gate alternate in the experts' first matrix, which is transposed unless it is in MXFP4.
 */
final class GptOssFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("gpt_oss");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(config);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        List<LayerType> types = LayerType.everyFull(config, "sliding_window_pattern", 2);
        boolean bias = config.flag("attention_bias");
        return shape.architecture(layer -> {
            String prefix = LlamaShape.layerPrefix(layer);
            Attention attention = shape.attention(prefix, positions, new Biases(bias, bias, false))
                    .withWindow(types.get(layer).window(config))
                    .withSinks(prefix + "self_attn.sinks");
            return shape.preNorm(prefix, attention, experts(shape, prefix + "mlp."));
        });
    }

    private static FeedForward experts(LlamaShape shape, String prefix) {
        ConfigReader config = shape.config();
        ExpertRouting routing = shape.routing(ExpertRouting.Weights.SOFTMAX_OF_CHOSEN);
        Axis axis = isPacked(config) ? Axis.ROWS : Axis.COLUMNS;
        return new FeedForward.Experts(
                routing,
                new Gating.ClampedSwiGlu(
                        (float) config.positiveNumber("swiglu_limit"), (float) config.positiveNumber("swiglu_alpha")),
                shape.feedForwardSize(),
                linear(prefix + "router", routing.experts(), Bias.PRESENT),
                IntStream.range(0, routing.experts())
                        .mapToObj(expert -> expert(shape, prefix + "experts.", expert, axis))
                        .toList(),
                Optional.empty(),
                Optional.empty());
    }

    private static boolean isPacked(ConfigReader config) {
        return config.object("quantization_config")
                .flatMap(quantisation -> quantisation.text("quant_method"))
                .filter("mxfp4"::equals)
                .isPresent();
    }

    private static ExpertTensors expert(LlamaShape shape, String prefix, int expert, Axis axis) {
        int size = shape.feedForwardSize();
        String in = prefix + "gate_up_proj";
        String out = prefix + "down_proj";
        return new ExpertTensors(
                new LinearTensors(
                        List.of(rows(in, expert, axis, 0, 2, size), rows(in, expert, axis, 1, 2, size)),
                        List.of(
                                rows(in + "_bias", expert, Axis.ROWS, 0, 2, size),
                                rows(in + "_bias", expert, Axis.ROWS, 1, 2, size))),
                new LinearTensors(
                        List.of(rows(out, expert, axis, 0, 1, shape.hiddenSize())),
                        List.of(rows(out + "_bias", expert, Axis.ROWS, 0, 1, shape.hiddenSize()))));
    }

    private static TensorRows rows(String tensor, int expert, Axis axis, int from, int step, int rows) {
        return new TensorRows(tensor, OptionalInt.of(expert), axis, from, step, rows);
    }
}
