package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.NullNode;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.context.Context;
import io.weft.api.http.EventStream;
import io.weft.engine.CachedTokens;
import io.weft.engine.GenerationEvent.Alternative;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationEvent.Pass;
import io.weft.engine.GenerationEvent.TokenScore;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.RequestTerms;
import io.weft.engine.SamplingParameters;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.text.TextAssembler;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every event has the bytes that Jackson makes of its object, whichever way it is written. */
class ChunkEncoderTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int ROUNDS = 300;

    private static Tokenizer tokenizer;

    @BeforeAll
    static void open() {
        try (ModelFiles files = ModelFiles.open(ModelSource.parse("demo"))) {
            tokenizer = Tokenizer.open(files.directory());
        }
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    private static final class Sink implements EventStream.ByteSink {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        @Override
        public void write(byte[] written) {
            bytes.writeBytes(written);
        }

        @Override
        public void end() {}
    }

    /** A request, and one way to shape its response. */
    private record Asked(GenerationFields fields, boolean chat, Object request, ResponseShape.Head head) {
        ResponseShape shape() {
            TokenNames names = new TokenNames(tokenizer);
            return chat
                    ? new ChatShape(head, (ChatRequest) request, names, ChatReading.PLAIN, calls -> {})
                    : new CompletionShape(head, (CompletionRequest) request, names);
        }
    }

    private static Asked asked(boolean chat, boolean echo, Random random) throws Exception {
        String options = ",\"return_token_ids\":" + random.nextBoolean()
                + switch (random.nextInt(3)) {
                    case 0 -> "";
                    case 1 -> ",\"stream_options\":{\"include_usage\":true}";
                    default -> ",\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true}";
                }
                + (random.nextBoolean() ? ",\"weft\":{\"explain\":true}" : "");
        String model =
                List.of("m", "the text", "-2147483648", "modèle \"\\\n😀").get(random.nextInt(4));
        ResponseShape.Head head = new ResponseShape.Head("id-" + random.nextLong(), random.nextLong(), model);
        if (chat) {
            ChatRequest request = JSON.readValue(
                    "{\"messages\":[],\"stream\":true,\"logprobs\":true" + options + "}", ChatRequest.class);
            return new Asked(request.fields(), true, request, head);
        }
        CompletionRequest request = JSON.readValue(
                "{\"prompt\":\"a\",\"stream\":true,\"logprobs\":2,\"echo\":" + echo + options + "}",
                CompletionRequest.class);
        return new Asked(request.fields(), false, request, head);
    }

    private static String randomText(Random random) {
        StringBuilder text = new StringBuilder();
        int length = random.nextInt(4) == 0 ? 0 : random.nextInt(1, random.nextInt(10) == 0 ? 3000 : 12);
        for (int i = 0; i < length; i++) {
            text.appendCodePoint(
                    switch (random.nextInt(8)) {
                        // A stop string may cut a character in two.
                        case 4 -> random.nextInt(0xD800, 0xE000);
                        case 0 -> random.nextInt(0x20);
                        case 1 -> "\"\\/\u007f\u0080\u2028\u2029\uFFFD\uFFFF\uE000\uD7FF".charAt(random.nextInt(11));
                        case 2 -> random.nextInt(0x10000, 0x110000);
                        case 3 -> random.nextInt(0x80, 0xD800);
                        default -> random.nextInt(0x20, 0x7F);
                    });
        }
        return text.toString();
    }

    private static TokenScore score(int token, Random random) {
        return new TokenScore(
                token,
                -random.nextFloat(),
                IntStream.range(0, random.nextInt(3))
                        .mapToObj(i -> new Alternative(random.nextInt(tokenizer.size()), -random.nextFloat()))
                        .toList());
    }

    /** Results of some choices, mixed; the texts are random, or those of random tokens. */
    private static List<Delta> deltas(boolean echo, Random random) {
        int choices = random.nextInt(1, 4);
        List<List<Delta>> ofChoices = new ArrayList<>();
        for (int index = 0; index < choices; index++) {
            ofChoices.add(deltasOf(choice(index, echo), echo, random));
        }
        List<Delta> mixed = new ArrayList<>();
        while (!ofChoices.isEmpty()) {
            List<Delta> next = ofChoices.get(random.nextInt(ofChoices.size()));
            mixed.add(next.removeFirst());
            ofChoices.removeIf(List::isEmpty);
        }
        return mixed;
    }

    private static Choice choice(int index, boolean echo) {
        GenerationRequest request = new GenerationRequest(
                List.of(5, 6, 7),
                16,
                new SamplingParameters(0, 1, 0, 0, 0, 0, 1, Map.of(), index),
                EndTokens.STOP,
                OptionalInt.empty(),
                OptionalInt.empty(),
                RequestTerms.USUAL);
        RequestTrace trace = new RequestTrace(
                OpenTelemetry.noop().getTracer("test"),
                Context.root(),
                RequestTrace.Operation.COMPLETION,
                "m",
                1,
                1,
                Optional.empty(),
                "request-1");
        return new Choice(
                index,
                request,
                echo ? Optional.of("an \"echo\"") : Optional.empty(),
                Choice.Stops.NONE,
                SpecialTokens.WITHOUT,
                Set.of(),
                trace);
    }

    private static List<Delta> deltasOf(Choice choice, boolean echo, Random random) {
        List<Delta> deltas = new ArrayList<>();
        if (echo && random.nextBoolean()) {
            deltas.add(new Delta.PromptScored(choice, List.of(score(6, random), score(7, random))));
        }
        boolean decoded = random.nextBoolean();
        TextAssembler assembler = new TextAssembler(tokenizer, List.of("e\uD83D\uDE00"), SpecialTokens.WITHOUT);
        boolean scored = random.nextInt(4) == 0;
        boolean open = true;
        for (int i = random.nextInt(20); i > 0 && open; i--) {
            // The first 256 tokens stand for single bytes, so that characters are split.
            int token = random.nextBoolean() ? random.nextInt(262) : random.nextInt(tokenizer.size());
            String text = randomText(random);
            int place = assembler.codePoints();
            if (decoded) {
                TextAssembler.Progress progress = assembler.add(token);
                text = progress.text();
                open = progress instanceof TextAssembler.Progress.Open;
            }
            deltas.add(new Delta.Token(
                    choice,
                    text,
                    token,
                    scored ? Optional.of(score(token, random)) : Optional.empty(),
                    place,
                    new Pass(1, random.nextInt(2))));
        }
        Optional<Delta.Token> last =
                !deltas.isEmpty() && deltas.getLast() instanceof Delta.Token && random.nextBoolean()
                        ? Optional.of((Delta.Token) deltas.removeLast())
                        : Optional.empty();
        deltas.add(new Delta.End(
                choice,
                last,
                decoded ? assembler.finish() : randomText(random),
                random.nextBoolean() ? FinishReason.STOP : FinishReason.LENGTH,
                Optional.empty(),
                CachedTokens.NONE));
        return deltas;
    }

    private static String byJackson(Asked asked, List<Delta> deltas) throws Exception {
        ResponseShape shape = asked.shape();
        Usage.Tally used = new Usage.Tally(asked.fields(), 3);
        List<Object> objects = new ArrayList<>();
        StringBuilder frames = new StringBuilder();
        for (Delta delta : deltas) {
            used.add(delta);
            JsonNode usage = switch (asked.fields().usageReports()) {
                case NONE -> null;
                case AT_END -> NullNode.getInstance();
                case ON_EVERY_CHUNK -> JSON.valueToTree(used.usage());
            };
            objects.addAll(shape.chunks(delta, usage));
        }
        if (asked.fields().usageReports() != GenerationFields.UsageReports.NONE) {
            objects.add(shape.usageChunk(JSON.valueToTree(used.usage())));
        }
        for (Object object : objects) {
            frames.append("data: ")
                    .append(new String(JSON.writeValueAsBytes(object), StandardCharsets.UTF_8))
                    .append("\n\n");
        }
        return frames.append("data: [DONE]\n\n").toString();
    }

    private static ChunkEncoder encoder(Asked asked, Sink sink) {
        return new ChunkEncoder(
                JSON,
                asked.shape(),
                asked.fields().usageReports(),
                new Usage.Tally(asked.fields(), 3),
                new EventStream(JSON, "request-1", sink));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void theBytesAreJacksons(boolean chat) throws Exception {
        for (int seed = 0; seed < ROUNDS; seed++) {
            Random random = new Random(seed);
            boolean echo = !chat && random.nextBoolean();
            Asked asked = asked(chat, echo, random);
            List<Delta> deltas = deltas(echo, random);
            Sink sink = new Sink();
            ChunkEncoder encoder = encoder(asked, sink);

            deltas.forEach(encoder::write);
            encoder.end();

            // Frame by frame: all of them are too much to read.
            assertThat(sink.bytes.toString(StandardCharsets.UTF_8).lines())
                    .as("seed %d", seed)
                    .containsExactlyElementsOf(byJackson(asked, deltas).lines().toList());
        }
    }

    /** Else this test would not see the short way. */
    @Test
    void mostTokensAreWrittenTheShortWay() throws Exception {
        Asked asked = asked(true, false, new Random(3));
        ResponseShape counted = asked.shape();
        int[] made = {0};
        ResponseShape counting = new ResponseShape() {
            @Override
            public List<Object> chunks(Delta delta, @Nullable JsonNode usage) {
                made[0]++;
                return counted.chunks(delta, usage);
            }

            @Override
            public Object tokenChunk(Choice choice, String text, int token, @Nullable JsonNode usage) {
                return counted.tokenChunk(choice, text, token, usage);
            }

            @Override
            public Object usageChunk(JsonNode usage) {
                return counted.usageChunk(usage);
            }

            @Override
            public Object whole(List<ChoiceResult> results, JsonNode usage) {
                return counted.whole(results, usage);
            }
        };
        ChunkEncoder encoder = new ChunkEncoder(
                JSON,
                counting,
                GenerationFields.UsageReports.AT_END,
                new Usage.Tally(asked.fields(), 3),
                new EventStream(JSON, "request-1", new Sink()));

        for (int i = 0; i < 100; i++) {
            encoder.write(new Delta.Token(choice(0, false), "a", i, Optional.empty(), i, Pass.PLAIN));
        }

        assertThat(made[0]).isEqualTo(1);
    }
}
