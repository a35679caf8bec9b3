package io.weft.plan.machine;

import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import io.weft.model.WeightBits;
import java.util.List;

/**
 * A machine by the figures of its data sheet, for planning without measuring.
 *
 * @param name name for people
 * @param linkBytesPerSecond rate of large copies from page-locked memory, each way
 * @param flopsPerSecond dense 16-bit matrix products with 32-bit sums
 * @param memoryBytesPerSecond bandwidth of device memory
 * @param deviceMemoryBytes device memory
 */
public record HardwareSpec(
        String name,
        double linkBytesPerSecond,
        double flopsPerSecond,
        double memoryBytesPerSecond,
        long deviceMemoryBytes) {
    /** The part of the peak that matrix products of a step reach: 0.78 to 0.84 was measured on an H200 for K and V. */
    private static final double PRODUCT_EFFICIENCY = 0.75;

    /**
     * The part of the peak that attention of many rows reaches: prompts of 16,000 to 100,000 tokens on an H100 and an
     * H200 took as long as with 110 TFLOP/s, in steps of 512 rows, to 160, in steps of 2048 (docs/benchmarks).
     */
    private static final double ATTENTION_EFFICIENCY = 0.15;

    /** The part of the memory's bandwidth that reading weights and K and V reaches. */
    private static final double MEMORY_EFFICIENCY = 0.85;

    /** The cost of starting a copy: an H200 copies 64 KiB at 14.7 GB/s and 16 MiB at 54.8 GB/s. */
    private static final double COPY_NANOS = 3_200;

    /** The time of the shortest kernel, back to back. */
    private static final double KERNEL_NANOS = 3_000;

    private static final double LAUNCH_NANOS = 4_000;
    private static final double HANDOFF_NANOS = 2_000;
    /** The time for two threads to wake each other, and for the next plan. */
    private static final double PAUSE_NANOS = 100_000;

    /** The gain of graphs is not known without measuring. */
    private static final double GRAPH_GAIN_NANOS = 0;

    private static final long SIZE_MAX = 1L << 40;
    private static final long ROWS_MAX = 1L << 24;

    public HardwareSpec {
        requirePositive("linkBytesPerSecond", linkBytesPerSecond);
        requirePositive("flopsPerSecond", flopsPerSecond);
        requirePositive("memoryBytesPerSecond", memoryBytesPerSecond);
        requirePositive("deviceMemoryBytes", (double) deviceMemoryBytes);
    }

    private static void requirePositive(String name, double value) {
        if (!(value > 0) || Double.isInfinite(value)) {
            throw new IllegalArgumentException(name + " is " + value + ", must be above 0");
        }
    }

    /** The same machine with another link. */
    public HardwareSpec withLinkBytesPerSecond(double bytesPerSecond) {
        return new HardwareSpec(name, bytesPerSecond, flopsPerSecond, memoryBytesPerSecond, deviceMemoryBytes);
    }

    /** The same machine with another compute rate. */
    public HardwareSpec withFlopsPerSecond(double perSecond) {
        return new HardwareSpec(name, linkBytesPerSecond, perSecond, memoryBytesPerSecond, deviceMemoryBytes);
    }

    /** The profile of a model whose weights are not quantised. */
    public HardwareProfile profile(CacheGeometry geometry) {
        return profile(geometry, WeightBits.PLAIN);
    }

    /**
     * The profile of a model according to these figures. A kernel takes the longer of its times for computing and for
     * reading memory (the roofline model, Williams et al. 2009), plus a fixed time to start.
     */
    public HardwareProfile profile(CacheGeometry geometry, WeightBits weights) {
        ModelDimensions dimensions = geometry.dimensions();
        int elementBytes = geometry.elementBytes();
        long hidden = dimensions.hiddenSize();
        List<LayerCurves> layers = dimensions.groups().stream()
                .map(group -> layerCurves(group.layer(), hidden, elementBytes, weights))
                .toList();
        long vocabulary = hidden * dimensions.vocabularySize();
        return new HardwareProfile(
                name,
                Curve.linear(COPY_NANOS, 1e9 / linkBytesPerSecond, SIZE_MAX),
                Curve.linear(COPY_NANOS, 1e9 / linkBytesPerSecond, SIZE_MAX),
                Curve.linear(KERNEL_NANOS, 2e9 / (memoryBytesPerSecond * MEMORY_EFFICIENCY), SIZE_MAX),
                Curve.linear(KERNEL_NANOS, readNanos(2.0 * hidden * elementBytes), ROWS_MAX),
                layers,
                keyValues(geometry, weights),
                codes(geometry),
                0,
                products(2, vocabulary, (double) vocabulary * elementBytes),
                LAUNCH_NANOS,
                HANDOFF_NANOS,
                PAUSE_NANOS,
                0,
                1,
                Curve.linear(GRAPH_GAIN_NANOS, 0, ROWS_MAX));
    }

    /** Kernels that read blocks and write their codes, or the other way round. */
    private List<CodeCurves> codes(CacheGeometry geometry) {
        if (geometry.cachedLayerCount() == 0) {
            return List.of();
        }
        return geometry.encodings().stream()
                .filter(Encoding::isCoded)
                .map(encoding -> {
                    double plainBytes = geometry.blockLayerBytes(encoding.raw());
                    double both = (plainBytes + geometry.blockLayerBytes(encoding)) / plainBytes;
                    Curve curve = Curve.linear(KERNEL_NANOS, readNanos(both), SIZE_MAX);
                    return new CodeCurves(encoding, curve, curve);
                })
                .toList();
    }

    /** K and V from what they are made of. */
    private Curve keyValues(CacheGeometry geometry, WeightBits weights) {
        int width = geometry.width(Content.KEY_VALUE);
        return switch (geometry.source()) {
            case ACTIVATION -> {
                long elements = (long) geometry.dimensions().hiddenSize() * width;
                yield products(1, elements, weights.bytes((double) elements, geometry.elementBytes()));
            }
            case SHARED_PROJECTION -> {
                // Two norms read half of that each and write as much; rotation reads and writes K.
                double bytes = 3.0 * width * geometry.elementBytes();
                yield Curve.linear(3 * KERNEL_NANOS, readNanos(bytes), SIZE_MAX);
            }
        };
    }

    private LayerCurves layerCurves(LayerDimensions layer, long hidden, int elementBytes, WeightBits weights) {
        long attended = hidden * layer.queryWidth();
        long keyValue = hidden * layer.projectedWidth();
        double pairFlops = 4.0 * layer.queryWidth();
        Curve reads = Curve.linear(KERNEL_NANOS, readNanos((double) layer.keyValueWidth() * elementBytes), SIZE_MAX);
        return new LayerCurves(
                products(7, attended + keyValue, weights.bytes((double) (attended + keyValue), elementBytes)),
                reads,
                reads,
                Curve.linear(KERNEL_NANOS, 1e9 * pairFlops / (flopsPerSecond * ATTENTION_EFFICIENCY), SIZE_MAX),
                feedForward(layer.feedForward(), hidden, attended, elementBytes, weights));
    }

    /** Output projection and network. Rows choose different experts until all of them are read. */
    private Curve feedForward(
            FeedForwardDimensions network, long hidden, long outputWeights, int elementBytes, WeightBits weights) {
        long dense = outputWeights + network.denseWeights(hidden);
        if (network.experts() == 0) {
            return products(6, dense, weights.bytes((double) dense, elementBytes));
        }
        long expert = network.expertWeights(hidden);
        return Curve.of(ROWS_MAX, rows -> {
            double chosen = (double) rows * network.chosenExperts();
            double read = network.experts() * (1 - Math.pow(1 - 1.0 / network.experts(), chosen));
            return 8 * KERNEL_NANOS
                    + Math.max(
                            2e9 * ((double) rows * dense + chosen * expert) / (flopsPerSecond * PRODUCT_EFFICIENCY),
                            readNanos(weights.bytes(dense + read * expert, elementBytes)));
        });
    }

    private double readNanos(double bytes) {
        return 1e9 * bytes / (memoryBytesPerSecond * MEMORY_EFFICIENCY);
    }

    /** The curve of rows through matrices of {@code weights} elements and some bytes, in {@code kernels} kernels. */
    private Curve products(int kernels, long weights, double bytes) {
        return Curve.of(
                ROWS_MAX,
                rows -> kernels * KERNEL_NANOS
                        + Math.max(2e9 * rows * weights / (flopsPerSecond * PRODUCT_EFFICIENCY), readNanos(bytes)));
    }
}
