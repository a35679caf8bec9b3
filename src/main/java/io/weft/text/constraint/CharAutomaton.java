package io.weft.text.constraint;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A finite automaton over characters, not deterministic and without empty transitions. State 0 is the first. Every
 * state lies on a way from the first to an accepting one; an automaton that accepts nothing has one state and no arcs.
 *
 * <p>It is never made deterministic as a whole, which may take exponential time: {@link Machine} does that along the
 * text.
 */
final class CharAutomaton {
    /** States of one automaton, and arcs. */
    static final int STATES_MAX = 100_000;

    private static final int ARCS_MAX = 400_000;

    /** Units of {@link Work} for one automaton. */
    private static final long COST_MAX = 10_000_000;

    record Arc(CharClass on, int to) {}

    private final List<List<Arc>> arcs;
    private final BitSet accepting;
    private final long cost;

    private CharAutomaton(List<List<Arc>> arcs, BitSet accepting, long cost) {
        this.arcs = arcs;
        this.accepting = accepting;
        this.cost = cost;
    }

    /** Units of work that it took to make, also for states that were left out again. */
    long cost() {
        return cost;
    }

    int states() {
        return arcs.size();
    }

    List<Arc> arcs(int state) {
        return arcs.get(state);
    }

    boolean accepting(int state) {
        return accepting.get(state);
    }

    /** Whether no text is accepted. */
    boolean isEmpty() {
        return accepting.isEmpty();
    }

    /** Adds states and arcs, counting them. */
    static final class Builder {
        private final List<List<Arc>> arcs = new ArrayList<>();
        private final BitSet accepting = new BitSet();
        private int arcCount;
        private long cost;

        /** What the automata cost that this one is made of. */
        private long before;

        void spend(long units) {
            cost += units;
            if (cost > COST_MAX) {
                throw new ConstraintException("an expression or a length takes too much work");
            }
        }

        int state() {
            spend(10);
            if (arcs.size() >= STATES_MAX) {
                throw new ConstraintException("an expression or a length needs more than " + STATES_MAX + " states");
            }
            arcs.add(new ArrayList<>(2));
            return arcs.size() - 1;
        }

        void arc(int from, CharClass on, int to) {
            if (on.isEmpty()) {
                return;
            }
            spend(4);
            if (++arcCount > ARCS_MAX) {
                throw new ConstraintException("an expression or a length needs more than " + ARCS_MAX + " transitions");
            }
            arcs.get(from).add(new Arc(on, to));
        }

        void accept(int state) {
            accepting.set(state);
        }

        /** Leaves out the states on no way from state 0 to an accepting one. */
        CharAutomaton build() {
            var sources = new ArrayList<List<Integer>>();
            arcs.forEach(_ -> sources.add(new ArrayList<>(2)));
            for (int state = 0; state < arcs.size(); state++) {
                for (Arc arc : arcs.get(state)) {
                    sources.get(arc.to()).add(state);
                }
            }
            var alive = (BitSet) accepting.clone();
            var open = new ArrayDeque<Integer>();
            alive.stream().forEach(open::add);
            while (!open.isEmpty()) {
                for (int source : sources.get(open.pop())) {
                    if (!alive.get(source)) {
                        alive.set(source);
                        open.add(source);
                    }
                }
            }
            var numbers = new HashMap<Integer, Integer>();
            var order = new ArrayList<Integer>();
            numbers.put(0, 0);
            order.add(0);
            var built = new ArrayList<List<Arc>>();
            var accepted = new BitSet();
            for (int number = 0; number < order.size(); number++) {
                int state = order.get(number);
                accepted.set(number, accepting.get(state));
                var kept = new ArrayList<Arc>(arcs.get(state).size());
                for (Arc arc : arcs.get(state)) {
                    if (alive.get(arc.to())) {
                        int to = numbers.computeIfAbsent(arc.to(), _ -> {
                            order.add(arc.to());
                            return order.size() - 1;
                        });
                        kept.add(new Arc(arc.on(), to));
                    }
                }
                built.add(kept);
            }
            return new CharAutomaton(built, accepted, cost + before);
        }
    }

    /** These texts and no others. */
    static CharAutomaton texts(Collection<String> texts) {
        return trie(texts, false);
    }

    /** All texts but these. */
    static CharAutomaton textsExcept(Collection<String> texts) {
        return trie(texts, true);
    }

    private static CharAutomaton trie(Collection<String> texts, boolean complement) {
        var builder = new Builder();
        builder.state();
        var children = new ArrayList<Map<Integer, Integer>>();
        children.add(new TreeMap<>());
        var ends = new BitSet();
        for (String text : texts) {
            int state = 0;
            for (int c : (Iterable<Integer>) text.codePoints()::iterator) {
                Integer next = children.get(state).get(c);
                if (next == null) {
                    next = builder.state();
                    children.add(new TreeMap<>());
                    children.get(state).put(c, next);
                    // A surrogate without its other half is no character, and no text has it.
                    builder.arc(state, CharClass.of(c), next);
                }
                state = next;
            }
            ends.set(state);
        }
        if (!complement) {
            ends.stream().forEach(builder::accept);
            return builder.build();
        }
        int other = builder.state();
        builder.accept(other);
        builder.arc(other, CharClass.ANY, other);
        for (int state = 0; state < children.size(); state++) {
            var taken = new ArrayList<CharClass>();
            children.get(state).keySet().forEach(c -> taken.add(CharClass.of(c)));
            builder.arc(state, CharClass.union(taken).complement(), other);
            if (!ends.get(state)) {
                builder.accept(state);
            }
        }
        return builder.build();
    }

    /** All texts of at least, and at most, so many characters; at most {@code Integer.MAX_VALUE} is no limit. */
    static CharAutomaton length(int min, int max) {
        var builder = new Builder();
        int state = builder.state();
        boolean endless = max == Integer.MAX_VALUE;
        for (int i = 0; i < (endless ? min : max); i++) {
            if (i >= min) {
                builder.accept(state);
            }
            int next = builder.state();
            builder.arc(state, CharClass.ANY, next);
            state = next;
        }
        if (min <= max) {
            builder.accept(state);
        }
        if (endless) {
            builder.arc(state, CharClass.ANY, state);
        }
        return builder.build();
    }

    /** The texts that both accept. */
    CharAutomaton and(CharAutomaton other) {
        var builder = new Builder();
        builder.before = cost + other.cost;
        var numbers = new HashMap<Long, Integer>();
        var pairs = new ArrayList<long[]>();
        numbers.put(0L, builder.state());
        pairs.add(new long[] {0, 0});
        for (int number = 0; number < pairs.size(); number++) {
            int left = (int) pairs.get(number)[0];
            int right = (int) pairs.get(number)[1];
            if (accepting(left) && other.accepting(right)) {
                builder.accept(number);
            }
            for (Arc a : arcs(left)) {
                builder.spend(4L * other.arcs(right).size());
                for (Arc b : other.arcs(right)) {
                    CharClass on = a.on().and(b.on());
                    if (!on.isEmpty()) {
                        long key = ((long) a.to() << 32) | b.to();
                        Integer to = numbers.get(key);
                        if (to == null) {
                            to = builder.state();
                            numbers.put(key, to);
                            pairs.add(new long[] {a.to(), b.to()});
                        }
                        builder.arc(number, on, to);
                    }
                }
            }
        }
        return builder.build();
    }

    /**
     * The texts that this one does not accept. It is made deterministic as a whole for that.
     *
     * @throws ConstraintException if that takes too much work
     */
    CharAutomaton complement() {
        var builder = new Builder();
        builder.before = cost;
        var numbers = new HashMap<BitSet, Integer>();
        var sets = new ArrayList<BitSet>();
        var first = new BitSet();
        first.set(0);
        numbers.put(first, builder.state());
        sets.add(first);
        for (int number = 0; number < sets.size(); number++) {
            BitSet set = sets.get(number);
            if (!set.intersects(accepting)) {
                builder.accept(number);
            }
            List<Arc> leaving =
                    set.stream().mapToObj(this::arcs).flatMap(List::stream).toList();
            for (CharClass part : parts(leaving, builder)) {
                var next = new BitSet();
                builder.spend(leaving.size());
                leaving.stream().filter(arc -> arc.on().contains(part.first())).forEach(arc -> next.set(arc.to()));
                Integer to = numbers.get(next);
                if (to == null) {
                    to = builder.state();
                    numbers.put(next, to);
                    sets.add(next);
                }
                builder.arc(number, part, to);
            }
        }
        return builder.build();
    }

    /** All characters, divided so that the members of a part are read by the same arcs. */
    private static List<CharClass> parts(List<Arc> arcs, Builder builder) {
        List<CharClass> parts = List.of(CharClass.ANY);
        for (CharClass set : arcs.stream().map(Arc::on).distinct().toList()) {
            var divided = new ArrayList<CharClass>();
            for (CharClass part : parts) {
                builder.spend(10);
                divided.add(part.and(set));
                divided.add(part.without(set));
            }
            divided.removeIf(CharClass::isEmpty);
            parts = divided;
        }
        return parts;
    }

    /** The texts that one of them accepts. */
    static CharAutomaton union(List<CharAutomaton> automata) {
        if (automata.size() == 1) {
            return automata.getFirst();
        }
        var builder = new Builder();
        builder.before = automata.stream().mapToLong(CharAutomaton::cost).sum();
        builder.state();
        for (CharAutomaton one : automata) {
            int offset = builder.arcs.size();
            for (int state = 0; state < one.states(); state++) {
                builder.state();
            }
            for (int state = 0; state < one.states(); state++) {
                for (Arc arc : one.arcs(state)) {
                    builder.arc(offset + state, arc.on(), offset + arc.to());
                    if (state == 0) {
                        builder.arc(0, arc.on(), offset + arc.to());
                    }
                }
                if (one.accepting(state)) {
                    builder.accept(offset + state);
                    if (state == 0) {
                        builder.accept(0);
                    }
                }
            }
        }
        return builder.build();
    }

    boolean accepts(String text) {
        var states = new BitSet();
        states.set(0);
        for (int c : (Iterable<Integer>) text.codePoints()::iterator) {
            var next = new BitSet();
            states.stream()
                    .forEach(state -> arcs(state).stream()
                            .filter(arc -> arc.on().contains(c))
                            .forEach(arc -> next.set(arc.to())));
            states = next;
        }
        return states.intersects(accepting);
    }
}
