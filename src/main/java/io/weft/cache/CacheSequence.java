package io.weft.cache;

import io.weft.device.DeviceBuffer;
import io.weft.model.CacheForm;
import io.weft.model.Encoding;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * The cached tokens of one sequence: full blocks, which it may share, then open blocks. A step first {@linkplain #open
 * opens} blocks for its tokens, runs, and then {@linkplain #commit commits} them.
 *
 * <p>The last tokens of a step may be drafts, of which only some turn out to be the sequence's. So they fill no block
 * in that step: where they are accepted, the open blocks may hold more than a block's tokens, until the next step. The
 * next tokens take the places of those that are not.
 *
 * <p>A full block whose home is on the host may have a copy in device memory that nobody else needs, so that it need
 * not cross the link. A full block never changes, so giving back a copy means forgetting it.
 */
public final class CacheSequence implements AutoCloseable {
    private final KvCache cache;
    private final Prompt prompt;
    private final IntFunction<List<CacheForm>> preferences;
    private final WindowRing ring;
    private final Beginning beginning;
    /** Full ones, then those that the coming step fills. */
    private final List<Block> blocks;

    private final HostPool.Cursors cursors = new HostPool.Cursors();

    /** Copies that the current step makes. */
    private final List<Arrival> arrivals = new ArrayList<>();

    private final Deque<DeviceBuffer> openBlocks = new ArrayDeque<>();
    /** What the next block is named after; null if blocks have no names. */
    private @Nullable BlockName lastName;
    /** Of the open blocks, if blocks have names. */
    private final List<Integer> openTokenIds = new ArrayList<>();

    private int closedBlocks;
    /** Blocks that the coming step fills, for which it was opened. */
    private int closingBlocks;

    /** Which of these do not fit their codes, by index. */
    private IntPredicate misfits = CacheSequence::fits;

    private int openTokens;
    /** The tokens that steps may have written to the ring. */
    private int writtenTokens;

    private boolean ringIsFilled;
    private boolean freed;

    /**
     * What was known of a sequence.
     *
     * @param blocks with which it begins
     * @param windowPieces of the last of them, to fill its ring
     * @param knownBlocks of its prompt: more than {@code blocks} if no ring was kept of their end
     */
    record Beginning(List<Block> blocks, List<WindowPiece> windowPieces, int knownBlocks) {
        Beginning {
            blocks = List.copyOf(blocks);
        }
    }

    CacheSequence(
            KvCache cache,
            Prompt prompt,
            IntFunction<List<CacheForm>> preferences,
            Beginning beginning,
            WindowRing ring) {
        this.cache = cache;
        this.prompt = prompt;
        this.preferences = preferences;
        this.beginning = beginning;
        this.blocks = new ArrayList<>(beginning.blocks());
        this.closedBlocks = blocks.size();
        this.lastName = prompt.nameBefore(closedBlocks);
        this.writtenTokens = tokens();
        this.ring = ring;
    }

    /**
     * A copy that the next step makes.
     *
     * @param block index of the block
     * @param from the block's home
     * @param to device memory for the copy
     */
    public record Arrival(int block, BlockHome.OnHost from, BlockHome.OnDevice to) {}

    /** No block is a misfit. */
    private static boolean fits(int block) {
        return false;
    }

    /** The tokens for which the sequence was admitted. */
    public int maxTokens() {
        return prompt.maxTokens();
    }

    /** The number of cached tokens. */
    public int tokens() {
        return closedBlocks * blockTokens() + openTokens;
    }

    /** The tokens of known blocks with which it began. */
    public int cachedTokens() {
        return beginning.blocks().size() * blockTokens();
    }

    /** The number of full blocks. */
    public int closedBlocks() {
        return closedBlocks;
    }

    /** The number of cached tokens after the full blocks: more than a block's only after accepted drafts. */
    public int openTokens() {
        return openTokens;
    }

    List<Block> blocks() {
        return List.copyOf(blocks);
    }

    /** The home of block {@code block}, which is full, or which the coming step fills. */
    public BlockHome home(int block) {
        return blocks.get(block).home();
    }

    /** Where a step reads block {@code block}: its copy on the device if it has one, else its home. */
    public BlockHome place(int block) {
        return blocks.get(block).place();
    }

    /** Forms in which a step reads the blocks {@code [from, to)}. */
    public List<CacheForm> forms(int from, int to) {
        List<CacheForm> forms = new ArrayList<>(to - from);
        for (int block = from; block < to; block++) {
            forms.add(place(block).form());
        }
        return forms;
    }

    /** The number of blocks that the coming step fills, for which it was opened. */
    public int closingBlocks() {
        return closingBlocks;
    }

    /** Whether not all full blocks of its prompt are cached. */
    public boolean fillsPrompt() {
        return closedBlocks < prompt.fullBlocks();
    }

    /** Whether it is about to fill blocks of its prompt with which a sequence of that prompt could begin. */
    public boolean fillsFor(Prompt other) {
        if (!fillsPrompt()) {
            return false;
        }
        if (ring.blocks() > 0) {
            // Others can go on where its ring is kept, which is at the end of its prompt, or a block before.
            return sharesBeginning(other, Math.max(1, prompt.fullBlocks() - 1));
        }
        return sharesBeginning(other, closedBlocks + 1)
                && cache.find(prompt.nameBefore(closedBlocks + 1)).isEmpty();
    }

    private boolean sharesBeginning(Prompt other, int blocks) {
        return blocks > 0 && blocks <= other.knowableBlocks() && other.beginsLike(prompt, blocks);
    }

    /** Takes memory for {@code newTokens} more tokens, none of them drafted. */
    public boolean open(int newTokens) {
        return open(newTokens, 0);
    }

    /**
     * Takes memory so that {@code newTokens} more tokens have a place: open blocks, and homes for the blocks that they
     * fill. Blocks that nobody uses give way, and copies.
     *
     * @param drafted the last of them, which fill no block
     * @return whether there is memory; if not, the sequence is as before
     * @throws IllegalStateException if the sequence was admitted for fewer tokens
     */
    public boolean open(int newTokens, int drafted) {
        int closing = (openTokens + newTokens - drafted) / blockTokens();
        if (tokens() + newTokens > maxTokens()) {
            throw new IllegalStateException("sequence of " + tokens() + " tokens was admitted for " + maxTokens()
                    + " tokens, no room for " + newTokens + " more");
        }
        int before = blocks.size();
        for (int block = before; block < closedBlocks + closing; block++) {
            Optional<Block> taken = cache.takeBlock(preferences.apply(block), cursors);
            if (taken.isEmpty()) {
                giveBackFrom(before);
                return false;
            }
            blocks.add(taken.get());
        }
        int wanted = Math.ceilDiv(openTokens + newTokens, blockTokens());
        while (openBlocks.size() < wanted) {
            openBlocks.addLast(cache.takeOpen());
        }
        writtenTokens = Math.max(writtenTokens, tokens() + newTokens);
        closingBlocks = closing;
        return true;
    }

    /** The last first, so that the beginning of a chain is the youngest. */
    private void giveBackFrom(int first) {
        while (blocks.size() > first) {
            cache.release(blocks.removeLast());
        }
    }

    /** The open blocks, in token order: block {@link #closedBlocks} and those after it. */
    public List<DeviceBuffer> openBlocks() {
        return List.copyOf(openBlocks);
    }

    /**
     * Takes device memory for copies of full blocks that are read from the host, as far as there is some. The next step
     * of this sequence makes the copies, which are for all that share the blocks.
     */
    public void promote(int firstBlock, int count) {
        for (int i = firstBlock; i < firstBlock + count; i++) {
            if (i >= closedBlocks || !(place(i) instanceof BlockHome.OnHost from)) {
                throw new IllegalArgumentException("block " + i + " is not full, or not read from the host");
            }
            Block block = blocks.get(i);
            // Another sequence may have asked for the same.
            if (!block.isArriving()) {
                Optional<BlockHome.OnDevice> to = cache.takeCopy(from.form().encoding());
                if (to.isEmpty()) {
                    return;
                }
                block.setArriving(true);
                arrivals.add(new Arrival(i, from, to.get()));
            }
        }
    }

    /** The copies that the next step makes. */
    public List<Arrival> arrivals() {
        return List.copyOf(arrivals);
    }

    /**
     * Says how to find out, once the coming step has ended, which of the blocks that it fills do not fit their codes.
     *
     * @param test of the index among the blocks that the step fills
     */
    public void findMisfits(IntPredicate test) {
        misfits = test;
    }

    /**
     * Counts tokens as cached, once the step that wrote them has ended, and frees the open blocks that are now in their
     * homes. From now on, steps read the copies that this step made.
     *
     * <p>A block that does not fit its codes gets another home, to which the next step copies it first. If there is no
     * memory for that, the sequence has only the tokens before it, and those after them have to run again.
     *
     * @param accepted the first of the new tokens, without the drafted ones that are not the sequence's
     * @throws IllegalArgumentException if they do not fill the blocks that the step has filled
     */
    public void commit(List<Integer> accepted) {
        int closedBefore = closedBlocks;
        int closing = closingBlocks;
        if (openTokens + accepted.size() < closing * blockTokens()) {
            throw new IllegalArgumentException(openTokens + " open and " + accepted.size()
                    + " accepted tokens do not fill the " + closing + " blocks that the step has filled");
        }
        releaseBeginning();
        for (Arrival arrival : arrivals) {
            Block block = blocks.get(arrival.block());
            block.setArriving(false);
            cache.copied(block, arrival.to());
        }
        arrivals.clear();
        openTokens += accepted.size();
        if (lastName != null) {
            openTokenIds.addAll(accepted);
        }
        boolean isKept = true;
        for (int i = 0; i < closing && isKept; i++) {
            isKept = close(blocks.get(closedBlocks), i);
        }
        if (!isKept) {
            loseOpenTokens();
        }
        closingBlocks = 0;
        misfits = CacheSequence::fits;
        while (openBlocks.size() > Math.ceilDiv(openTokens, blockTokens())) {
            cache.giveBackOpen(openBlocks.removeLast());
        }
        for (int end : List.of(prompt.fullBlocks(), beginning.knownBlocks())) {
            if (end > closedBefore && end <= closedBlocks) {
                keepRing(end);
            }
        }
    }

    /**
     * Closes the first open block.
     *
     * @param index among those that the step has filled
     * @return false if it cannot be kept
     */
    private boolean close(Block block, int index) {
        DeviceBuffer open = openBlocks.getFirst();
        if (mayMisfit(block.home().form().encoding())) {
            boolean isMisfit = misfits.test(index);
            cache.noteFit(isMisfit);
            if (isMisfit && !cache.storeRaw(block, open, cursors)) {
                return false;
            }
        }
        openBlocks.removeFirst();
        cache.giveBackOpen(open);
        openTokens -= blockTokens();
        name(block);
        closedBlocks++;
        return true;
    }

    private static boolean mayMisfit(Encoding encoding) {
        return encoding.isCoded() && encoding.isExact();
    }

    /** Only the tokens of full blocks stay, and not even these if their next token sees some that its ring lost. */
    private void loseOpenTokens() {
        // It would be the same the next time.
        cache.codeNoMore();
        openTokens = 0;
        openTokenIds.clear();
        if (ring.blocks() > 0 && cache.firstWindowBlock(closedBlocks) < firstRingBlock()) {
            closedBlocks = 0;
            lastName = prompt.nameBefore(0);
        }
        giveBackFrom(closedBlocks);
    }

    /** The first block that the ring still has. */
    private int firstRingBlock() {
        return (writtenTokens - 1) / blockTokens() - ring.blocks() + 1;
    }

    /**
     * Keeps what the ring has before the end of a block, so that others can go on from there, or a block earlier. Where
     * they will want to is not known: at the end of a prompt, where two prompts part, and at the end of the sequence.
     */
    private void keepRing(int end) {
        if (ring.blocks() == 0 || end == 0) {
            return;
        }
        int first = Math.max(
                Math.max(
                        cache.firstWindowBlock(end - 1),
                        cache.firstWindowBlock(beginning.blocks().size())),
                firstRingBlock());
        long before = cache.stamp();
        boolean isKept = true;
        for (int block = first; block < end && isKept; block++) {
            isKept = cache.keep(known(block), ring.block(block), before);
        }
    }

    /** The block that others find: not this sequence's own one, if another had filled the same before. */
    private Block known(int block) {
        Block own = blocks.get(block);
        return own.hasName() || block >= prompt.fullBlocks()
                ? own
                : cache.find(prompt.nameBefore(block + 1)).orElse(own);
    }

    private void releaseBeginning() {
        if (!ringIsFilled) {
            ringIsFilled = true;
            cache.release(this, beginning.windowPieces());
        }
    }

    private void name(Block block) {
        if (lastName != null) {
            List<Integer> ofBlock = openTokenIds.subList(0, blockTokens());
            lastName = prompt.nameAfter(lastName, ofBlock);
            ofBlock.clear();
            cache.name(block, lastName, prompt.salt());
        }
    }

    /** Gives everything back, except that blocks with a name stay known; no step may be using it. */
    @Override
    public void close() {
        if (!freed) {
            freed = true;
            for (Arrival arrival : arrivals) {
                blocks.get(arrival.block()).setArriving(false);
                cache.giveBackCopy(arrival.to());
            }
            arrivals.clear();
            cache.leave(cursors);
            releaseBeginning();
            keepRing(closedBlocks);
            giveBackFrom(0);
            cache.free(ring);
            openBlocks.forEach(cache::giveBackOpen);
            openBlocks.clear();
        }
    }

    /** Its newest tokens in the layers with a window. */
    public WindowRing ring() {
        return ring;
    }

    /** Tokens of a block. */
    public int blockTokens() {
        return cache.geometry().blockTokens();
    }
}
