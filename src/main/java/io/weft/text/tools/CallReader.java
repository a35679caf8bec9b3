package io.weft.text.tools;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.weft.text.tools.OutputParser.Parts;
import io.weft.text.tools.ToolFormat.Bare;
import io.weft.text.tools.ToolFormat.Name;
import io.weft.text.tools.ToolFormat.Reading;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Finds the calls in an answer, character by character. */
final class CallReader {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Set<String> ARGUMENTS = Set.of("arguments", "parameters");
    private static final Set<String> KEYS = Set.of("name", "arguments", "parameters", "type", "id");
    private static final int NAME_LENGTH_MAX = 64;

    private enum Place {
        /** Between calls. */
        TEXT,
        /** After a mark: JSON, or a name. */
        BODY,
        /** In a list of calls, between two of them. */
        LIST,
        /** In the object of a call, before a key or the end. */
        OBJECT,
        KEY,
        COLON,
        VALUE_START,
        VALUE,
        /** In a name that is not in JSON. */
        NAME,
        /** In a mark after it. */
        NAME_MARK,
        ID,
        ARGUMENTS_START,
        ARGUMENTS,
        /** In arguments that are no JSON. */
        RAW_ARGUMENTS
    }

    private final Reading reading;
    private final Set<String> functions;
    private final Parts parts;
    private final Marks marks;
    private final Marks nameMarks;
    private final Marks ends;

    /** White space in the answer after which a call may follow. */
    private final StringBuilder space = new StringBuilder();
    /** What was read since the call's beginning; a part of the answer if it is none. */
    private final StringBuilder pending = new StringBuilder();
    /** A key, a value or a name that is being read. */
    private final StringBuilder token = new StringBuilder();

    private Place place = Place.TEXT;
    private JsonReader value = new JsonReader();
    private boolean atStart = true;
    private boolean afterCall;
    /** Whether the call has no mark before it: then it must be one beyond doubt. */
    private boolean bare;
    /** Whether the call is so far that it counts as one even if it is wrong. */
    private boolean counts;

    private boolean inList;
    private boolean inObject;
    private boolean keyEscape;
    private String key = "";
    private @Nullable String name;
    private @Nullable String arguments;
    private boolean callBegun;
    private int begun;
    private int malformed;

    CallReader(Reading reading, Set<String> functions, Parts parts) {
        this.reading = reading;
        this.functions = functions;
        this.parts = parts;
        this.marks = new Marks(Stream.concat(reading.starts().stream(), reading.ends().stream())
                .toList());
        this.nameMarks = new Marks(
                reading.name() == Name.BEFORE_SEPARATOR
                        ? List.of(reading.separator())
                        : List.of(OutputParser.ARGUMENTS_MARK, OutputParser.ID_MARK));
        this.ends = new Marks(reading.ends());
        if (reading.bare() == Bare.NAME) {
            bare = true;
            place = Place.NAME;
        }
    }

    int begun() {
        return begun;
    }

    int malformed() {
        return malformed;
    }

    void add(char c) {
        if (place == Place.TEXT) {
            text(c);
        } else if (!step(c)) {
            refuse();
            text(c);
        } else if (place != Place.TEXT && !callBegun) {
            pending.append(c);
        }
    }

    private void text(char c) {
        var passed = new StringBuilder();
        Optional<String> mark = marks.add(c, passed);
        for (int i = 0; i < passed.length(); i++) {
            plain(passed.charAt(i));
        }
        mark.ifPresent(this::marked);
    }

    private void plain(char c) {
        boolean separates = afterCall && reading.bare() == Bare.OBJECT && (c == ';' || c == ',');
        if (JsonReader.isSpace(c) || separates) {
            space.append(c);
        } else if (c == '{' && atStart && reading.bare() == Bare.OBJECT) {
            begin("{");
            bare = true;
            beginObject();
        } else {
            parts.content(space);
            space.setLength(0);
            parts.content(Character.toString(c));
            atStart = false;
            afterCall = false;
        }
    }

    private void marked(String mark) {
        if (reading.begins().contains(mark)) {
            begin(mark);
            place = switch (reading.name()) {
                case IN_JSON, BEFORE_ARGUMENTS -> Place.BODY;
                case ON_A_LINE, IN_TAG, BEFORE_SEPARATOR -> Place.NAME;
            };
        } else if (reading.opens().contains(mark)) {
            // Left out if a call follows.
            space.append(mark);
        } else if (afterCall) {
            space.setLength(0);
        } else {
            mark.chars().forEach(c -> plain((char) c));
        }
    }

    private void begin(String mark) {
        pending.setLength(0);
        pending.append(space).append(mark);
        space.setLength(0);
        token.setLength(0);
        bare = false;
        counts = false;
        inList = false;
        inObject = false;
        callBegun = false;
    }

    /** What was read is no call. */
    private void refuse() {
        malformed += counts ? 1 : 0;
        if (!callBegun) {
            // In a list, what is between calls is not worth telling.
            parts.content(pending);
            atStart = false;
            afterCall = false;
        }
        nameMarks.finish();
        endBody();
    }

    private void endBody() {
        pending.setLength(0);
        inList = false;
        place = Place.TEXT;
        bare = false;
        counts = false;
        callBegun = false;
    }

    /** Whether the character fits. */
    private boolean step(char c) {
        return switch (place) {
            case TEXT -> throw new IllegalStateException("no call");
            case BODY -> body(c);
            case LIST -> list(c);
            case OBJECT -> object(c);
            case KEY -> key(c);
            case COLON -> {
                place = c == ':' ? Place.VALUE_START : place;
                yield c == ':' || JsonReader.isSpace(c);
            }
            case VALUE_START -> JsonReader.isSpace(c) || valueStart(c);
            case VALUE -> value(c);
            case NAME -> name(c);
            case NAME_MARK -> nameMark(c);
            case ID -> {
                if (nameMarks.add(c, new StringBuilder()).isPresent()) {
                    place = Place.ARGUMENTS_START;
                }
                yield true;
            }
            case ARGUMENTS_START -> {
                if (c == '{') {
                    beginCall();
                    value = new JsonReader();
                    place = Place.ARGUMENTS;
                    arguments(c);
                }
                yield c == '{' || JsonReader.isSpace(c);
            }
            case ARGUMENTS -> {
                arguments(c);
                yield true;
            }
            case RAW_ARGUMENTS -> {
                raw(c);
                yield true;
            }
        };
    }

    private boolean body(char c) {
        if (JsonReader.isSpace(c)) {
            return true;
        }
        if (c == '{') {
            beginObject();
            return true;
        }
        if (c == '[') {
            inList = true;
            place = Place.LIST;
            return true;
        }
        place = Place.NAME;
        return reading.name() == Name.BEFORE_ARGUMENTS && name(c);
    }

    private boolean list(char c) {
        if (c == '{') {
            beginObject();
            return true;
        }
        if (c == ']') {
            if (afterCall) {
                endBody();
                return true;
            }
            return false;
        }
        return c == ',' || JsonReader.isSpace(c);
    }

    private void beginObject() {
        counts = !bare;
        inObject = true;
        callBegun = false;
        name = null;
        arguments = null;
        place = Place.OBJECT;
    }

    private boolean object(char c) {
        if (c == '"') {
            token.setLength(0);
            token.append(c);
            keyEscape = false;
            place = Place.KEY;
            return true;
        }
        return c == '}' ? endObject() : c == ',' || JsonReader.isSpace(c);
    }

    private boolean key(char c) {
        token.append(c);
        if (c == '"' && !keyEscape) {
            key = parsed(token).asText();
            place = Place.COLON;
            return !bare || KEYS.contains(key);
        }
        keyEscape = c == '\\' && !keyEscape;
        return true;
    }

    private boolean valueStart(char c) {
        value = new JsonReader();
        token.setLength(0);
        if (c == '{' && name != null && ARGUMENTS.contains(key) && !callBegun) {
            beginCall();
            place = Place.ARGUMENTS;
            arguments(c);
            return true;
        }
        place = Place.VALUE;
        return value(c);
    }

    private boolean value(char c) {
        switch (value.add(c)) {
            case MORE -> token.append(c);
            case LAST -> {
                token.append(c);
                place = Place.OBJECT;
                return store();
            }
            case AFTER -> {
                place = Place.OBJECT;
                return store() && object(c);
            }
            case WRONG -> {
                return false;
            }
        }
        return true;
    }

    private boolean store() {
        if (key.equals("name") && !callBegun) {
            JsonNode text = parsed(token);
            name = text.isTextual() && !text.textValue().isEmpty() ? text.textValue() : null;
            return name != null && (!bare || functions.contains(name));
        }
        if (ARGUMENTS.contains(key)) {
            arguments = token.toString();
        }
        return true;
    }

    private boolean endObject() {
        if (!callBegun) {
            if (name == null || (bare && arguments == null)) {
                return false;
            }
            String text = arguments == null ? "{}" : arguments;
            JsonNode written = parsed(text);
            beginCall();
            // Some models write the arguments as a string, as APIs do.
            parts.arguments(begun - 1, written.isTextual() ? written.textValue() : written.isNull() ? "{}" : text);
        }
        endCall();
        return true;
    }

    private void endCall() {
        afterCall = true;
        atStart = true;
        if (inList) {
            place = Place.LIST;
            callBegun = true;
            counts = false;
        } else {
            endBody();
        }
    }

    private void beginCall() {
        parts.call(begun++, name == null ? "" : name);
        pending.setLength(0);
        callBegun = true;
        counts = true;
    }

    private void arguments(char c) {
        switch (value.add(c)) {
            case MORE -> parts.arguments(begun - 1, Character.toString(c));
            case LAST -> {
                parts.arguments(begun - 1, Character.toString(c));
                if (inObject) {
                    place = Place.OBJECT;
                } else {
                    endCall();
                }
            }
            case AFTER, WRONG -> {
                malformed++;
                counts = false;
                place = Place.RAW_ARGUMENTS;
                raw(c);
            }
        }
    }

    private void raw(char c) {
        var passed = new StringBuilder();
        boolean ended = ends.add(c, passed).isPresent();
        parts.arguments(begun - 1, passed);
        if (ended) {
            inList = false;
            endCall();
        }
    }

    private boolean name(char c) {
        boolean ends = switch (reading.name()) {
            case ON_A_LINE -> c == '\n';
            case IN_TAG -> c == '>';
            case BEFORE_ARGUMENTS -> c == '[' || c == '{';
            case BEFORE_SEPARATOR -> c == reading.separator().charAt(0);
            case IN_JSON -> throw new IllegalStateException("the name is in JSON");
        };
        if (!ends) {
            token.append(c);
            boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            return (letter || c == '_' || c == '-' || c == '.') && token.length() <= NAME_LENGTH_MAX;
        }
        name = token.toString();
        token.setLength(0);
        if (reading.name() == Name.ON_A_LINE) {
            if (name.equals("all") && !functions.contains(name)) {
                endBody();
                return true;
            }
            if (!functions.contains(name)) {
                return false;
            }
        }
        if (name.isEmpty()) {
            return false;
        }
        boolean marked = c == '[' || reading.name() == Name.BEFORE_SEPARATOR;
        place = marked ? Place.NAME_MARK : Place.ARGUMENTS_START;
        return marked ? nameMark(c) : c != '{' || step(c);
    }

    private boolean nameMark(char c) {
        var passed = new StringBuilder();
        Optional<String> mark = nameMarks.add(c, passed);
        if (mark.isPresent()) {
            place = mark.get().equals(OutputParser.ID_MARK) ? Place.ID : Place.ARGUMENTS_START;
        }
        return passed.isEmpty();
    }

    /** Nothing if it is no JSON. */
    private static JsonNode parsed(CharSequence json) {
        try {
            return JSON.readTree(json.toString());
        } catch (JsonProcessingException e) {
            return MissingNode.getInstance();
        }
    }

    void finish() {
        switch (place) {
            case TEXT -> {
                String rest = marks.finish();
                rest.chars().forEach(c -> plain((char) c));
                if (place == Place.TEXT && !afterCall) {
                    parts.content(space);
                }
            }
            case RAW_ARGUMENTS -> parts.arguments(begun - 1, ends.finish());
            default -> refuse();
        }
    }
}
