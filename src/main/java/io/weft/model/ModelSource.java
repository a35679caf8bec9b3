package io.weft.model;

import java.nio.file.Path;

/** Where a model comes from. */
public sealed interface ModelSource {
    /** The prefix of a preset's name. */
    String RANDOM = "random:";

    /** Between a preset's name and that of its weights. */
    String SEPARATOR = ":";

    /** A Hugging Face model directory. */
    record Directory(Path path) implements ModelSource {}

    /** The model that is built in, under {@code models/demo} on the class path. */
    record Demo() implements ModelSource {}

    /**
     * A well-known shape with random weights.
     *
     * @param preset which
     * @param weights how they are stored
     */
    record Random(ModelPreset preset, PresetWeights weights) implements ModelSource {}

    /** The name of a preset's random weights. */
    static String random(String preset, PresetWeights weights) {
        return RANDOM + preset + SEPARATOR + weights.label();
    }

    /**
     * Parses {@code demo}, {@code random:} with a preset's name and perhaps, after another colon, how its weights are
     * stored, or a directory.
     */
    static ModelSource parse(String text) {
        if (text.startsWith(RANDOM)) {
            String[] names = text.substring(RANDOM.length()).split(SEPARATOR, 2);
            PresetWeights weights = names.length == 1 ? PresetWeights.FP16 : PresetWeights.of(names[1]);
            return new Random(ModelPreset.of(names[0]), weights);
        }
        return text.equals("demo") ? new Demo() : new Directory(Path.of(text));
    }
}
