package io.weft.model;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToIntFunction;
import java.util.function.ToLongFunction;

/**
 * The sizes of a decoder-only transformer; all that the planner knows of a model.
 *
 * @param hiddenSize D: elements of the residual stream, and of the input of the K and V projections
 * @param vocabularySize rows of the token embedding
 * @param maxPositions tokens a sequence may have
 * @param groups layers of equal sizes, in the order of their first layers; together all layers, from 0 on
 */
public record ModelDimensions(int hiddenSize, int vocabularySize, int maxPositions, List<LayerGroup> groups) {
    public ModelDimensions {
        requirePositive("hiddenSize", hiddenSize);
        requirePositive("vocabularySize", vocabularySize);
        requirePositive("maxPositions", maxPositions);
        groups = List.copyOf(groups);
        requirePositive("the number of groups", groups.size());
    }

    /** A model with these layers. A window that spans all positions is none, as in {@link #within}. */
    public static ModelDimensions of(
            int hiddenSize, int vocabularySize, int maxPositions, List<LayerDimensions> layers) {
        Map<LayerDimensions, List<Integer>> groups = new LinkedHashMap<>();
        List<LayerDimensions> seen = within(layers, maxPositions);
        for (int i = 0; i < seen.size(); i++) {
            groups.computeIfAbsent(seen.get(i), layer -> new ArrayList<>()).add(i);
        }
        return new ModelDimensions(
                hiddenSize,
                vocabularySize,
                maxPositions,
                groups.entrySet().stream()
                        .map(group -> new LayerGroup(group.getKey(), group.getValue()))
                        .toList());
    }

    /** A model of {@code layers} equal layers. */
    public static ModelDimensions uniform(
            int layers, int hiddenSize, int vocabularySize, int maxPositions, LayerDimensions layer) {
        requirePositive("layers", layers);
        return of(hiddenSize, vocabularySize, maxPositions, Collections.nCopies(layers, layer));
    }

    static void requirePositive(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " is " + value + ", must be at least 1");
        }
    }

    /** The same model in sequences of at most {@code tokens} tokens, in which longer windows hide nothing. */
    public ModelDimensions within(int tokens) {
        return of(hiddenSize, vocabularySize, maxPositions, within(layers(), tokens));
    }

    /**
     * Without windows that hide nothing. They stay if layers that see all tokens would then differ in width: blocks of
     * the cache hold layers of one.
     */
    private static List<LayerDimensions> within(List<LayerDimensions> layers, int tokens) {
        List<LayerDimensions> within =
                layers.stream().map(layer -> layer.within(tokens)).toList();
        long widths = within.stream()
                .filter(layer -> !layer.hasWindow())
                .mapToInt(LayerDimensions::keyValueWidth)
                .distinct()
                .count();
        return widths > 1 ? layers : within;
    }

    /** The sizes of all layers, in order. */
    public List<LayerDimensions> layers() {
        LayerDimensions[] layers = new LayerDimensions[layerCount()];
        for (LayerGroup group : groups) {
            group.layers().forEach(layer -> layers[layer] = group.layer());
        }
        return List.of(layers);
    }

    /** L: the number of layers. */
    public int layerCount() {
        int count = 0;
        for (LayerGroup group : groups) {
            count += group.layers().size();
        }
        return count;
    }

    /** Whether a layer's queries see the newest tokens alone. */
    public boolean isWindowed(int layer) {
        return groups.get(groupOf(layer)).layer().hasWindow();
    }

    /** The index of a layer's group. */
    public int groupOf(int layer) {
        int group = 0;
        while (group + 1 < groups.size()
                && Collections.binarySearch(groups.get(group).layers(), layer) < 0) {
            group++;
        }
        return group;
    }

    /** The first group of layers that see all tokens; all such groups have K and V of one width. */
    public Optional<LayerGroup> cachedGroup() {
        // Without an iterator: planning asks for it thousands of times.
        for (int i = 0; i < groups.size(); i++) {
            if (!groups.get(i).layer().hasWindow()) {
                return Optional.of(groups.get(i));
            }
        }
        return Optional.empty();
    }

    /** Bytes of scratch memory for the experts of a step of {@code rows} rows; 0 without experts. */
    public long expertScratchBytes(int rows) {
        return groups.stream()
                .mapToLong(group -> group.layer().feedForward().scratchBytes(hiddenSize, rows))
                .max()
                .orElseThrow();
    }

    /** The largest of a size of the layers. */
    public int most(ToIntFunction<LayerDimensions> size) {
        return groups.stream().map(LayerGroup::layer).mapToInt(size).max().orElseThrow();
    }

    /** The sum of a figure over all layers. */
    public long sum(ToLongFunction<LayerDimensions> figure) {
        return groups.stream()
                .mapToLong(group -> group.layers().size() * figure.applyAsLong(group.layer()))
                .sum();
    }
}
