package io.weft.text.constraint;

import io.weft.text.constraint.Level.Partial;
import io.weft.text.constraint.Level.Partial.Kind;
import io.weft.text.constraint.Move.Dead;
import io.weft.text.constraint.Move.Enter;
import io.weft.text.constraint.Move.Leave;
import io.weft.text.constraint.TokenSet.Collector;
import io.weft.text.constraint.Vocabulary.Run;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads texts of a {@link Grammar} byte by byte, and finds the tokens that may come next.
 *
 * <p>The automaton is deterministic: a set of the grammar's states at each level of nesting. Such sets, what they lead
 * to and the tokens that they allow are computed when a text first needs them, and kept up to a limit.
 *
 * <p>Any thread, and several at once. What is kept is the same whoever finds it, so nothing is locked but the tokens of
 * one level, which only one thread finds, and the closure of a set.
 */
final class Machine {
    /** What an escape by number is written with. */
    static final String ESCAPE_TOKENS = "\\u0123456789abcdef";

    /** The letter of an escape, and what it stands for. */
    static final String SHORT_ESCAPES = "\"\"\\\\b\bf\fn\nr\rt\t";

    /** Spaces after a line feed: eight levels of four. */
    private static final int INDENT_MAX = 32;

    /** Words of levels and their token sets (8 MB) that are kept before all are dropped. */
    private static final int WORDS_MAX = 1 << 20;

    /** Of an escape by number. */
    static final int ESCAPE_BYTES = ESCAPE_TOKENS.indexOf('0') + 4;

    /** What finding the next tokens may cost at once, and what each token of a text adds to that. */
    private static final long WORK_MAX = 40_000_000;

    private static final long WORK_PER_TOKEN = 600_000;

    /** A class of fewer characters has too few tokens to set apart. */
    private static final int RUN_CLASS_MIN = 20;

    /** Classes whose tokens are set apart: each takes some megabytes, and milliseconds to find. */
    private static final int RUNS_MAX = 4;

    private static final Dead DEAD = new Dead();

    /** What may be escaped by its number: all but printable ASCII, which needs none; and by a letter. */
    private static final CharClass NUMBERED = CharClass.ESCAPED.or(CharClass.range(0x7F, 0x10FFFF));

    static final CharClass LETTERED = CharClass.anyOf("\"\\\b\f\n\r\t");

    /** A level that waits below others. */
    record Frame(Level caller, @Nullable Frame below) {}

    private final Grammar grammar;
    private final Vocabulary vocabulary;
    private final Map<Level, Level> levels = new ConcurrentHashMap<>();
    private final IdentityHashMap<CharClass, Run> runsInStrings = new IdentityHashMap<>();
    private final IdentityHashMap<CharClass, Run> runsOutside = new IdentityHashMap<>();
    private final Work work = new Work("the constraint has too many alternatives at once", WORK_MAX);
    private final CharClass escapable;
    private final AtomicLong wordsKept = new AtomicLong();

    /**
     * The states of a set while it is made: each has the number of the round in which it was last seen. Guarded by
     * itself, as the two below are.
     */
    private final int[] found;

    private final int[] seenIn;
    private int round;

    /** @param grammar finished */
    Machine(Grammar grammar, Vocabulary vocabulary) {
        this.grammar = grammar;
        this.vocabulary = vocabulary;
        this.escapable = ESCAPE_TOKENS.chars().allMatch(vocabulary::writes) ? NUMBERED : LETTERED;
        this.found = new int[grammar.size()];
        this.seenIn = new int[grammar.size()];
        int runs = 0;
        for (CharClass set : grammar.classesByUse()) {
            if (runs < RUNS_MAX) {
                runs += find(set, set, runsOutside);
            }
            if (runs < RUNS_MAX) {
                runs += find(set, set.without(CharClass.ESCAPED), runsInStrings);
            }
        }
    }

    private int find(CharClass set, CharClass characters, Map<CharClass, Run> runs) {
        Run run = set.size() < RUN_CLASS_MIN ? null : vocabulary.run(characters).orElse(null);
        if (run == null) {
            return 0;
        }
        runs.put(set, run);
        return 1;
    }

    Vocabulary vocabulary() {
        return vocabulary;
    }

    Level start() {
        Level start = level(List.of(grammar.root().start), Partial.NONE);
        if (start == null) {
            throw new IllegalStateException("a finished grammar has a first state");
        }
        return start;
    }

    /** Where a byte leads, and what waits below there; null if nowhere. */
    @Nullable
    Frame after(byte b, Frame here) {
        Move move = move(here.caller(), b & 0xFF);
        return switch (move) {
            case Level next -> new Frame(next, here.below());
            case Enter(Level inner) -> new Frame(inner, here);
            case Leave leave -> {
                Frame below = here.below();
                yield below == null ? null : new Frame(returned(below.caller(), leave), below.below());
            }
            case Dead dead -> null;
        };
    }

    /** Where a control token leads; null if nowhere. */
    @Nullable
    Frame afterToken(int token, Frame here) {
        var targets = new ArrayList<Grammar.State>();
        if (!here.caller().inCharacter()) {
            for (Grammar.State state : here.caller().states) {
                for (Grammar.Edge edge : state.edges) {
                    if (edge.label() instanceof Grammar.Token(int id) && id == token) {
                        targets.add(edge.target());
                    }
                }
            }
        }
        Level next = level(targets, Partial.NONE);
        return next == null ? null : new Frame(next, here.below());
    }

    /**
     * Finds how many tokens lead to a text's end, as {@link Grammar.State#rest} counts. For one mask, since what it
     * keeps is of one text.
     */
    private final class Rests {
        /** By frame: what follows once a rule that was called from it has ended. */
        private final IdentityHashMap<Frame, Map<Grammar.Rule, Integer>> after = new IdentityHashMap<>();

        private final Map<Grammar.Rule, Integer> ofAll = Map.of(grammar.root(), 0);

        int of(Frame here) {
            return least(here.caller().rests(escapable), after(here.below()));
        }

        private static int least(Map<Grammar.Rule, Integer> rests, Map<Grammar.Rule, Integer> after) {
            int least = Integer.MAX_VALUE;
            for (Map.Entry<Grammar.Rule, Integer> rest : rests.entrySet()) {
                Integer more = after.get(rest.getKey());
                if (more != null) {
                    least = Math.min(least, sum(rest.getValue(), more));
                }
            }
            return least;
        }

        private static int sum(int a, int b) {
            return (int) Math.min(Integer.MAX_VALUE / 2, (long) a + b);
        }

        /** From the bottom up, since there may be thousands. */
        private Map<Grammar.Rule, Integer> after(@Nullable Frame frame) {
            var open = new ArrayDeque<Frame>();
            for (Frame at = frame; at != null && !after.containsKey(at); at = at.below()) {
                open.push(at);
            }
            while (!open.isEmpty()) {
                Frame at = open.pop();
                after.put(at, returns(at.caller(), known(at.below())));
            }
            return known(frame);
        }

        private Map<Grammar.Rule, Integer> known(@Nullable Frame frame) {
            return frame == null ? ofAll : after.getOrDefault(frame, Map.of());
        }

        private static Map<Grammar.Rule, Integer> returns(Level caller, Map<Grammar.Rule, Integer> below) {
            var returns = new HashMap<Grammar.Rule, Integer>();
            for (Grammar.State state : caller.states) {
                for (Grammar.Edge edge : state.edges) {
                    if (edge.label() instanceof Grammar.Call(Grammar.Rule rule)) {
                        Integer more = below.get(edge.target().nearest());
                        if (more != null) {
                            returns.merge(rule, sum(edge.target().rest(), more), Math::min);
                        }
                    }
                }
            }
            return returns;
        }
    }

    /** The fewest tokens that are known to end a text. */
    int rest(Frame here) {
        return new Rests().of(here);
    }

    /**
     * The fewest bytes that complete a character of a class of which a part was read; 0 if none can.
     *
     * @param escapable what a string of this vocabulary may escape
     */
    static int bytesLeft(Partial partial, CharClass set, CharClass escapable) {
        return switch (partial.kind()) {
            case NONE, SPACE -> 0;
            case UTF8 -> {
                int shift = 6 * partial.missing();
                int first = partial.value() << shift;
                int last = first | ((1 << shift) - 1);
                // Smaller ones have fewer bytes. Only a first byte without bits leaves that open.
                int shortest = first > 0 ? first : partial.missing() == 3 ? 0x10000 : 0x800;
                yield set.overlaps(shortest, last) ? partial.missing() : 0;
            }
            case ESCAPE -> {
                if (set.overlaps(LETTERED)) {
                    yield 1;
                }
                yield escapable.equals(NUMBERED) ? digitsLeft(set, 4, 0, 0xFFFF, 1) : 0;
            }
            case HEX -> {
                int shift = 4 * partial.missing();
                int first = partial.value() << shift;
                int last = first | ((1 << shift) - 1);
                yield partial.surrogate() == 0
                        ? digitsLeft(set, partial.missing(), first, last, 0)
                        : halfLeft(set, partial, first, last, partial.missing());
            }
            case SURROGATE -> halfLeft(set, partial, 0, 0xFFFF, ESCAPE_BYTES);
            case SURROGATE_ESCAPE -> halfLeft(set, partial, 0, 0xFFFF, ESCAPE_BYTES - 1);
        };
    }

    /** So many digits of an escape are missing, which may then be any number of a range. */
    private static int digitsLeft(CharClass set, int digits, int first, int last, int before) {
        boolean one = (first < 0x20 && set.overlaps(first, Math.min(last, 0x1F)))
                || (last >= 0x7F && set.overlaps(Math.max(first, 0x7F), last));
        if (one) {
            return before + digits;
        }
        int high = Math.max(first, Character.MIN_HIGH_SURROGATE);
        int highLast = Math.min(last, Character.MAX_HIGH_SURROGATE);
        boolean two = high <= highLast
                && set.overlaps(
                        Character.toCodePoint((char) high, Character.MIN_LOW_SURROGATE),
                        Character.toCodePoint((char) highLast, Character.MAX_LOW_SURROGATE));
        return two ? before + digits + ESCAPE_BYTES : 0;
    }

    /** The second half of a character is missing. */
    private static int halfLeft(CharClass set, Partial partial, int first, int last, int bytes) {
        int low = Math.max(first, Character.MIN_LOW_SURROGATE);
        int lowLast = Math.min(last, Character.MAX_LOW_SURROGATE);
        char high = (char) partial.surrogate();
        boolean possible = low <= lowLast
                && set.overlaps(Character.toCodePoint(high, (char) low), Character.toCodePoint(high, (char) lowLast));
        return possible ? bytes : 0;
    }

    /** To be called once for each token of a text. */
    void allowWork() {
        work.allow(WORK_PER_TOKEN, WORK_MAX);
    }

    private void keepWithinLimits() {
        if (wordsKept.get() > WORDS_MAX) {
            levels.keySet().forEach(Level::forget);
            levels.clear();
            wordsKept.set(0);
        }
    }

    private Move move(Level level, int b) {
        Move known = level.known(b);
        if (known == null) {
            work.spend(10 + level.edges);
            known = compute(level, b);
            level.learn(b, known);
        }
        return known;
    }

    private Move compute(Level level, int b) {
        Partial partial = level.partial;
        return switch (partial.kind()) {
            case NONE, SPACE -> level.inString ? inString(level, b) : outsideStrings(level, b);
            case UTF8 -> continued(level, b);
            case ESCAPE -> escaped(level, b);
            case HEX -> hexadecimal(level, b);
            case SURROGATE -> b == '\\' ? pending(level, Kind.SURROGATE_ESCAPE, partial.surrogate()) : DEAD;
            case SURROGATE_ESCAPE ->
                b == 'u' ? narrowed(level, new Partial(Kind.HEX, 0, 4, partial.surrogate())) : DEAD;
        };
    }

    private Move outsideStrings(Level level, int b) {
        if (b >= 0x80) {
            return firstOfUtf8(level, b);
        }
        if (b == ' ' || b == '\n') {
            Partial space = spaceAfter(level.partial, b);
            List<Grammar.State> spaced = Arrays.stream(level.states)
                    .filter(state -> state.spaceBefore)
                    .toList();
            if (!spaced.isEmpty()) {
                return space == null ? DEAD : orDead(level(spaced, space));
            }
        }
        var called = new ArrayList<Grammar.State>();
        for (Grammar.State state : level.states) {
            for (Grammar.Edge edge : state.edges) {
                if (edge.label() instanceof Grammar.Call(Grammar.Rule rule) && rule.opening == b) {
                    called.add(rule.start);
                }
            }
        }
        if (!called.isEmpty()) {
            Level inner = level(called, Partial.NONE);
            return inner == null ? DEAD : new Enter(inner);
        }
        return character(level, b);
    }

    /** At most one space, or a line feed and its indentation; null if no more may come. */
    private static @Nullable Partial spaceAfter(Partial before, int b) {
        if (before.kind() == Kind.NONE) {
            return new Partial(Kind.SPACE, b == ' ' ? -1 : 0, 0, 0);
        }
        return b == ' ' && before.value() >= 0 && before.value() < INDENT_MAX
                ? new Partial(Kind.SPACE, before.value() + 1, 0, 0)
                : null;
    }

    private Move inString(Level level, int b) {
        if (b >= 0x80) {
            return firstOfUtf8(level, b);
        }
        if (b == '"') {
            var ended = new ArrayList<Grammar.State>();
            for (Grammar.State state : level.states) {
                for (Grammar.Edge edge : state.edges) {
                    if (edge.label() instanceof Grammar.Quote) {
                        ended.add(edge.target());
                    }
                }
            }
            return orDead(level(ended, Partial.NONE));
        }
        if (b == '\\') {
            // The characters that are escaped, and those that may be.
            return filtered(level, new Partial(Kind.ESCAPE, 0, 0, 0), set -> set.overlaps(escapable));
        }
        return b < 0x20 ? DEAD : character(level, b);
    }

    private Move escaped(Level level, int b) {
        if (b == 'u') {
            return escapable.equals(NUMBERED) ? narrowed(level, new Partial(Kind.HEX, 0, 4, 0)) : DEAD;
        }
        for (int i = 0; i < SHORT_ESCAPES.length(); i += 2) {
            if (SHORT_ESCAPES.charAt(i) == b) {
                return character(level, SHORT_ESCAPES.charAt(i + 1));
            }
        }
        return DEAD;
    }

    private Move hexadecimal(Level level, int b) {
        int digit = b < 0x80 ? Character.digit(b, 16) : -1;
        if (digit < 0) {
            return DEAD;
        }
        Partial before = level.partial;
        int value = (before.value() << 4) | digit;
        if (before.missing() > 1) {
            return narrowed(level, new Partial(Kind.HEX, value, before.missing() - 1, before.surrogate()));
        }
        if (before.surrogate() != 0) {
            return Character.isLowSurrogate((char) value)
                    ? character(level, Character.toCodePoint((char) before.surrogate(), (char) value))
                    : DEAD;
        }
        if (Character.isHighSurrogate((char) value)) {
            return pending(level, Kind.SURROGATE, value);
        }
        return escapable(value) ? character(level, value) : DEAD;
    }

    /** Printable ASCII is never written as a number. */
    private static boolean escapable(int character) {
        return character < 0x20 || character >= 0x7F;
    }

    private Move pending(Level level, Kind kind, int surrogate) {
        return narrowed(level, new Partial(kind, 0, 0, surrogate));
    }

    /** The states for which the digits of an escape can become a character. */
    private Move narrowed(Level level, Partial partial) {
        int shift = 4 * partial.missing();
        int first = partial.value() << shift;
        int last = first | ((1 << shift) - 1);
        if (partial.surrogate() != 0) {
            if (partial.kind() != Kind.HEX) {
                first = Character.MIN_LOW_SURROGATE;
                last = Character.MAX_LOW_SURROGATE;
            }
            int low = Math.max(first, Character.MIN_LOW_SURROGATE);
            int high = Math.min(last, Character.MAX_LOW_SURROGATE);
            char surrogate = (char) partial.surrogate();
            return low > high
                    ? DEAD
                    : filtered(
                            level,
                            partial,
                            set -> set.overlaps(
                                    Character.toCodePoint(surrogate, (char) low),
                                    Character.toCodePoint(surrogate, (char) high)));
        }
        int from = first;
        int to = last;
        int highFrom = Math.max(first, Character.MIN_HIGH_SURROGATE);
        int highTo = Math.min(last, Character.MAX_HIGH_SURROGATE);
        return filtered(
                level,
                partial,
                set -> (from < 0x20 && set.overlaps(from, Math.min(to, 0x1F)))
                        || (to >= 0x7F && set.overlaps(Math.max(from, 0x7F), to))
                        || (highFrom <= highTo
                                && set.overlaps(
                                        Character.toCodePoint((char) highFrom, Character.MIN_LOW_SURROGATE),
                                        Character.toCodePoint((char) highTo, Character.MAX_LOW_SURROGATE))));
    }

    private Move firstOfUtf8(Level level, int b) {
        if (b < 0xC2 || b > 0xF4) {
            return DEAD;
        }
        int missing = b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
        return utf8(level, b & (0x3F >> missing), missing, missing);
    }

    private Move continued(Level level, int b) {
        Partial before = level.partial;
        if ((b & 0xC0) != 0x80) {
            return DEAD;
        }
        int value = (before.value() << 6) | (b & 0x3F);
        int missing = before.missing() - 1;
        return missing == 0 ? character(level, value) : utf8(level, value, missing, before.surrogate());
    }

    /** @param length the bytes of the character after its first, kept in the place of the surrogate */
    private Move utf8(Level level, int value, int missing, int length) {
        int shortest = length == 1 ? 0x80 : length == 2 ? 0x800 : 0x10000;
        int first = Math.max(shortest, value << (6 * missing));
        int last = (value << (6 * missing)) | ((1 << (6 * missing)) - 1);
        return first > last
                ? DEAD
                : filtered(level, new Partial(Kind.UTF8, value, missing, length), set -> set.overlaps(first, last));
    }

    /** The level's states that can read a character of some kind, in the middle of it. */
    private Move filtered(Level level, Partial partial, Predicate<CharClass> reads) {
        var kept = new ArrayList<Grammar.State>();
        for (Grammar.State state : level.states) {
            for (Grammar.Edge edge : state.edges) {
                if (edge.label() instanceof CharClass set && reads.test(set)) {
                    kept.add(state);
                    break;
                }
            }
        }
        return kept.isEmpty() ? DEAD : intern(kept.toArray(Grammar.State[]::new), partial);
    }

    private Move character(Level level, int character) {
        var targets = new ArrayList<Grammar.State>();
        for (Grammar.State state : level.states) {
            for (Grammar.Edge edge : state.edges) {
                if (edge.label() instanceof CharClass set && set.contains(character)) {
                    targets.add(edge.target());
                }
            }
        }
        var ended = new TreeSet<Grammar.Rule>(Comparator.comparingInt(rule -> rule.index));
        for (Grammar.State target : targets) {
            if (target.ends != null && target.ends != grammar.root()) {
                ended.add(target.ends);
            }
        }
        return ended.isEmpty() ? orDead(level(targets, Partial.NONE)) : new Leave(List.copyOf(ended));
    }

    private Level returned(Level caller, Leave leave) {
        Level known = caller.knownReturn(leave);
        if (known == null) {
            var targets = new ArrayList<Grammar.State>();
            for (Grammar.State state : caller.states) {
                for (Grammar.Edge edge : state.edges) {
                    if (edge.label() instanceof Grammar.Call(Grammar.Rule rule)
                            && leave.ended().contains(rule)) {
                        targets.add(edge.target());
                    }
                }
            }
            work.spend(10 + caller.edges);
            known = level(targets, Partial.NONE);
            if (known == null) {
                throw new IllegalStateException("a rule ended that was not called");
            }
            caller.learnReturn(leave, known);
        }
        return known;
    }

    private static Move orDead(@Nullable Level level) {
        return level == null ? DEAD : level;
    }

    private @Nullable Level level(List<Grammar.State> targets, Partial partial) {
        if (targets.isEmpty()) {
            return null;
        }
        return intern(closure(targets), partial);
    }

    /** All states that these have in their closures, in the order of their ids. */
    private Grammar.State[] closure(List<Grammar.State> targets) {
        synchronized (found) {
            round++;
            int count = 0;
            for (Grammar.State target : targets) {
                work.spend(1 + target.closure().length);
                for (Grammar.State state : target.closure()) {
                    if (seenIn[state.id] != round) {
                        seenIn[state.id] = round;
                        found[count++] = state.id;
                    }
                }
            }
            Arrays.sort(found, 0, count);
            var states = new Grammar.State[count];
            for (int i = 0; i < count; i++) {
                states[i] = grammar.state(found[i]);
            }
            return states;
        }
    }

    private Level intern(Grammar.State[] states, Partial partial) {
        var level = new Level(states, partial, grammar.root());
        Level known = levels.putIfAbsent(level, level);
        if (known != null) {
            return known;
        }
        // With 256 moves of four bytes.
        wordsKept.addAndGet(150 + states.length / 2);
        return level;
    }

    /**
     * Sets the bit of each token that may come next.
     *
     * @param words overwritten
     */
    void mask(Frame here, long[] words) {
        keepWithinLimits();
        Level level = here.caller();
        TokenSet tokens = level.tokens(() -> find(level));
        tokens.writeTo(words);
        Frame below = here.below();
        if (below != null) {
            var found = new Walk(tokens.trie, token -> words[token >>> 6] |= 1L << token, null);
            for (int i = 0; i < tokens.exits.length; i++) {
                int node = tokens.exits[i];
                found.below(node, returned(below.caller(), tokens.ended[i]), below.below());
            }
        }
        if (level.complete) {
            for (int token : vocabulary.endTokens()) {
                words[token >>> 6] |= 1L << token;
            }
        }
    }

    /**
     * Leaves out tokens after which the text cannot end in time. A token that enters no object or array makes the rest
     * longer by that of a state at most, and by that of a character of which it has a part; each that it enters by as
     * much again.
     *
     * @param words a mask
     * @param tokensLeft tokens that the text may still have, with the next one and one that ends it
     */
    void keepInTime(Frame here, long[] words, int tokensLeft) {
        int ending = vocabulary.endTokens().length > 0 ? 1 : 0;
        var rests = new Rests();
        int now = rests.of(here);
        if (now > tokensLeft - ending) {
            // It cannot end in time whatever comes.
            return;
        }
        int restMost = tokensLeft - ending - 1;
        long room = ((long) restMost - now) / (grammar.restMost() + 2 * ESCAPE_BYTES);
        if (room > vocabulary.openingsMost()) {
            return;
        }
        Level level = here.caller();
        Shared shared = level.partial.kind() == Kind.NONE ? shared(level) : null;
        if (shared != null && room <= 0) {
            keepSharedInTime(here, shared, words, restMost, rests);
        }
        for (int i = 0; i < words.length; i++) {
            long each = shared == null ? words[i] : words[i] & ~shared.tokens[i];
            for (long left = each; left != 0; left &= left - 1) {
                int token = i * Long.SIZE + Long.numberOfTrailingZeros(left);
                if (vocabulary.openings(token) >= room && !endsWithin(here, token, restMost, rests)) {
                    words[i] &= ~(1L << token);
                }
            }
        }
    }

    /**
     * Judges what is shared by one way on, all tokens of a length at once; and by all ways the tokens of which the
     * shortest way consists: those of one byte, and words.
     */
    private void keepSharedInTime(Frame here, Shared shared, long[] words, int restMost, Rests rests) {
        IntStream ofFixedText = Arrays.stream(here.caller().states).mapToInt(Grammar.State::word);
        int[] shortest = IntStream.concat(Arrays.stream(vocabulary.byteTokens()), ofFixedText)
                .filter(token -> token != Grammar.NONE)
                .filter(token -> (words[token >>> 6] & shared.tokens[token >>> 6] & 1L << token) != 0)
                .toArray();
        Map<Grammar.Rule, Integer> after = rests.after(here.below());
        for (int length = 1; length < shared.reached.size(); length++) {
            Grammar.State reached = shared.reached.get(length);
            long rest = (long) reached.rest() + after.getOrDefault(reached.nearest(), Integer.MAX_VALUE);
            if (rest > restMost) {
                shared.leaveOut(length, words);
            }
        }
        for (int token : shortest) {
            if (endsWithin(here, token, restMost, rests)) {
                words[token >>> 6] |= 1L << token;
            }
        }
    }

    private boolean endsWithin(Frame here, int token, int restMost, Rests rests) {
        byte[] bytes = vocabulary.bytes(token);
        Frame frame = here;
        if (bytes.length == 0) {
            if (here.caller().complete && vocabulary.ends(token)) {
                return true;
            }
            frame = afterToken(token, here);
        }
        for (byte b : bytes) {
            frame = frame == null ? null : after(b, frame);
        }
        return frame != null && rests.of(frame) <= restMost;
    }

    /** The tokens of a level as far as the levels below do not matter. */
    private TokenSet find(Level level) {
        long[] base = new long[0];
        Trie trie = vocabulary.trie();
        if (level.partial.kind() == Kind.NONE) {
            Shared shared = shared(level);
            if (shared != null) {
                base = shared.tokens;
                trie = shared.others;
            }
        }
        var collector = new Collector(vocabulary.words());
        var exits = new Exits();
        new Walk(trie, collector::add, exits).all(level);
        if (!level.inCharacter()) {
            for (Grammar.State state : level.states) {
                for (Grammar.Edge edge : state.edges) {
                    if (edge.label() instanceof Grammar.Token(int id)) {
                        collector.add(id);
                    }
                }
            }
        }
        var tokens = new TokenSet(
                base,
                collector,
                trie,
                exits.nodes.stream().mapToInt(Integer::intValue).toArray(),
                exits.ended.toArray(Leave[]::new));
        wordsKept.addAndGet(tokens.weightWords());
        return tokens;
    }

    /** Tokens that are allowed, and a trie of the others that may be. */
    private static final class Shared {
        private final Run run;
        private final long[] tokens;
        private final Trie others;
        /** By their number of characters: where these tokens lead, one way at least. */
        private final List<Grammar.State> reached;

        /** @param reached first the state before the run */
        Shared(Run run, List<Grammar.State> reached) {
            this.run = run;
            this.tokens = run.upTo[reached.size() - 1];
            this.others = run.others;
            this.reached = reached;
        }

        /** Takes the tokens of so many characters out of a mask. */
        void leaveOut(int characters, long[] words) {
            for (int i = 0; i < words.length; i++) {
                words[i] &= ~(run.upTo[characters][i] & ~run.upTo[characters - 1][i]);
            }
        }
    }

    /**
     * The tokens of a run of characters of one class, such as the inside of a string, which are the same in many
     * places: they are taken together, and only the others are looked at one by one.
     */
    private @Nullable Shared shared(Level level) {
        for (Grammar.State state : level.states) {
            for (Grammar.Edge edge : state.edges) {
                if (edge.label() instanceof CharClass set) {
                    Run run = (level.inString ? runsInStrings : runsOutside).get(set);
                    Shared shared = run == null ? null : shared(level, set, run);
                    if (shared != null) {
                        return shared;
                    }
                }
            }
        }
        return null;
    }

    private static @Nullable Shared shared(Level level, CharClass set, Run run) {
        boolean alone = true;
        Grammar.State[] states = level.states;
        List<Grammar.State> reached = new ArrayList<>();
        reached.add(states[0]);
        while (reached.size() <= run.charactersMax()) {
            Grammar.State next = null;
            for (Grammar.State state : states) {
                for (Grammar.Edge edge : state.edges) {
                    if (edge.label().equals(set) && next == null) {
                        next = edge.target();
                    } else if (edge.label() instanceof CharClass other) {
                        alone &= !other.overlaps(run.of);
                    }
                }
            }
            if (next == null) {
                break;
            }
            states = next.closure();
            reached.add(next);
        }
        if (reached.size() > run.charactersMax()) {
            return new Shared(run, reached);
        }
        // Longer tokens of the class are no tokens of this level if nothing else could read a part of them.
        return alone && reached.size() > 1 ? new Shared(run, reached) : null;
    }

    /** Where a level was left in a walk. */
    private static final class Exits {
        private final List<Integer> nodes = new ArrayList<>();
        private final List<Leave> ended = new ArrayList<>();
    }

    private interface Found {
        void token(int token);
    }

    /** Runs the automaton over a trie. */
    private final class Walk {
        private final Trie trie;
        private final Found found;
        private final @Nullable Exits exits;
        private final Level[] levelAt;
        private final @Nullable Frame[] belowAt;

        /** @param exits takes the nodes at which the walk's first level is left; null if that one has nothing below */
        Walk(Trie trie, Found found, @Nullable Exits exits) {
            this.trie = trie;
            this.found = found;
            this.exits = exits;
            this.levelAt = new Level[trie.depthMax + 1];
            this.belowAt = new @Nullable Frame[trie.depthMax + 1];
        }

        void all(Level level) {
            levelAt[0] = level;
            belowAt[0] = null;
            range(0, trie.nodes());
        }

        /** The tokens at a node, which leads to a level, and those below it. */
        void below(int node, Level level, @Nullable Frame below) {
            tokensAt(node);
            levelAt[trie.depth[node]] = level;
            belowAt[trie.depth[node]] = below;
            range(node + 1, trie.end[node]);
        }

        private void tokensAt(int node) {
            for (int i = trie.first[node]; i < trie.first[node + 1]; i++) {
                found.token(trie.tokens[i]);
            }
        }

        private void range(int from, int to) {
            int visited = 0;
            int node = from;
            while (node < to) {
                int depth = trie.depth[node];
                visited++;
                Level level = levelAt[depth - 1];
                Frame below = belowAt[depth - 1];
                switch (move(level, trie.label[node] & 0xFF)) {
                    case Level next -> {
                        levelAt[depth] = next;
                        belowAt[depth] = below;
                    }
                    case Enter(Level inner) -> {
                        levelAt[depth] = inner;
                        belowAt[depth] = new Frame(level, below);
                    }
                    case Leave leave -> {
                        if (below == null) {
                            if (exits != null) {
                                exits.nodes.add(node);
                                exits.ended.add(leave);
                            }
                            node = trie.end[node];
                            continue;
                        }
                        levelAt[depth] = returned(below.caller(), leave);
                        belowAt[depth] = below.below();
                    }
                    case Dead dead -> {
                        node = trie.end[node];
                        continue;
                    }
                }
                tokensAt(node);
                node++;
            }
            work.spend(visited);
        }
    }
}
