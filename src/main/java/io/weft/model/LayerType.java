package io.weft.model;

import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** What a layer sees, in the words of {@code layer_types}. */
enum LayerType {
    FULL("full_attention"),
    SLIDING("sliding_attention");

    private final String label;

    LayerType(String label) {
        this.label = label;
    }

    /** The name that configurations have for it. */
    String label() {
        return label;
    }

    /**
     * The types of all layers: those that {@code layer_types} names, else sliding ones where {@code isSliding} says so.
     */
    static List<LayerType> read(ConfigReader config, IntPredicate isSliding) {
        int layers = config.positive("num_hidden_layers");
        return config.texts("layer_types")
                .map(names -> {
                    if (names.size() < layers) {
                        throw config.wrong("layer_types", "a list of at least " + layers + " types");
                    }
                    return names.stream()
                            .limit(layers)
                            .map(name -> of(config, name))
                            .toList();
                })
                .orElseGet(() -> IntStream.range(0, layers)
                        .mapToObj(layer -> isSliding.test(layer) ? SLIDING : FULL)
                        .toList());
    }

    /** Types of which every {@code interval}-th is full; the interval may be named by an older field. */
    static List<LayerType> everyFull(ConfigReader config, String field, int interval) {
        int every = config.positive(field, interval);
        return read(config, layer -> (layer + 1) % every != 0);
    }

    private static LayerType of(ConfigReader config, String name) {
        for (LayerType type : values()) {
            if (type.label.equals(name)) {
                return type;
            }
        }
        throw config.wrong("layer_types", FULL.label + " and " + SLIDING.label + " alone: " + name + " is not served");
    }

    /** The window of such a layer: that of the field {@code sliding_window}, which may be null. */
    int window(ConfigReader config) {
        return switch (this) {
            case FULL -> LayerDimensions.NO_WINDOW;
            case SLIDING -> config.whole("sliding_window", 1).orElse(LayerDimensions.NO_WINDOW);
        };
    }
}
