package io.weft.text.constraint;

import io.weft.text.TestTokenizers;
import io.weft.text.Tokenizer;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * How long a mask takes for a vocabulary of 128,000: run {@code main}. Each text has a constraint of its own, so that
 * nothing is known from earlier ones.
 */
final class MaskTimes {
    private static final int TOKENS = 128_000;
    private static final int TEXT_TOKENS = 150;

    /** Time of this thread, whatever else the machine does. */
    private static final ThreadMXBean CPU = ManagementFactory.getThreadMXBean();

    private MaskTimes() {}

    /** The demo's tokens, alone and put together, numbers, runs of spaces, code, characters and parts of them. */
    static List<byte[]> tokens() {
        var random = new Random(1);
        var texts = new LinkedHashSet<String>();
        List<String> words = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.open(TestTokenizers.DEMO)) {
            for (int token = 3; token < tokenizer.size(); token++) {
                words.add(tokenizer.piece(token));
            }
        }
        texts.addAll(words);
        for (int n = 0; n < 1000; n++) {
            texts.add(Integer.toString(n));
        }
        for (int n = 1; n <= 100; n++) {
            texts.add(" ".repeat(n));
            texts.add("\n" + " ".repeat(n));
            texts.add("-".repeat(n));
        }
        for (int c = 0xA1; c < 0x2000; c += 3) {
            texts.add(Character.toString(c));
        }
        for (int c = 0x4E00; c < 0x6E00; c++) {
            texts.add(Character.toString(c));
            if (c % 3 == 0) {
                texts.add(Character.toString(c) + Character.toString(0x4E00 + random.nextInt(0x2000)));
            }
        }
        List<String> code = List.of(
                "\"", "\":", "\",", "\"}", "\"},", "\"]", "\"],", "{\"", "[\"", "\\", "\\n", "\\\"", "()", ");", "{",
                "}", "[", "]", "=", "==", "->", "//", "/*", "*/", "</", ">", ",\n", "{\n", "}\n", ";\n", ".", "_", ": ",
                "\": \"", "\", \"");
        while (texts.size() < TOKENS * 6 / 100 + 30_000) {
            texts.add(code.get(random.nextInt(code.size())) + code.get(random.nextInt(code.size())));
            texts.add(code.get(random.nextInt(code.size()))
                    + words.get(random.nextInt(words.size())).strip());
            texts.add(words.get(random.nextInt(words.size())) + code.get(random.nextInt(code.size())));
        }
        while (texts.size() < TOKENS - 257) {
            texts.add(words.get(random.nextInt(words.size()))
                    + words.get(random.nextInt(words.size())).strip());
        }
        List<byte[]> tokens = TestVocabularies.bytes();
        texts.stream()
                .map(text -> text.getBytes(StandardCharsets.UTF_8))
                .limit(TOKENS - tokens.size())
                .forEach(tokens::add);
        return tokens;
    }

    private static Map<String, String> schemas() {
        var schemas = new LinkedHashMap<String, String>();
        schemas.put("object", """
                {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},
                 "tags":{"type":"array","items":{"type":"string"}},"address":{"type":"object","properties":
                 {"street":{"type":"string"},"city":{"type":"string"}},"required":["street","city"]}},
                 "required":["name","age","tags","address"],"additionalProperties":false}""");
        schemas.put("lengths", """
                {"type":"array","minItems":3,"items":{"type":"string","minLength":10,"maxLength":200}}""");
        schemas.put("short", """
                {"type":"array","minItems":3,"items":{"type":"string","maxLength":20}}""");
        schemas.put("pattern", """
                {"type":"array","minItems":3,"items":{"type":"string","pattern":"^[A-Za-z ]{5,100}$"}}""");
        schemas.put("search", """
                {"type":"array","minItems":3,"items":{"type":"string","pattern":"foo|bar"}}""");
        schemas.put("formats", """
                {"type":"array","minItems":3,"items":{"anyOf":[{"type":"string","format":"date-time"},
                 {"type":"string","format":"email"},{"type":"string","format":"uri"},{"type":"string","format":"uuid"}]}}""");
        schemas.put("recursive", """
                {"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"string"},
                 "c":{"type":"array","items":{"$ref":"#/$defs/n"}}},"required":["v","c"],"additionalProperties":false}}}""");
        schemas.put("union", """
                {"type":"array","minItems":3,"items":{"anyOf":[
                 {"type":"object","properties":{"kind":{"const":"a"},"text":{"type":"string"}},"required":["kind","text"]},
                 {"type":"object","properties":{"kind":{"const":"b"},"size":{"type":"number"}},"required":["kind","size"]},
                 {"type":"string"},{"type":"null"}]}}""");
        return schemas;
    }

    public static void main(String[] arguments) {
        List<byte[]> tokens = tokens();
        long before = System.nanoTime();
        Vocabulary vocabulary = Vocabulary.of(tokens, List.of(0));
        System.out.printf(
                "%d tokens, %d nodes, made in %d ms%n",
                vocabulary.size(), vocabulary.trie().nodes(), (System.nanoTime() - before) / 1_000_000);
        var all = new ArrayList<Long>();
        int rounds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 12;
        for (Map.Entry<String, String> schema : schemas().entrySet()) {
            all.addAll(times(
                    schema.getKey(), vocabulary, rounds, () -> Constraint.jsonSchema(schema.getValue(), vocabulary)));
        }
        all.addAll(times("json_object", vocabulary, rounds, () -> Constraint.jsonObject(vocabulary)));
        all.addAll(
                times("regex words", vocabulary, rounds, () -> Constraint.regex("(?:[A-Z][a-z]+ ){3,50}", vocabulary)));
        all.addAll(times("regex any", vocabulary, rounds, () -> Constraint.regex("Answer: .*\\n", vocabulary)));
        print("all", all, 0);
        var ending = new ArrayList<Long>();
        for (Map.Entry<String, String> schema : schemas().entrySet()) {
            ending.addAll(times(
                    schema.getKey() + ", ending",
                    vocabulary,
                    rounds,
                    TEXT_TOKENS,
                    () -> Constraint.jsonSchema(schema.getValue(), vocabulary)));
        }
        print("all, ending", ending, 0);
    }

    private interface Made {
        Constraint constraint();
    }

    private static List<Long> times(String name, Vocabulary vocabulary, int rounds, Made made) {
        return times(name, vocabulary, rounds, Integer.MAX_VALUE - TEXT_TOKENS, made);
    }

    /** @param most tokens within which the text must end */
    private static List<Long> times(String name, Vocabulary vocabulary, int rounds, int most, Made made) {
        var nanos = new ArrayList<Long>();
        long compile = 0;
        for (int round = 0; round < rounds; round++) {
            var random = new Random(round);
            long start = System.nanoTime();
            Constraint constraint = made.constraint();
            compile += System.nanoTime() - start;
            ConstraintState state = constraint.start();
            var words = new long[vocabulary.words()];
            for (int i = 0; i < TEXT_TOKENS && !state.ended(); i++) {
                long from = CPU.getCurrentThreadCpuTime();
                state.mask(words, most - i);
                long took = CPU.getCurrentThreadCpuTime() - from;
                // The first rounds warm the machine up.
                if (round >= rounds / 3) {
                    nanos.add(took);
                }
                state = state.advance(TextWriter.pick(words, random));
            }
        }
        print(name, nanos, compile / rounds);
        return nanos;
    }

    private static void print(String name, List<Long> nanos, long compile) {
        long[] sorted = nanos.stream().mapToLong(Long::longValue).sorted().toArray();
        System.out.printf(
                "%-20s %6d masks: median %6.3f ms, p99 %6.3f ms, most %6.3f ms; made in %.1f ms%n",
                name,
                sorted.length,
                sorted[sorted.length / 2] / 1e6,
                sorted[(int) (sorted.length * 0.99)] / 1e6,
                sorted[sorted.length - 1] / 1e6,
                compile / 1e6);
    }
}
