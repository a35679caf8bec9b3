package io.weft.plan;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import java.util.ArrayList;
import java.util.List;

/**
 * Puts the stages of a step in order of issue and joins the lanes.
 *
 * <p>The staged chunks of all layers, in order, are the <em>uses</em> of the slots: use u takes slot u mod n of n. What
 * keeps a slot from being overwritten too early:
 *
 * <ul>
 *   <li>Everything that reads a slot or the workspace ({@link Stage.Recompute}, {@link Stage.Attend}), and the
 *       {@link Stage.Gather} that writes one, is on the compute lane, use by use: gather, recompute, attend. So when
 *       the attention of use u is complete, slot u mod n is free, and so is the workspace.
 *   <li>The first transfer of use u + n waits for the attention of use u; its second one follows it on its lane. It is
 *       issued right behind that attention, hence before anything of a later use, and the link lane goes through the
 *       uses in order: no transfer ever waits for a stage that waits for it.
 *   <li>A gather of use u + n needs no wait: it follows the attention of use u on its own lane. It and the transfers of
 *       its use write disjoint parts of the slot.
 * </ul>
 *
 * Blocks that the step fills are read by the link out (or copied) from the open blocks, which live until the step is
 * over, so nothing waits for that.
 */
final class StageSequencer {
    private final CacheGeometry geometry;
    private final StepShape shape;
    private final List<Chunk> chunks;
    private final int slots;
    /** Index in {@code chunks} of each chunk that needs a slot. */
    private final List<Integer> staged;

    private final List<PlannedStage> stages = new ArrayList<>();
    /** By use. */
    private final List<Arrivals> arrivals = new ArrayList<>();
    /** By use. */
    private final List<Integer> attends = new ArrayList<>();

    StageSequencer(CacheGeometry geometry, StepShape shape, List<Chunk> chunks, StagingLayout staging) {
        this.geometry = geometry;
        this.shape = shape;
        this.chunks = chunks;
        this.slots = staging.slots();
        List<Integer> stagedChunks = new ArrayList<>();
        for (int chunk = 0; chunk < chunks.size(); chunk++) {
            if (chunks.get(chunk).isStaged()) {
                stagedChunks.add(chunk);
            }
        }
        this.staged = List.copyOf(stagedChunks);
    }

    /** The transfers of a use, each none or one. */
    private record Arrivals(List<Integer> activations, List<Integer> keyValues) {}

    List<PlannedStage> stages() {
        int upload = add(new Stage.Upload(), List.of());
        for (int use = 0; use < slots; use++) {
            transfer(use);
        }
        add(new Stage.Embed(shape.rows()), List.of(upload));
        for (int layer = 0; layer < geometry.dimensions().layers(); layer++) {
            layer(layer);
        }
        if (shape.logitRows() > 0) {
            int head = add(new Stage.Head(shape.logitRows()), List.of());
            long logits = (long) shape.logitRows() * geometry.dimensions().vocabularySize();
            add(new Stage.Download(logits * Float.BYTES), List.of(head));
        }
        return stages;
    }

    private void layer(int layer) {
        int project = add(new Stage.Project(layer, shape.rows()), List.of());
        close(layer, project);
        for (int chunk = 0; chunk < chunks.size(); chunk++) {
            if (chunks.get(chunk).isStaged()) {
                attendStaged(layer, chunk);
            } else {
                attend(layer, chunk, List.of());
            }
        }
        add(new Stage.Complete(layer, shape.rows()), List.of());
    }

    private void close(int layer, int project) {
        int hostBlocks = closingBlocks(Place.HOST, Content.KEY_VALUE) + closingBlocks(Place.HOST, Content.ACTIVATION);
        if (hostBlocks > 0) {
            // An open block holds both contents, so the contents wanted of neighbouring blocks are not neighbours.
            add(new Stage.WriteOut(layer, closingBytes(Place.HOST), hostBlocks), List.of(project));
        }
        if (closingBytes(Place.DEVICE) > 0) {
            add(new Stage.Keep(layer, closingBytes(Place.DEVICE)), List.of());
        }
    }

    private void attendStaged(int layer, int chunk) {
        int use = attends.size();
        Chunk work = chunks.get(chunk);
        if (!work.deviceActivations().isEmpty()) {
            add(new Stage.Gather(layer, chunk, bytes(work.deviceActivations(), Content.ACTIVATION)), List.of());
        }
        if (work.recomputedBlocks() > 0) {
            int tokens = work.recomputedBlocks() * geometry.blockTokens();
            add(new Stage.Recompute(layer, chunk, tokens), arrivals.get(use).activations());
        }
        attends.add(attend(layer, chunk, arrivals.get(use).keyValues()));
        if (use + slots < geometry.dimensions().layers() * staged.size()) {
            transfer(use + slots);
        }
    }

    private int attend(int layer, int chunk, List<Integer> after) {
        List<TokenRange> ranges = chunks.get(chunk).ranges();
        long tokens = ranges.stream()
                .mapToLong(range -> range.toToken() - range.fromToken())
                .sum();
        return add(
                new Stage.Attend(
                        layer, chunk, ranges.stream().mapToLong(this::rowTokens).sum(), tokens),
                after);
    }

    /**
     * Pairs of a new row and a token of the range that it sees: Σ over rows of min(to, position + 1) − from, where
     * positive.
     */
    private long rowTokens(TokenRange range) {
        SequenceShape sequence = shape.sequences().get(range.sequence());
        long cached = sequence.cachedTokens(geometry.blockTokens());
        long total = sequence.totalTokens(geometry.blockTokens());
        // The row at position p sees p + 1 tokens: 1, 2, … of the range for p = from, from + 1, …, and all of it from p
        // = to − 1 on.
        long firstPosition = Math.max(cached, range.fromToken());
        long firstSeen = firstPosition + 1 - range.fromToken();
        long rowsOfPart = Math.max(0, range.toToken() - 1 - firstPosition);
        long rowsOfAll = total - Math.max(firstPosition, range.toToken() - 1);
        return rowsOfPart * firstSeen
                + rowsOfPart * (rowsOfPart - 1) / 2
                + rowsOfAll * (range.toToken() - range.fromToken());
    }

    private void transfer(int use) {
        int layer = use / staged.size();
        int chunk = staged.get(use % staged.size());
        List<Integer> slotFree = use < slots ? List.of() : List.of(attends.get(use - slots));
        List<BlockRun> activations = chunks.get(chunk).hostActivations();
        List<BlockRun> keyValues = chunks.get(chunk).hostKeyValues();
        List<Integer> activationsArrive = transfer(layer, chunk, Content.ACTIVATION, activations, slotFree);
        List<Integer> keyValuesArrive = transfer(
                layer, chunk, Content.KEY_VALUE, keyValues, activationsArrive.isEmpty() ? slotFree : List.of());
        arrivals.add(new Arrivals(activationsArrive, keyValuesArrive));
    }

    private List<Integer> transfer(int layer, int chunk, Content content, List<BlockRun> runs, List<Integer> after) {
        if (runs.isEmpty()) {
            return List.of();
        }
        return List.of(add(new Stage.Transfer(layer, chunk, content, bytes(runs, content), copies(runs)), after));
    }

    /**
     * A sequence's blocks of one content are neighbours in host memory, in token order, whatever lies between them in
     * the sequence: one copy for each sequence.
     */
    private static int copies(List<BlockRun> runs) {
        return (int) runs.stream().mapToInt(BlockRun::sequence).distinct().count();
    }

    private long bytes(List<BlockRun> runs, Content content) {
        return Chunk.blocks(runs) * geometry.blockLayerBytes(content);
    }

    private long closingBytes(Place place) {
        long bytes = 0;
        for (Content content : Content.values()) {
            bytes += closingBlocks(place, content) * geometry.blockLayerBytes(content);
        }
        return bytes;
    }

    private int closingBlocks(Place place, Content content) {
        CacheForm form = CacheForm.of(content, place);
        return (int) shape.sequences().stream()
                .flatMap(sequence -> sequence.closing().stream())
                .filter(closing -> closing == form)
                .count();
    }

    private int add(Stage stage, List<Integer> after) {
        stages.add(new PlannedStage(stages.size(), stage, after));
        return stages.size() - 1;
    }
}
