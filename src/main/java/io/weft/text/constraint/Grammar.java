package io.weft.text.constraint;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Rules that describe texts. A rule is a finite automaton whose transitions are characters, or calls of other rules.
 *
 * <p>The first rule describes the text. Every other rule is a JSON object or array: it is called by its opening brace
 * or bracket, which the call reads, and its last transition reads the closing one. So the text alone says where calls
 * begin and end, which makes the grammar a <em>visibly pushdown</em> one (Alur and Madhusudan, STOC 2004): however much
 * its alternatives overlap, it can be made deterministic.
 */
final class Grammar {
    /** States of all rules. */
    private static final int STATES_MAX = 200_000;

    private static final int EDGES_MAX = 800_000;

    /** No token. */
    static final int NONE = -1;

    /** Characters that are looked at from each state, to find tokens of fixed text. */
    private static final int WORD_STEPS_MAX = 64;

    /** And from all states. After that, fixed text counts a token a byte. */
    private static final int ALL_WORD_STEPS_MAX = 100_000;

    /** What a transition reads. */
    sealed interface Label permits CharClass, Quote, Call, Token {}

    /** The quotation mark that ends a JSON string. */
    record Quote() implements Label {}

    /** A whole object or array. */
    record Call(Rule rule) implements Label {}

    /** A control token, which adds no text. */
    record Token(int id) implements Label {}

    record Edge(Label label, State target) {}

    /** @see Grammar */
    static final class Rule {
        final int index;

        /** The byte that calls this rule; 0 for the first rule. */
        final byte opening;

        final State start;
        final State end;

        private Rule(int index, byte opening, State start, State end) {
            this.index = index;
            this.opening = opening;
            this.start = start;
            this.end = end;
        }
    }

    static final class State {
        final int id;

        /** Whether this is inside a JSON string: characters are read from it with their escapes. */
        final boolean inString;

        /** Whether white space may come first. */
        final boolean spaceBefore;

        List<Edge> edges = new ArrayList<>(2);
        private final List<State> empty = new ArrayList<>(1);

        @Nullable
        Rule ends;

        private State[] closure = {};
        private int rest;
        private int word = NONE;
        private @Nullable Rule nearest;

        private State(int id, boolean inString, boolean spaceBefore) {
            this.id = id;
            this.inString = inString;
            this.spaceBefore = spaceBefore;
        }

        /**
         * The fewest tokens that are known to lead from here to the end of a rule, {@link #nearest}: one for each piece
         * of fixed text that is a token, and one for each other byte.
         */
        int rest() {
            return rest;
        }

        /** The first of these tokens if it has more than a byte, else {@link #NONE}. */
        int word() {
            return word;
        }

        Rule nearest() {
            if (nearest == null) {
                throw new IllegalStateException("state " + id + " leads to no end");
            }
            return nearest;
        }

        /** This state and those that are reached without reading, as far as they can read, or end a rule. */
        State[] closure() {
            return closure;
        }
    }

    private static final Quote QUOTE = new Quote();

    private final List<State> states = new ArrayList<>();
    private final List<Rule> rules = new ArrayList<>();
    private final Map<CharClass, CharClass> classes = new HashMap<>();
    private int edgeCount;

    /** Whether texts are JSON: braces and brackets outside strings call rules. */
    Grammar() {
        rule((byte) 0, false);
    }

    Rule root() {
        return rules.getFirst();
    }

    /** The number of states. */
    int size() {
        return states.size();
    }

    State state(int id) {
        return states.get(id);
    }

    /** A state outside strings. */
    State state() {
        return add(false, false);
    }

    /** A state outside strings before which there may be white space. */
    State spacedState() {
        return add(false, true);
    }

    private State add(boolean inString, boolean spaceBefore) {
        if (states.size() >= STATES_MAX) {
            throw new ConstraintException("the constraint needs more than " + STATES_MAX + " states");
        }
        var state = new State(states.size(), inString, spaceBefore);
        states.add(state);
        return state;
    }

    /** A new rule, whose states are still to be joined. */
    Rule rule(char opening) {
        return rule((byte) opening, true);
    }

    private Rule rule(byte opening, boolean spaced) {
        var rule = new Rule(rules.size(), opening, add(false, spaced), add(false, false));
        rule.end.ends = rule;
        rules.add(rule);
        return rule;
    }

    void empty(State from, State to) {
        count();
        from.empty.add(to);
    }

    void read(State from, char character, State to) {
        edge(from, CharClass.of(character), to);
    }

    void read(State from, CharClass characters, State to) {
        edge(from, characters, to);
    }

    /** Outside objects, arrays and strings. */
    void token(State from, int id, State to) {
        edge(from, new Token(id), to);
    }

    void call(State from, Rule rule, State to) {
        edge(from, new Call(rule), to);
    }

    private void edge(State from, Label label, State to) {
        count();
        Label shared = label instanceof CharClass set ? classes.computeIfAbsent(set, own -> own) : label;
        from.edges.add(new Edge(shared, to));
    }

    private void count() {
        if (++edgeCount > EDGES_MAX) {
            throw new ConstraintException("the constraint needs more than " + EDGES_MAX + " transitions");
        }
    }

    /** A text as it is. */
    void text(State from, CharAutomaton automaton, State to) {
        embed(from, automaton, false, to);
    }

    /** A JSON string with this content, from its first quotation mark to its last. */
    void string(State from, CharAutomaton content, State to) {
        State start = add(true, false);
        State end = add(true, false);
        read(from, '"', start);
        embed(start, content, true, end);
        edge(end, QUOTE, to);
    }

    private void embed(State from, CharAutomaton automaton, boolean inString, State to) {
        int offset = states.size();
        for (int i = 0; i < automaton.states(); i++) {
            add(inString, false);
        }
        empty(from, states.get(offset));
        for (int i = 0; i < automaton.states(); i++) {
            for (CharAutomaton.Arc arc : automaton.arcs(i)) {
                edge(states.get(offset + i), arc.on(), states.get(offset + arc.to()));
            }
            if (automaton.accepting(i)) {
                empty(states.get(offset + i), to);
            }
        }
    }

    /**
     * Leaves out what leads to no end, so that whatever is left can be ended.
     *
     * @param vocabulary what needs a byte for which it has no token alone leads to no end
     * @throws ConstraintException if nothing is left
     */
    void finish(Vocabulary vocabulary) {
        restrict(vocabulary::writes);
        removeDead();
        findRests(vocabulary.trie());
        for (State state : states) {
            closeOver(state);
        }
    }

    /** The largest {@link State#rest}. */
    int restMost() {
        return restMost;
    }

    /** A way to a state: what it costs besides the state's rest, and besides that of a rule's start if it calls one. */
    private record Way(State from, int cost, @Nullable Rule called, State to, int word) {
        /** No sum of these overflows. */
        static final int REST_MOST = 1 << 28;

        Way(State from, int cost, @Nullable Rule called, State to) {
            this(from, cost, called, to, NONE);
        }

        int rest() {
            long called = this.called == null ? 0 : this.called.start.rest;
            return (int) Math.min(REST_MOST, cost + called + to.rest);
        }

        boolean isKnown() {
            return to.nearest != null && (called == null || called.start.nearest != null);
        }
    }

    /** Knuth's generalization of Dijkstra's algorithm (Information Processing Letters 6, 1977). */
    private void findRests(Trie trie) {
        var ways = new IdentityHashMap<State, List<Way>>();
        int wordSteps = ALL_WORD_STEPS_MAX;
        for (State state : states) {
            int most = Math.min(wordSteps, WORD_STEPS_MAX);
            wordSteps -= most - new Words(state, trie, ways).find(state, NONE, 0, most);
            for (State next : state.empty) {
                ways.computeIfAbsent(next, _ -> new ArrayList<>(2)).add(new Way(state, 0, null, next));
            }
            for (Edge edge : state.edges) {
                Way way = switch (edge.label()) {
                    case CharClass set -> new Way(state, bytes(set, state.inString), null, edge.target());
                    case Quote quote -> new Way(state, 1, null, edge.target());
                    case Token token -> new Way(state, 1, null, edge.target());
                    // The call reads the opening brace, and the rule the closing one.
                    case Call(Rule rule) -> new Way(state, 1, rule, edge.target());
                };
                ways.computeIfAbsent(edge.target(), _ -> new ArrayList<>(2)).add(way);
                if (way.called() != null) {
                    ways.computeIfAbsent(way.called().start, _ -> new ArrayList<>(2))
                            .add(way);
                }
            }
        }
        record Found(State state, int rest, Rule nearest, int word) {}
        var open = new PriorityQueue<Found>(Comparator.comparingInt(Found::rest));
        rules.forEach(rule -> open.add(new Found(rule.end, 0, rule, NONE)));
        while (!open.isEmpty()) {
            Found found = open.remove();
            State state = found.state();
            if (state.nearest != null) {
                continue;
            }
            state.rest = found.rest();
            state.nearest = found.nearest();
            state.word = found.word();
            restMost = Math.max(restMost, state.rest);
            for (Way way : ways.getOrDefault(state, List.of())) {
                if (way.from().nearest == null && way.isKnown()) {
                    open.add(new Found(way.from(), way.rest(), way.to().nearest(), way.word()));
                }
            }
        }
    }

    /** Finds the tokens of more than a byte that are fixed text after a state. */
    private record Words(State from, Trie trie, Map<State, List<Way>> ways) {
        /**
         * @param node of the trie, at which the text between the states ends
         * @param bytes of this text
         * @return the steps that are left
         */
        int find(State at, int node, int bytes, int stepsLeft) {
            int left = stepsLeft;
            for (State next : at.empty) {
                left = left > 0 ? find(next, node, bytes, left - 1) : 0;
            }
            for (Edge edge : at.edges) {
                byte[] text = fixed(edge.label(), at.inString);
                int reached = left > 0 && text.length > 0 ? trie.after(node, text) : NONE;
                if (reached != NONE) {
                    int read = bytes + text.length;
                    int word = trie.tokenAt(reached);
                    if (word != NONE && read > 1) {
                        ways.computeIfAbsent(edge.target(), _ -> new ArrayList<>(2))
                                .add(new Way(from, 1, null, edge.target(), word));
                    }
                    left = find(edge.target(), reached, read, left - 1);
                }
            }
            return left;
        }

        /** The only text that a transition reads; empty if there are others, or it calls a rule. */
        private static byte[] fixed(Label label, boolean inString) {
            return switch (label) {
                case CharClass set ->
                    set.size() == 1 && !(inString && set.overlaps(CharClass.ESCAPED))
                            ? Character.toString(set.first()).getBytes(StandardCharsets.UTF_8)
                            : NOTHING;
                case Quote quote -> QUOTATION_MARK;
                case Call call -> NOTHING;
                case Token token -> NOTHING;
            };
        }

        private static final byte[] NOTHING = {};
        private static final byte[] QUOTATION_MARK = {'"'};
    }

    /** The fewest bytes that write one of these characters. */
    private static int bytes(CharClass set, boolean inString) {
        CharClass plain = inString ? set.without(CharClass.ESCAPED) : set;
        if (!plain.isEmpty()) {
            int first = plain.first();
            return first < 0x80 ? 1 : first < 0x800 ? 2 : first < 0x10000 ? 3 : 4;
        }
        return set.overlaps(Machine.LETTERED) ? 2 : Machine.ESCAPE_BYTES;
    }

    private void restrict(IntPredicate writable) {
        CharClass plain = CharClass.NONE;
        for (int b = 0; b < 0x80; b++) {
            plain = writable.test(b) ? plain.or(CharClass.of(b)) : plain;
        }
        boolean all = true;
        for (int b = 0x80; b < 0xF5; b++) {
            all &= b == 0xC0 || b == 0xC1 || writable.test(b);
        }
        if (all) {
            plain = plain.or(CharClass.ASCII.complement());
        }
        if (plain.equals(CharClass.ANY)) {
            return;
        }
        CharClass string = plain.without(CharClass.ESCAPED);
        if (writable.test('\\')) {
            for (int i = 0; i < Machine.SHORT_ESCAPES.length(); i += 2) {
                if (writable.test(Machine.SHORT_ESCAPES.charAt(i))) {
                    string = string.or(CharClass.of(Machine.SHORT_ESCAPES.charAt(i + 1)));
                }
            }
            if (Machine.ESCAPE_TOKENS.chars().allMatch(writable)) {
                string = string.or(CharClass.range(0, 0x1F));
            }
        }
        for (State state : states) {
            CharClass allowed = state.inString ? string : plain;
            boolean quotes = writable.test('"');
            var kept = new ArrayList<Edge>();
            for (Edge edge : state.edges) {
                switch (edge.label()) {
                    case CharClass set -> {
                        CharClass left = set.and(allowed);
                        if (!left.isEmpty()) {
                            kept.add(new Edge(classes.computeIfAbsent(left, own -> own), edge.target()));
                        }
                    }
                    case Quote quote -> {
                        if (quotes) {
                            kept.add(edge);
                        }
                    }
                    case Call(Rule rule) -> {
                        if (writable.test(rule.opening)) {
                            kept.add(edge);
                        }
                    }
                    case Token token -> kept.add(edge);
                }
            }
            state.edges = kept;
        }
    }

    /** The classes of the transitions, those of the most first. */
    List<CharClass> classesByUse() {
        var uses = new IdentityHashMap<CharClass, Integer>();
        for (State state : states) {
            for (Edge edge : state.edges) {
                if (edge.label() instanceof CharClass set) {
                    uses.merge(set, 1, Integer::sum);
                }
            }
        }
        return uses.entrySet().stream()
                .sorted(Map.Entry.<CharClass, Integer>comparingByValue().reversed())
                .map(Map.Entry::getKey)
                .toList();
    }

    private void removeDead() {
        record Source(State state, @Nullable Rule called) {}
        var sources = new IdentityHashMap<State, List<Source>>();
        var callers = new IdentityHashMap<Rule, List<Edge>>();
        var callerStates = new IdentityHashMap<Edge, State>();
        for (State state : states) {
            for (State next : state.empty) {
                sources.computeIfAbsent(next, _ -> new ArrayList<>(2)).add(new Source(state, null));
            }
            for (Edge edge : state.edges) {
                Rule called = edge.label() instanceof Call(Rule rule) ? rule : null;
                sources.computeIfAbsent(edge.target(), _ -> new ArrayList<>(2)).add(new Source(state, called));
                if (called != null) {
                    callers.computeIfAbsent(called, _ -> new ArrayList<>()).add(edge);
                    callerStates.put(edge, state);
                }
            }
        }
        var alive = new boolean[states.size()];
        var open = new ArrayDeque<State>();
        for (Rule rule : rules) {
            alive[rule.end.id] = true;
            open.add(rule.end);
        }
        while (!open.isEmpty()) {
            State state = open.pop();
            for (Source source : sources.getOrDefault(state, List.of())) {
                boolean passes = source.called() == null || alive[source.called().start.id];
                if (passes && !alive[source.state().id]) {
                    alive[source.state().id] = true;
                    open.add(source.state());
                }
            }
            for (Rule rule : rulesAt(state)) {
                for (Edge edge : callers.getOrDefault(rule, List.of())) {
                    State caller = callerStates.get(edge);
                    if (caller != null && alive[edge.target().id] && !alive[caller.id]) {
                        alive[caller.id] = true;
                        open.add(caller);
                    }
                }
            }
        }
        if (!alive[root().start.id]) {
            throw new ConstraintException("the constraint allows no text that this model's vocabulary can write");
        }
        for (State state : states) {
            state.empty.removeIf(next -> !alive[next.id]);
            state.edges.removeIf(edge ->
                    !alive[edge.target().id] || (edge.label() instanceof Call(Rule rule) && !alive[rule.start.id]));
        }
    }

    private final IdentityHashMap<State, Rule> starts = new IdentityHashMap<>();

    private List<Rule> rulesAt(State state) {
        if (starts.size() != rules.size()) {
            rules.forEach(rule -> starts.put(rule.start, rule));
        }
        Rule rule = starts.get(state);
        return rule == null ? List.of() : List.of(rule);
    }

    /** Spends one unit for a state that is met; long chains of empty transitions are rare. */
    private void closeOver(State from) {
        if (from.empty.isEmpty()) {
            from.closure = new State[] {from};
            return;
        }
        var seen = new IdentityHashMap<State, Boolean>();
        var open = new ArrayDeque<State>();
        var closure = new ArrayList<State>();
        open.add(from);
        seen.put(from, true);
        while (!open.isEmpty()) {
            State state = open.pop();
            if (!state.edges.isEmpty() || state.spaceBefore || state.ends != null) {
                closure.add(state);
            }
            for (State next : state.empty) {
                if (seen.put(next, true) == null) {
                    open.add(next);
                }
            }
        }
        closureWork += seen.size();
        if (closureWork > EDGES_MAX * 10L) {
            throw new ConstraintException("the constraint's alternatives are too many");
        }
        from.closure = closure.toArray(State[]::new);
    }

    private long closureWork;
    private int restMost;
}
