package io.weft.model;

import io.weft.device.RotaryTable;
import io.weft.model.Architecture.Positions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Rotary positions as configurations spell them: {@code rope_theta} and {@code rope_scaling}, or the newer
 * {@code rope_parameters}. Frequencies are computed as Hugging Face transformers does, in fp32.
 */
final class RotaryConfig {
    private RotaryConfig() {}

    /**
     * @param config with a family's defaults
     * @param headSize elements of a head
     */
    static Positions.Rotary read(ConfigReader config, int headSize) {
        Optional<ConfigReader> newer = config.object("rope_parameters");
        Optional<ConfigReader> scaling = newer.or(() -> config.object("rope_scaling"));
        double theta = first(newer, config, "rope_theta", "rotary_emb_base");
        double partial = first(newer, config, "partial_rotary_factor", "rotary_pct");
        int rotaryWidth = (int) (headSize * partial);
        if (rotaryWidth < 2 || rotaryWidth > headSize || rotaryWidth % 2 != 0) {
            throw config.wrong(
                    "partial_rotary_factor", "such that an even number of " + headSize + " dimensions is rotated");
        }
        List<Float> frequencies = new ArrayList<>();
        for (int j = 0; j < rotaryWidth; j += 2) {
            float exponent = (float) j / rotaryWidth;
            frequencies.add(1 / (float) Math.pow(theta, exponent));
        }
        String type = scaling.flatMap(s -> s.text("rope_type").or(() -> s.text("type")))
                .orElse("default");
        ConfigReader parameters = scaling.orElse(config);
        return new Positions.Rotary(
                switch (type) {
                    case "default" -> frequencies;
                    case "linear" -> scale(frequencies, 1 / parameters.positiveNumber("factor"));
                    case "llama3" -> llama3(frequencies, parameters);
                    default ->
                        throw parameters.wrong(
                                parameters.has("rope_type") ? "rope_type" : "type", "default, linear or llama3");
                },
                1,
                RotaryTable.Layout.HALVES);
    }

    /** A number by its newest spelling, by the older one, or by GPT-NeoX's own. */
    private static double first(Optional<ConfigReader> newer, ConfigReader config, String name, String own) {
        if (newer.isPresent() && newer.get().has(name)) {
            return newer.get().positiveNumber(name);
        }
        return config.positiveNumber(config.has(name) || !config.has(own) ? name : own);
    }

    private static List<Float> scale(List<Float> frequencies, double factor) {
        return frequencies.stream()
                .map(frequency -> (float) (frequency * factor))
                .toList();
    }

    /** Llama 3.1: long wavelengths are stretched by {@code factor}, short ones stay, those between are blended. */
    private static List<Float> llama3(List<Float> frequencies, ConfigReader parameters) {
        double factor = parameters.positiveNumber("factor");
        double lowFactor = parameters.positiveNumber("low_freq_factor");
        double highFactor = parameters.positiveNumber("high_freq_factor");
        double original = parameters.positiveNumber("original_max_position_embeddings");
        double longest = original / lowFactor;
        double shortest = original / highFactor;
        List<Float> scaled = new ArrayList<>();
        for (float frequency : frequencies) {
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
}
