package io.weft.cache;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tokens with which a sequence begins, and the names of its full blocks, which are made as they are asked for.
 * {@link KvCache#prompt} makes one.
 */
public final class Prompt {
    private final List<Integer> tokens;
    private final int maxTokens;
    private final @Nullable Names names;

    private Prompt(List<Integer> tokens, int maxTokens, @Nullable Names names) {
        this.tokens = tokens;
        this.maxTokens = maxTokens;
        this.names = names;
    }

    /**
     * @param salt on which the names depend
     * @param root stands for the block before the first one
     * @param made names of the first blocks
     */
    private record Names(BlockNaming naming, String salt, BlockName root, List<BlockName> made) {}

    /** A prompt whose blocks have no names, so that they belong to its sequence alone. */
    public static Prompt unnamed(List<Integer> tokens, int maxTokens) {
        return new Prompt(tokens, maxTokens, null);
    }

    static Prompt named(List<Integer> tokens, int maxTokens, String salt, BlockNaming naming) {
        return new Prompt(tokens, maxTokens, new Names(naming, salt, naming.root(salt, maxTokens), new ArrayList<>()));
    }

    /** The tokens that the sequence begins with. */
    public List<Integer> tokens() {
        return tokens;
    }

    /** The most tokens that the sequence may have. */
    public int maxTokens() {
        return maxTokens;
    }
}
