package io.weft.text.constraint;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A state of the deterministic automaton: where the text may be in the rules of one level of nesting, and which bytes
 * of a character were read. Made and changed by {@link Machine} alone. What it has learned may be read and changed by
 * several threads: whoever finds the same again finds an equal value.
 */
final class Level implements Move {
    /**
     * A character of which a part was read.
     *
     * @param value what the bytes read so far say of it
     * @param missing bytes, or hexadecimal digits, that are still to come; of white space, whether more may come
     * @param surrogate the first half of a character that is escaped as two, or 0
     */
    record Partial(Kind kind, int value, int missing, int surrogate) {
        static final Partial NONE = new Partial(Kind.NONE, 0, 0, 0);

        enum Kind {
            NONE,
            /** White space was read: its value is the spaces after a line feed, or -1 if it ends here. */
            SPACE,
            UTF8,
            /** After a backslash. */
            ESCAPE,
            /** After a backslash and u. */
            HEX,
            /** After the escape of the first half of a character. */
            SURROGATE,
            /** After that and a backslash. */
            SURROGATE_ESCAPE
        }
    }

    final Grammar.State[] states;
    final Partial partial;
    final boolean inString;

    /** Whether the whole text may end here. */
    final boolean complete;

    /** The transitions of all states: what finding a move costs. */
    final long edges;

    private final int hash;
    /** Index: byte. */
    private volatile @Nullable AtomicReferenceArray<@Nullable Move> moves;

    private volatile @Nullable Map<Move.Leave, Level> returns;
    private volatile @Nullable TokenSet tokens;
    private volatile @Nullable Map<Grammar.Rule, Integer> rests;

    /** @param states in the order of their ids; not empty */
    Level(Grammar.State[] states, Partial partial, Grammar.Rule root) {
        this.states = states;
        this.partial = partial;
        this.inString = states[0].inString;
        boolean ends = false;
        long count = 0;
        int h = partial.hashCode();
        for (Grammar.State state : states) {
            ends |= state.ends == root;
            count += state.edges.size();
            h = 31 * h + state.id;
        }
        this.complete = ends && partial.kind() == Partial.Kind.NONE;
        this.hash = h;
        this.edges = count;
    }

    /** Whether a part of a character was read. */
    boolean inCharacter() {
        return partial.kind() != Partial.Kind.NONE && partial.kind() != Partial.Kind.SPACE;
    }

    @Nullable
    Move known(int b) {
        AtomicReferenceArray<@Nullable Move> learned = moves;
        return learned == null ? null : learned.getAcquire(b);
    }

    void learn(int b, Move move) {
        AtomicReferenceArray<@Nullable Move> learned = moves;
        if (learned == null) {
            // Two threads may both make one: the moves in that which is lost are found again.
            learned = new AtomicReferenceArray<>(256);
            moves = learned;
        }
        learned.setRelease(b, move);
    }

    @Nullable
    Level knownReturn(Move.Leave leave) {
        Map<Move.Leave, Level> learned = returns;
        return learned == null ? null : learned.get(leave);
    }

    void learnReturn(Move.Leave leave, Level level) {
        Map<Move.Leave, Level> learned = returns;
        if (learned == null) {
            learned = new ConcurrentHashMap<>();
            returns = learned;
        }
        learned.put(leave, level);
    }

    /** The tokens that are allowed here. Of several threads that need them, one finds them, and the others wait. */
    TokenSet tokens(Supplier<TokenSet> find) {
        TokenSet known = tokens;
        if (known != null) {
            return known;
        }
        synchronized (this) {
            known = tokens;
            if (known == null) {
                known = find.get();
                tokens = known;
            }
            return known;
        }
    }

    /**
     * The fewest tokens from here to the end of each rule that may end next.
     *
     * @param escapable what a string of the vocabulary may escape
     */
    Map<Grammar.Rule, Integer> rests(CharClass escapable) {
        Map<Grammar.Rule, Integer> known = rests;
        if (known == null) {
            var found = new HashMap<Grammar.Rule, Integer>();
            for (Grammar.State state : states) {
                if (inCharacter()) {
                    for (Grammar.Edge edge : state.edges) {
                        if (edge.label() instanceof CharClass set) {
                            int rest = Machine.bytesLeft(partial, set, escapable);
                            Grammar.State target = edge.target();
                            if (rest > 0) {
                                found.merge(target.nearest(), rest + target.rest(), Math::min);
                            }
                        }
                    }
                } else {
                    found.merge(state.nearest(), state.rest(), Math::min);
                }
            }
            rests = found;
            return found;
        }
        return known;
    }

    /** Drops what can be computed again. */
    void forget() {
        rests = null;
        moves = null;
        returns = null;
        tokens = null;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Level that
                && hash == that.hash
                && partial.equals(that.partial)
                && Arrays.equals(states, that.states);
    }

    @Override
    public int hashCode() {
        return hash;
    }
}
