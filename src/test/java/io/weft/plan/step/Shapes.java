package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;

/** Small geometries and random batches for the tests of planning. */
public final class Shapes {
    private static final int DRAFTS_MOST = 8;

    /** Multi-head attention: an activation has half the bytes of K and V. */
    static final ModelDimensions MULTI_HEAD = ModelDimensions.uniform(
            3,
            64,
            97,
            512,
            new LayerDimensions(
                    4,
                    4,
                    16,
                    LayerDimensions.NO_WINDOW,
                    FeedForwardDimensions.dense(FeedForwardDimensions.Kind.PLAIN, 128)));
    /** Grouped-query attention: K and V have half the bytes of an activation. */
    static final ModelDimensions GROUPED = ModelDimensions.uniform(
            2,
            64,
            31,
            512,
            new LayerDimensions(
                    8,
                    2,
                    8,
                    LayerDimensions.NO_WINDOW,
                    FeedForwardDimensions.dense(FeedForwardDimensions.Kind.GATED, 128)));

    /** Layers with a window, of other heads, between layers that see all tokens and have different networks. */
    static final ModelDimensions MIXED = ModelDimensions.of(
            32,
            31,
            512,
            List.of(
                    layer(4, 2, 8, 20, 48),
                    layer(4, 4, 8, LayerDimensions.NO_WINDOW, 48),
                    layer(4, 2, 8, 20, 48),
                    layer(4, 4, 8, LayerDimensions.NO_WINDOW, 64),
                    layer(4, 2, 8, 20, 48)));
    /** No layer sees all tokens. */
    static final ModelDimensions WINDOWED = ModelDimensions.uniform(2, 32, 31, 512, layer(4, 2, 8, 33, 48));

    private static LayerDimensions layer(int heads, int keyValueHeads, int headSize, int window, int feedForward) {
        return new LayerDimensions(
                heads,
                keyValueHeads,
                headSize,
                window,
                FeedForwardDimensions.dense(FeedForwardDimensions.Kind.GATED, feedForward));
    }

    public static final List<CacheGeometry> GEOMETRIES = List.of(
            new CacheGeometry(MULTI_HEAD, 4, 16, 64),
            new CacheGeometry(MULTI_HEAD, 2, 1, 1),
            new CacheGeometry(MULTI_HEAD, 2, 1, 7),
            new CacheGeometry(GROUPED, 2, 5, 5),
            new CacheGeometry(GROUPED, 4, 13, 39),
            new CacheGeometry(
                    ModelDimensions.uniform(
                            1,
                            12,
                            5,
                            512,
                            new LayerDimensions(
                                    1,
                                    1,
                                    12,
                                    LayerDimensions.NO_WINDOW,
                                    FeedForwardDimensions.dense(FeedForwardDimensions.Kind.PLAIN, 9))),
                    4,
                    4,
                    8),
            new CacheGeometry(MIXED, 2, 4, 16),
            new CacheGeometry(WINDOWED, 2, 4, 8));

    private Shapes() {}

    public static List<CacheGeometry> geometries() {
        return GEOMETRIES;
    }

    public static CacheGeometry geometry(RandomGenerator random) {
        return GEOMETRIES.get(random.nextInt(GEOMETRIES.size()));
    }

    public static StepShape step(RandomGenerator random, CacheGeometry geometry) {
        List<CacheForm> palette = palette(random);
        List<SequenceShape> sequences = new ArrayList<>();
        int count = 1 + random.nextInt(random.nextBoolean() ? 2 : 7);
        for (int i = 0; i < count; i++) {
            sequences.add(sequence(random, geometry, palette));
        }
        int rows = sequences.stream().mapToInt(SequenceShape::newTokens).sum();
        int tokens = random.nextInt(count + 1);
        int logits = random.nextInt(rows + 1);
        int both = random.nextInt(Math.min(tokens, logits) + 1);
        return new StepShape(sequences, new HeadShape(tokens + logits - both, tokens, logits));
    }

    /** One new token for each sequence, its closed blocks in one form. */
    public static StepShape decode(CacheGeometry geometry, int sequences, int blocks, CacheForm form) {
        List<CacheForm> closing = geometry.blockTokens() == 1 ? List.of(form) : List.of();
        return new StepShape(
                java.util.Collections.nCopies(
                        sequences, new SequenceShape(java.util.Collections.nCopies(blocks, form), 0, 1, closing)),
                HeadShape.tokens(sequences));
    }

    private static SequenceShape sequence(RandomGenerator random, CacheGeometry geometry, List<CacheForm> palette) {
        int closed = random.nextInt(4) == 0 ? 0 : random.nextInt(40);
        boolean hasDrafts = random.nextInt(3) == 0;
        // Accepted drafts stay open for a step.
        int open = random.nextInt(geometry.blockTokens()) + (hasDrafts ? random.nextInt(DRAFTS_MOST + 1) : 0);
        int drafted = hasDrafts ? random.nextInt(DRAFTS_MOST + 1) : 0;
        int certain = hasDrafts || random.nextBoolean() ? 1 : 1 + random.nextInt(3 * geometry.cellTokens());
        List<CacheForm> forms = forms(random, palette, closed);
        List<CacheForm> promoted = forms.stream()
                .filter(form -> form.place() == CacheForm.Place.HOST && random.nextInt(8) == 0)
                .toList();
        return new SequenceShape(
                forms,
                open,
                certain + drafted,
                drafted,
                forms(random, palette, (open + certain) / geometry.blockTokens()),
                promoted);
    }

    /** Forms come in runs, as placement makes them, or wholly mixed. */
    private static List<CacheForm> forms(RandomGenerator random, List<CacheForm> palette, int count) {
        int keep = random.nextInt(10);
        List<CacheForm> forms = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            boolean same = i > 0 && random.nextInt(10) < keep;
            forms.add(same ? forms.getLast() : palette.get(random.nextInt(palette.size())));
        }
        return forms;
    }

    private static List<CacheForm> palette(RandomGenerator random) {
        List<CacheForm> palette = new ArrayList<>();
        for (CacheForm form : CacheForm.all()) {
            if (random.nextBoolean()) {
                palette.add(form);
            }
        }
        return palette.isEmpty() ? CacheForm.all() : palette;
    }
}
