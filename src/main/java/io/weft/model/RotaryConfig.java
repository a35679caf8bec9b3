package io.weft.model;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.device.RotaryTable.Layout;
import io.weft.model.Architecture.Positions.LongContext;
import io.weft.model.Architecture.Positions.Rotary;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Rotary positions as configurations spell them: {@code rope_theta} and {@code rope_scaling}, or the newer
 * {@code rope_parameters}, perhaps by type of layer. Frequencies are computed as Hugging Face transformers does, in
 * fp32.
 */
final class RotaryConfig {
    private static final String NEWER = "rope_parameters";
    private static final String OLDER = "rope_scaling";
    private static final String TYPES = "default, linear, llama3, yarn or longrope";

    /** YaRN's (Peng et al. 2023) rotations within the original context: above stay, below are stretched. */
    private static final double BETA_FAST = 32;

    private static final double BETA_SLOW = 1;

    private final ConfigReader config;
    private final ConfigReader parameters;
    private final String type;
    private final double theta;
    private final int headSize;
    private final int rotaryWidth;

    private RotaryConfig(ConfigReader config, int headSize) {
        Optional<ConfigReader> newer = config.object(NEWER);
        Optional<ConfigReader> scaling = newer.or(() -> config.object(OLDER));
        this.config = config;
        this.headSize = headSize;
        this.parameters = scaling.orElse(config);
        this.type = scaling.flatMap(s -> s.text("rope_type").or(() -> s.text("type")))
                .orElse("default");
        this.theta = first(newer, config, "rope_theta", "rotary_emb_base");
        double partial = first(newer, config, "partial_rotary_factor", "rotary_pct");
        int width = type.equals("proportional") ? 2 * (int) (headSize * partial / 2) : (int) (headSize * partial);
        if (width < 2 || width > headSize || width % 2 != 0) {
            throw config.wrong(
                    "partial_rotary_factor", "such that an even number of " + headSize + " dimensions is rotated");
        }
        this.rotaryWidth = width;
    }

    /**
     * Positions of all layers alike.
     *
     * @param config with a family's defaults
     * @param headSize elements of a head
     */
    static Rotary read(ConfigReader config, int headSize) {
        return new RotaryConfig(config, headSize).positions();
    }

    /**
     * Positions of layers of one type. Older configurations scale those of full layers alone.
     *
     * @param config with a family's defaults
     * @param headSize elements of a head
     * @param slidingTheta the older field with the base of sliding layers
     */
    static Rotary read(ConfigReader config, int headSize, LayerType type, String slidingTheta) {
        Optional<ConfigReader> ofType = config.object(NEWER).flatMap(newer -> newer.object(type.label()));
        ObjectNode flat = config.json().deepCopy();
        if (type == LayerType.SLIDING && flat.has(slidingTheta)) {
            flat.set("rope_theta", config.json().path(slidingTheta));
        }
        if (ofType.isPresent()) {
            flat.set(NEWER, ofType.get().json());
        } else if (type == LayerType.SLIDING || isByType(config)) {
            flat.remove(List.of(NEWER, OLDER));
        }
        return read(new ConfigReader(config.file(), flat), headSize);
    }

    private static boolean isByType(ConfigReader config) {
        return config.object(NEWER)
                .filter(newer -> newer.has(LayerType.FULL.label()) || newer.has(LayerType.SLIDING.label()))
                .isPresent();
    }

    /** A number by its newest spelling, by the older one, or by GPT-NeoX's own. */
    private static double first(Optional<ConfigReader> newer, ConfigReader config, String name, String own) {
        if (newer.isPresent() && newer.get().has(name)) {
            return newer.get().positiveNumber(name);
        }
        return config.positiveNumber(config.has(name) || !config.has(own) ? name : own);
    }

    private Rotary positions() {
        return switch (type) {
            case "default" -> plain(frequencies());
            case "linear" -> plain(scaled(1 / parameters.positiveNumber("factor")));
            case "llama3" -> plain(llama3());
            case "proportional" -> plain(proportional());
            case "yarn" -> parameters.has("short_factor") ? longRope() : yarn();
            case "longrope", "su" -> longRope();
            case "dynamic" ->
                throw wrongType(TYPES + ": with dynamic scaling, the place of a token depends on later ones");
            default -> throw wrongType(TYPES);
        };
    }

    private ModelLoadException wrongType(String allowed) {
        return parameters.wrong(parameters.has("rope_type") ? "rope_type" : "type", allowed);
    }

    private static Rotary plain(List<Float> frequencies) {
        return new Rotary(frequencies, 1, Layout.HALVES);
    }

    private List<Float> frequencies() {
        List<Float> frequencies = new ArrayList<>();
        for (int j = 0; j < rotaryWidth; j += 2) {
            float exponent = (float) j / rotaryWidth;
            frequencies.add(1 / (float) Math.pow(theta, exponent));
        }
        return frequencies;
    }

    private List<Float> scaled(double factor) {
        return frequencies().stream()
                .map(frequency -> (float) (frequency * factor))
                .toList();
    }

    /** Llama 3.1: long wavelengths are stretched by {@code factor}, short ones stay, those between are blended. */
    private List<Float> llama3() {
        double factor = parameters.positiveNumber("factor");
        double lowFactor = parameters.positiveNumber("low_freq_factor");
        double highFactor = parameters.positiveNumber("high_freq_factor");
        double original = parameters.positiveNumber("original_max_position_embeddings");
        double longest = original / lowFactor;
        double shortest = original / highFactor;
        List<Float> scaled = new ArrayList<>();
        for (float frequency : frequencies()) {
            double wavelength = 2 * Math.PI / frequency;
            if (wavelength > longest) {
                scaled.add((float) (frequency / factor));
            } else if (wavelength < shortest) {
                scaled.add(frequency);
            } else {
                double smooth = (original / wavelength - lowFactor) / (highFactor - lowFactor);
                scaled.add((float) ((1 - smooth) * frequency / factor + smooth * frequency));
            }
        }
        return scaled;
    }

    /** Gemma 4: the frequencies of a whole head, of which those after the rotated part are 0. */
    private List<Float> proportional() {
        double factor = parameters.positiveNumber("factor", 1);
        List<Float> frequencies = new ArrayList<>();
        for (int j = 0; j < headSize; j += 2) {
            float exponent = (float) j / headSize;
            frequencies.add(j < rotaryWidth ? (float) (1 / (float) Math.pow(theta, exponent) / factor) : 0);
        }
        return frequencies;
    }

    /** YaRN (Peng et al. 2023): as Llama 3.1, with a ramp over dimensions, and a magnitude. */
    private Rotary yarn() {
        double original =
                parameters.positive("original_max_position_embeddings", config.positive("max_position_embeddings"));
        double factor = parameters.positiveNumber("factor", config.positive("max_position_embeddings") / original);
        double low = yarnDimension(parameters.positiveNumber("beta_fast", BETA_FAST), original);
        double high = yarnDimension(parameters.positiveNumber("beta_slow", BETA_SLOW), original);
        if (parameters.flag("truncate", true)) {
            low = Math.floor(low);
            high = Math.ceil(high);
        }
        low = Math.max(low, 0);
        high = Math.min(high, rotaryWidth - 1);
        double span = high == low ? 0.001 : high - low;
        List<Float> blended = new ArrayList<>();
        List<Float> plain = frequencies();
        for (int j = 0; j < plain.size(); j++) {
            float frequency = plain.get(j);
            float stretched = (float) Math.clamp((j - low) / span, 0, 1);
            blended.add((float) (frequency / factor) * stretched + frequency * (1 - stretched));
        }
        return new Rotary(blended, (float) yarnMagnitude(factor), Layout.HALVES);
    }

    /** The dimension, of pairs, that turns so often within the original context. */
    private double yarnDimension(double rotations, double original) {
        return rotaryWidth * Math.log(original / (rotations * 2 * Math.PI)) / (2 * Math.log(theta));
    }

    private double yarnMagnitude(double factor) {
        if (parameters.has("attention_factor")) {
            return parameters.positiveNumber("attention_factor");
        }
        double scale = parameters.within("mscale", 0, Double.MAX_VALUE).orElse(0);
        double all = parameters.within("mscale_all_dim", 0, Double.MAX_VALUE).orElse(0);
        if (scale != 0 && all != 0) {
            return yarnMagnitude(factor, scale) / yarnMagnitude(factor, all);
        }
        return yarnMagnitude(factor, 1);
    }

    private static double yarnMagnitude(double factor, double scale) {
        return factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;
    }

    /** LongRoPE (Ding et al. 2024): factors by dimension, of which there are two lists for two lengths. */
    private Rotary longRope() {
        int longest = config.positive("max_position_embeddings");
        int original = parameters.positive(
                "original_max_position_embeddings", config.positive("original_max_position_embeddings", longest));
        double factor = parameters.positiveNumber("factor", (double) longest / original);
        double magnitude = parameters.positiveNumber(
                "attention_factor", factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original)));
        return new Rotary(
                longRope("short_factor"),
                (float) magnitude,
                Layout.HALVES,
                Optional.of(new LongContext(original, longRope("long_factor"))));
    }

    private List<Float> longRope(String field) {
        List<Double> factors = parameters.positiveNumbers(field, rotaryWidth / 2);
        List<Float> scaled = new ArrayList<>();
        for (int j = 0; j < factors.size(); j++) {
            float exponent = (float) (2 * j) / rotaryWidth;
            scaled.add(1 / (factors.get(j).floatValue() * (float) Math.pow(theta, exponent)));
        }
        return scaled;
    }
}
