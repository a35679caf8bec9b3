package io.weft.text.constraint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.weft.text.constraint.Grammar.State;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/** Texts that have JSON in the middle of something else, such as the calls of tools. Immutable, a value. */
public sealed interface Syntax {
    /** This text. */
    record Literal(String text) implements Syntax {}

    /** One of these texts. */
    record Choice(List<String> texts) implements Syntax {
        public Choice {
            texts = List.copyOf(texts);
            if (texts.isEmpty()) {
                throw new ConstraintException("a choice of no texts");
            }
        }
    }

    /** A mark: the vocabulary's control token of this content, or its letters if there is none. */
    record Mark(String content) implements Syntax {
        public Mark {
            if (content.isEmpty()) {
                throw new IllegalArgumentException("a mark is empty");
            }
        }
    }

    /**
     * JSON that a schema allows. What comes next must not be a part of a number if the schema allows one.
     *
     * @param name of the schema, for messages; may be empty
     * @param schema JSON, or a text of JSON
     */
    record Json(String name, JsonNode schema) implements Syntax {
        /** Any JSON object. */
        public static final Json ANY_OBJECT =
                new Json("", JsonNodeFactory.instance.objectNode().put("type", "object"));
    }

    /** A text that a regular expression describes as a whole, see {@link Constraint#regex}. */
    record Expression(String expression) implements Syntax {}

    /** One after the other. */
    record Sequence(List<Syntax> parts) implements Syntax {
        public Sequence {
            parts = List.copyOf(parts);
        }
    }

    /**
     * One of these. Where one goes on with JSON and another with a brace or bracket of its own, what was read before
     * must tell them apart.
     */
    record AnyOf(List<Syntax> options) implements Syntax {
        public AnyOf {
            options = List.copyOf(options);
            if (options.isEmpty()) {
                throw new IllegalArgumentException("one of no texts");
            }
        }
    }

    /** One or more, with something between two of them. */
    record Repeated(Syntax item, Syntax between) implements Syntax {}

    /**
     * Any text, the empty one too, in which none of some marks is spelled.
     *
     * @param notFirst characters with which it does not begin
     */
    record Free(List<String> without, String notFirst) implements Syntax {
        public Free {
            without = List.copyOf(without);
            if (without.stream().anyMatch(String::isEmpty)) {
                throw new IllegalArgumentException("a mark is empty");
            }
        }
    }

    /** A sequence. */
    static Syntax sequence(Syntax... parts) {
        return new Sequence(List.of(parts));
    }

    /** This, or nothing. */
    static Syntax optional(Syntax syntax) {
        return new AnyOf(List.of(new Literal(""), syntax));
    }

    /** Writes a syntax into a grammar. */
    record Compiler(Grammar grammar, Vocabulary vocabulary, SchemaWork work) {
        void add(Syntax syntax, State from, State to) {
            switch (syntax) {
                case Literal(String text) -> spell(text, from, to);
                case Choice(List<String> texts) -> grammar.text(from, CharAutomaton.texts(texts), to);
                case Mark(String content) -> {
                    OptionalInt token = vocabulary.mark(content);
                    if (token.isPresent()) {
                        grammar.token(from, token.getAsInt(), to);
                    } else {
                        spell(content, from, to);
                    }
                }
                case Expression(String expression) -> grammar.text(from, Regex.whole(expression), to);
                case Json(String name, JsonNode schema) -> json(name, schema, from, to);
                case Sequence(List<Syntax> parts) -> {
                    State at = from;
                    for (Syntax part : parts) {
                        State next = grammar.state();
                        add(part, at, next);
                        at = next;
                    }
                    grammar.empty(at, to);
                }
                case AnyOf(List<Syntax> options) -> options.forEach(option -> add(option, from, to));
                case Repeated(Syntax item, Syntax between) -> {
                    State start = grammar.state();
                    State end = grammar.state();
                    grammar.empty(from, start);
                    add(item, start, end);
                    add(between, end, start);
                    grammar.empty(end, to);
                }
                case Free free -> free(free, from, to);
            }
        }

        private void json(String name, JsonNode schema, State from, State to) {
            try {
                new SchemaCompiler(Constraint.schema(schema), grammar, work).add(from, to);
            } catch (ConstraintException e) {
                throw name.isEmpty() ? e : new ConstraintException(name + ": " + e.getMessage());
            }
        }

        private void spell(String text, State from, State to) {
            grammar.text(from, CharAutomaton.texts(List.of(text)), to);
        }

        /** A state for each beginning of a mark: the longest that the text read so far ends with. */
        private void free(Free free, State from, State to) {
            State root = grammar.state();
            Map<String, State> states = new HashMap<>();
            states.put("", root);
            for (String mark : free.without()) {
                for (int i = 1; i < mark.length(); i++) {
                    states.computeIfAbsent(mark.substring(0, i), _ -> grammar.state());
                }
            }
            String characters = free.without().stream()
                    .flatMapToInt(String::chars)
                    .distinct()
                    .mapToObj(Character::toString)
                    .collect(Collectors.joining());
            CharClass others = CharClass.ANY.without(CharClass.anyOf(characters));
            CharClass first = CharClass.ANY.without(CharClass.anyOf(free.notFirst()));
            State start = grammar.state();
            grammar.empty(from, start);
            grammar.empty(start, to);
            states.forEach((read, state) -> {
                grammar.empty(state, to);
                grammar.read(state, others, root);
                for (int i = 0; i < characters.length(); i++) {
                    String text = read + characters.charAt(i);
                    if (free.without().stream().noneMatch(text::endsWith)) {
                        grammar.read(state, characters.charAt(i), longestSuffix(text, states, root));
                    }
                }
            });
            grammar.read(start, others.and(first), root);
            for (int i = 0; i < characters.length(); i++) {
                String text = characters.substring(i, i + 1);
                if (first.contains(text.charAt(0)) && !free.without().contains(text)) {
                    grammar.read(start, text.charAt(0), states.getOrDefault(text, root));
                }
            }
        }

        private static State longestSuffix(String text, Map<String, State> states, State root) {
            for (int i = 0; i < text.length(); i++) {
                State state = states.get(text.substring(i));
                if (state != null) {
                    return state;
                }
            }
            return root;
        }
    }
}
