package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.model.LayerDimensions;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;

/**
 * Puts the stages of a step in order of issue and joins the lanes.
 *
 * <p>The staged chunks of all cached layers, in order, are the <em>uses</em> of the slots: use u takes slot u mod n of
 * n. Three rules keep a slot from being overwritten too early:
 *
 * <ul>
 *   <li>Everything that reads a slot or the workspace ({@link Stage.Decode}, {@link Stage.Recompute},
 *       {@link Stage.Attend}), and what else writes them ({@link Stage.Gather}), is on the compute lane, use by use:
 *       gather, decode activations, recompute, decode K and V, attend. So when the attention of use u is complete, slot
 *       u mod n is free, and so is the workspace.
 *   <li>The first transfer of use u + n waits for the attention of use u; the others follow it on its lane. It is
 *       issued right after that attention, hence before any stage of a later use, and the link lane goes through the
 *       uses in order. So no transfer ever waits for a stage that waits for it.
 *   <li>A gather of use u + n needs no wait: it follows the attention of use u on its own lane. So does decoding what
 *       lies on the device. They and the transfers of their use write disjoint parts of the slot.
 * </ul>
 *
 * Blocks that the step fills are coded in the open blocks, after their projection, and read from there by the link out
 * (or copied). Open blocks live until the step is over, so nothing waits for that. On the device they are copied after
 * all other stages, with one copy per block. So the stages of a step that needs no link are the same whether it fills
 * blocks or not.
 */
final class StageSequencer {
    private final CacheGeometry geometry;
    private final StepShape shape;
    private final List<Chunk> chunks;
    private final int slots;
    private final List<Integer> cachedLayers;
    /** By chunk. */
    private final List<Figures> figures;

    private final int rows;
    /** The blocks that the step fills and codes, the same in every layer. */
    private final SortedMap<Encoding, Integer> coded;

    private int lastEncode;

    /** Pairs of a row and a token that it sees in a layer with a window. */
    private long windowRowTokens;

    /** Tokens that rows see in a layer with a window. */
    private long windowTokens;

    private final List<PlannedStage> stages;
    /** By use, then by part: the transfer of a part that crosses the link. */
    private final List<List<List<Integer>>> arrivals = new ArrayList<>();
    /** By use. */
    private final List<Integer> attends = new ArrayList<>();

    StageSequencer(CacheGeometry geometry, StepShape shape, List<Chunk> chunks, StagingLayout staging) {
        this.geometry = geometry;
        this.shape = shape;
        this.chunks = chunks;
        this.slots = staging.slots();
        this.cachedLayers = geometry.cachedLayers();
        this.figures = chunks.stream().map(this::figures).toList();
        this.rows = shape.rows();
        this.coded = shape.codedBlocks(geometry);
        int layers = geometry.dimensions().layerCount();
        // Three stages of a layer, and three of a chunk; a few more where there is something to recompute or to copy.
        this.stages = new ArrayList<>(3 * (layers + cachedLayers.size() * chunks.size()));
        int window = geometry.window();
        for (SequenceShape sequence : shape.sequences()) {
            windowRowTokens += sequence.rowTokens(geometry.blockTokens(), window);
            windowTokens += sequence.seenTokens(geometry.blockTokens(), window);
        }
    }

    /**
     * The figures of a chunk's stages, which are the same in every layer.
     *
     * @param bytes by part
     * @param copies by part: pieces that cross the link
     */
    private record Figures(
            List<Long> bytes, List<Integer> copies, int recomputedTokens, long rowTokens, long tokens, int sequences) {}

    private Figures figures(Chunk chunk) {
        long rowTokens = 0;
        long tokens = 0;
        for (TokenRange range : chunk.ranges()) {
            rowTokens += rowTokens(range);
            tokens += range.toToken() - range.fromToken();
        }
        return new Figures(
                chunk.parts().stream().map(this::bytes).toList(),
                chunk.parts().stream().map(part -> copies(part.runs())).toList(),
                chunk.recomputedBlocks() * geometry.blockTokens(),
                rowTokens,
                tokens,
                chunk.ranges().size());
    }

    List<PlannedStage> stages() {
        add(new Stage.Upload(), List.of());
        for (int use = 0; use < slots; use++) {
            transfer(use);
        }
        add(new Stage.Embed(rows), List.of());
        Closing onHost = closing(Place.HOST);
        Closing onDevice = closing(Place.DEVICE);
        List<LayerDimensions> layers = geometry.dimensions().layers();
        for (int layer = 0; layer < layers.size(); layer++) {
            layer(layer, layers.get(layer), onHost);
        }
        download();
        long bytes = geometry.cachedLayerCount() * onDevice.bytes();
        if (bytes > 0) {
            add(new Stage.StoreOnDevice(bytes, onDevice.blocks()), List.of());
        }
        promote();
        return stages;
    }

    private void download() {
        HeadShape out = shape.head();
        long misfitBytes =
                (long) coded.values().stream().mapToInt(blocks -> blocks).sum() * Integer.BYTES;
        if (out.rows() == 0 && misfitBytes == 0) {
            return;
        }
        // What is last on the compute lane.
        int last = out.rows() > 0 ? add(new Stage.Head(out.rows()), List.of()) : lastEncode;
        long logits = (long) out.logits() * geometry.dimensions().vocabularySize();
        long tokenBytes = (long) out.tokens() * Integer.BYTES;
        add(new Stage.Download(tokenBytes, logits * Float.BYTES, misfitBytes), List.of(last));
    }

    /** After all transfers, so that the step's own come first. */
    private void promote() {
        int blocks = 0;
        long bytes = 0;
        for (SequenceShape sequence : shape.sequences()) {
            for (CacheForm form : sequence.promoted()) {
                blocks++;
                bytes += geometry.blockBytes(form.encoding());
            }
        }
        if (bytes > 0) {
            // On the host the blocks of a layer are neighbours, on the device the layers of a block.
            add(new Stage.Promote(bytes, blocks * geometry.cachedLayerCount()), List.of());
        }
    }

    private void layer(int layer, LayerDimensions dimensions, Closing onHost) {
        int project = add(new Stage.Project(layer, rows), List.of());
        if (dimensions.hasWindow()) {
            attendWindow(layer);
        } else {
            attendAll(layer, project, onHost);
        }
        add(new Stage.FeedForward(layer, rows), List.of());
    }

    private void attendWindow(int layer) {
        add(
                new Stage.AttendWindow(
                        layer, windowRowTokens, windowTokens, shape.sequences().size()),
                List.of());
    }

    private void attendAll(int layer, int project, Closing onHost) {
        coded.forEach((encoding, blocks) -> lastEncode = add(new Stage.Encode(layer, encoding, blocks), List.of()));
        if (onHost.blocks() > 0) {
            // An open block holds all encodings, so one encoding of neighbouring blocks is not contiguous.
            add(
                    new Stage.WriteOut(layer, onHost.bytes(), onHost.blocks()),
                    List.of(onHost.hasCodes() ? lastEncode : project));
        }
        for (int chunk = 0; chunk < chunks.size(); chunk++) {
            if (chunks.get(chunk).isStaged()) {
                attendStaged(layer, chunk);
            } else {
                attend(layer, chunk, List.of());
            }
        }
    }

    private void attendStaged(int layer, int chunk) {
        int use = attends.size();
        List<Integer> activations = new ArrayList<>();
        List<Chunk.Part> parts = chunks.get(chunk).parts();
        for (int i = 0; i < parts.size(); i++) {
            Chunk.Part part = parts.get(i);
            if (part.isRecomputed() && !part.form().encoding().isCoded()) {
                if (part.isOnHost()) {
                    activations.addAll(arrivals.get(use).get(i));
                } else {
                    add(
                            new Stage.Gather(
                                    layer, chunk, figures.get(chunk).bytes().get(i)),
                            List.of());
                }
            }
        }
        decode(layer, chunk, Content.ACTIVATION);
        int recomputedTokens = figures.get(chunk).recomputedTokens();
        if (recomputedTokens > 0) {
            add(new Stage.Recompute(layer, chunk, recomputedTokens), activations);
        }
        decode(layer, chunk, Content.KEY_VALUE);
        List<Integer> keyValues = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            if (!parts.get(i).isRecomputed() && !parts.get(i).form().encoding().isCoded()) {
                keyValues.addAll(arrivals.get(use).get(i));
            }
        }
        attends.add(attend(layer, chunk, keyValues));
        if (use + slots < cachedLayers.size() * chunks.size()) {
            transfer(use + slots);
        }
    }

    private void decode(int layer, int chunk, Content content) {
        int use = attends.size();
        List<Chunk.Part> parts = chunks.get(chunk).parts();
        for (int i = 0; i < parts.size(); i++) {
            CacheForm form = parts.get(i).form();
            if (form.content() == content && form.encoding().isCoded()) {
                int tokens = parts.get(i).blocks() * geometry.blockTokens();
                add(
                        new Stage.Decode(layer, chunk, form.encoding(), form.place(), tokens),
                        arrivals.get(use).get(i));
            }
        }
    }

    private int attend(int layer, int chunk, List<Integer> after) {
        Figures work = figures.get(chunk);
        return add(new Stage.Attend(layer, chunk, work.rowTokens(), work.tokens(), work.sequences()), after);
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

    /** If one chunk needs a slot, all do. */
    private void transfer(int use) {
        int layer = cachedLayers.get(use / chunks.size());
        int chunk = use % chunks.size();
        List<Integer> after = use < slots ? List.of() : List.of(attends.get(use - slots));
        List<Chunk.Part> parts = chunks.get(chunk).parts();
        Figures work = figures.get(chunk);
        List<List<Integer>> arriving = new ArrayList<>(parts.size());
        for (int i = 0; i < parts.size(); i++) {
            if (parts.get(i).isOnHost()) {
                Stage transfer = new Stage.Transfer(
                        layer,
                        chunk,
                        parts.get(i).form().encoding(),
                        work.bytes().get(i),
                        work.copies().get(i));
                arriving.add(List.of(add(transfer, after)));
                after = List.of();
            } else {
                arriving.add(List.of());
            }
        }
        arrivals.add(arriving);
    }

    /**
     * A sequence's blocks of one encoding are neighbours in host memory, in token order, whatever lies between them in
     * the sequence: one copy for each sequence. The runs of a sequence follow each other.
     */
    private static int copies(List<BlockRun> runs) {
        int copies = 0;
        int sequence = -1;
        for (BlockRun run : runs) {
            copies += run.sequence() == sequence ? 0 : 1;
            sequence = run.sequence();
        }
        return copies;
    }

    private long bytes(Chunk.Part part) {
        return part.blocks() * geometry.blockLayerBytes(part.form().encoding());
    }

    /**
     * The blocks that the step fills and that go to one memory; the same in every layer.
     *
     * @param hasCodes whether some are coded
     */
    private record Closing(int blocks, long bytes, boolean hasCodes) {}

    private Closing closing(Place place) {
        int blocks = 0;
        long bytes = 0;
        boolean hasCodes = false;
        for (SequenceShape sequence : shape.sequences()) {
            for (CacheForm form : sequence.closing()) {
                if (form.place() == place) {
                    blocks++;
                    hasCodes |= form.encoding().isCoded();
                    bytes += geometry.blockLayerBytes(form.encoding());
                }
            }
        }
        return new Closing(blocks, bytes, hasCodes);
    }

    private int add(Stage stage, List<Integer> after) {
        stages.add(new PlannedStage(stages.size(), stage, after));
        return stages.size() - 1;
    }
}
