package io.weft.cache;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The tokens with which a sequence begins, and the names of its full blocks, which are made as they are asked for.
 * {@link KvCache#prompt} makes one.
 */
public final class Prompt {
    private final List<Integer> tokens;
    private final int maxTokens;
    private final @Nullable Names names;
    private boolean wasReadAhead;

    private Prompt(List<Integer> tokens, int maxTokens, @Nullable Names names) {
        this.tokens = tokens;
        this.maxTokens = maxTokens;
        this.names = names;
    }

    /**
     * @param salt on which the names depend
     * @param made what stands for the block before the first one, and the names of the first blocks
     */
    private record Names(BlockNaming naming, String salt, int blockTokens, List<BlockName> made) {}

    /** A prompt whose blocks have no names, so that they belong to its sequence alone. */
    public static Prompt unnamed(List<Integer> tokens, int maxTokens) {
        return new Prompt(tokens, maxTokens, null);
    }

    static Prompt named(List<Integer> tokens, int maxTokens, String salt, BlockNaming naming, int blockTokens) {
        List<BlockName> made = new ArrayList<>();
        made.add(naming.root(salt, maxTokens));
        return new Prompt(tokens, maxTokens, new Names(naming, salt, blockTokens, made));
    }

    /** The tokens that the sequence begins with. */
    public List<Integer> tokens() {
        return tokens;
    }

    /** The most tokens that the sequence may have. */
    public int maxTokens() {
        return maxTokens;
    }

    String salt() {
        return names == null ? "" : names.salt();
    }

    /** Whether the disk was asked for it: once is enough. */
    boolean wasReadAhead() {
        return wasReadAhead;
    }

    void setReadAhead() {
        wasReadAhead = true;
    }

    /** The number of blocks that may be known before: the last token has to run. */
    int knowableBlocks() {
        return names == null ? 0 : Math.max(0, tokens.size() - 1) / names.blockTokens();
    }

    /** The number of its full blocks. */
    int fullBlocks() {
        return names == null ? 0 : tokens.size() / names.blockTokens();
    }

    /** The name before that of block {@code block}, one of the prompt's; null if blocks have no names. */
    @Nullable
    BlockName nameBefore(int block) {
        if (names == null) {
            return null;
        }
        List<BlockName> made = names.made();
        while (made.size() <= block) {
            int from = (made.size() - 1) * names.blockTokens();
            made.add(nameAfter(made.getLast(), tokens.subList(from, from + names.blockTokens())));
        }
        return made.get(block);
    }

    /**
     * Whether the first {@code blocks} blocks are those of another prompt. Names are made only as far as they agree.
     */
    boolean beginsLike(Prompt other, int blocks) {
        // A name depends on all that is before it. Most prompts differ early.
        for (int agreeing = 1; agreeing < blocks; agreeing *= 2) {
            if (!Objects.equals(nameBefore(agreeing), other.nameBefore(agreeing))) {
                return false;
            }
        }
        return Objects.equals(nameBefore(blocks), other.nameBefore(blocks));
    }

    /** The name of the block with these tokens after the one with that name. */
    BlockName nameAfter(BlockName before, List<Integer> ofBlock) {
        if (names == null) {
            throw new IllegalStateException("blocks of this prompt have no names");
        }
        return names.naming().next(before, ofBlock);
    }
}
