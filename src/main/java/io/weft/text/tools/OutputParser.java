package io.weft.text.tools;

import io.weft.text.tools.ReasoningFormat.Start;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Takes apart what a model writes, as it arrives: thoughts, the answer, calls of tools. However a text is cut into
 * pieces, its parts are the same, joined. Held back is only what may be the beginning of a mark, white space before
 * one, and a call up to its name. One thread at a time.
 *
 * <p>White space around thoughts and calls belongs to neither. What begins like a call and is none is a part of the
 * answer. Arguments that turn out to be no JSON are passed on as they are, up to the end of the call.
 */
public final class OutputParser {
    static final String ARGUMENTS_MARK = "[ARGS]";
    static final String ID_MARK = "[CALL_ID]";

    private enum Place {
        START,
        THOUGHTS,
        AFTER_THOUGHTS,
        ANSWER
    }

    private final Marks begin;
    private final Marks end;
    private final Optional<CallReader> calls;
    private final Parts parts = new Parts();
    /** White space of which it is not known yet whether it counts. */
    private final StringBuilder space = new StringBuilder();

    private Place place;
    private boolean inThoughts;

    /**
     * @param reasoning how thoughts are marked; empty to leave them in the answer
     * @param start what the text begins with
     * @param tools how calls are written; empty to leave them in the answer
     * @param functions names of the functions that may be called
     */
    public OutputParser(
            Optional<ReasoningFormat> reasoning, Start start, Optional<ToolFormat> tools, Set<String> functions) {
        this.begin = new Marks(reasoning.map(ReasoningFormat::begin).stream().toList());
        this.end = new Marks(reasoning.map(ReasoningFormat::end).stream().toList());
        this.calls = tools.map(format -> new CallReader(format.reading(), Set.copyOf(functions), parts));
        if (reasoning.isEmpty()) {
            this.place = Place.ANSWER;
        } else {
            this.place = start == Start.THOUGHTS ? Place.THOUGHTS : Place.START;
        }
    }

    /** The parts that a further piece of text makes certain. */
    public List<Output> add(String text) {
        for (int i = 0; i < text.length(); i++) {
            add(text.charAt(i));
        }
        return parts.take();
    }

    /** The parts that were held back, once no more text follows. */
    public List<Output> finish() {
        switch (place) {
            case START -> {
                answer(space);
                answer(begin.finish());
            }
            case THOUGHTS -> thoughts(end.finish());
            case AFTER_THOUGHTS, ANSWER -> {}
        }
        calls.ifPresent(CallReader::finish);
        return parts.take();
    }

    /** The calls that have begun. */
    public int calls() {
        return calls.map(CallReader::begun).orElse(0);
    }

    /** Calls whose JSON was wrong or incomplete. */
    public int malformedCalls() {
        return calls.map(CallReader::malformed).orElse(0);
    }

    private void add(char c) {
        switch (place) {
            case START -> start(c);
            case THOUGHTS -> {
                var passed = new StringBuilder();
                boolean ended = end.add(c, passed).isPresent();
                thoughts(passed);
                if (ended) {
                    space.setLength(0);
                    place = Place.AFTER_THOUGHTS;
                }
            }
            case AFTER_THOUGHTS -> {
                if (!JsonReader.isSpace(c)) {
                    place = Place.ANSWER;
                    answer(c);
                }
            }
            case ANSWER -> answer(c);
        }
    }

    private void start(char c) {
        if (JsonReader.isSpace(c) && !begin.open()) {
            space.append(c);
            return;
        }
        var passed = new StringBuilder();
        if (begin.add(c, passed).isPresent()) {
            space.setLength(0);
            place = Place.THOUGHTS;
        } else if (!passed.isEmpty()) {
            place = Place.ANSWER;
            answer(space);
            space.setLength(0);
            answer(passed);
            answer(begin.finish());
        }
    }

    private void thoughts(CharSequence text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (JsonReader.isSpace(c)) {
                space.append(c);
            } else {
                if (inThoughts) {
                    parts.reasoning(space);
                }
                space.setLength(0);
                inThoughts = true;
                parts.reasoning(Character.toString(c));
            }
        }
    }

    private void answer(CharSequence text) {
        for (int i = 0; i < text.length(); i++) {
            answer(text.charAt(i));
        }
    }

    private void answer(char c) {
        if (calls.isPresent()) {
            calls.get().add(c);
        } else {
            parts.content(Character.toString(c));
        }
    }

    /** Joins neighbours. */
    static final class Parts {
        private final List<Output> done = new ArrayList<>();
        private final StringBuilder text = new StringBuilder();
        private Kind kind = Kind.CONTENT;
        private int index;

        private enum Kind {
            CONTENT,
            REASONING,
            ARGUMENTS
        }

        void content(CharSequence more) {
            append(Kind.CONTENT, 0, more);
        }

        void reasoning(CharSequence more) {
            append(Kind.REASONING, 0, more);
        }

        void call(int call, String name) {
            close();
            done.add(new Output.Call(call, name));
        }

        void arguments(int call, CharSequence more) {
            append(Kind.ARGUMENTS, call, more);
        }

        private void append(Kind of, int call, CharSequence more) {
            if (of != kind || call != index) {
                close();
                kind = of;
                index = call;
            }
            text.append(more);
        }

        private void close() {
            if (!text.isEmpty()) {
                String all = text.toString();
                done.add(
                        switch (kind) {
                            case CONTENT -> new Output.Content(all);
                            case REASONING -> new Output.Reasoning(all);
                            case ARGUMENTS -> new Output.Arguments(index, all);
                        });
                text.setLength(0);
            }
        }

        /** A character that takes two is never cut. */
        List<Output> take() {
            boolean half = !text.isEmpty() && Character.isHighSurrogate(text.charAt(text.length() - 1));
            char last = half ? text.charAt(text.length() - 1) : 0;
            if (half) {
                text.setLength(text.length() - 1);
            }
            close();
            if (half) {
                text.append(last);
            }
            List<Output> all = List.copyOf(done);
            done.clear();
            return all;
        }
    }
}
