package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.model.CacheForm;
import io.weft.model.CachePolicy;
import io.weft.pipeline.ModelRun.Execution;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.RowGroups.Grouping;
import io.weft.pipeline.RowGroups.RowGroup;
import io.weft.pipeline.RowGroups.Span;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.TokenRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Rows that are grouped by block attend to the same tokens in the same cells as when they are not. */
class RowGroupsTest {
    private static final int SEQUENCES = 4;
    private static final StepLimits LIMITS =
            new StepLimits(SEQUENCES, 128, 128, SEQUENCES * 8, ModelRun.CONTEXT_TOKENS);

    @SuppressWarnings("unused")
    private static final List<String> GOLDENS = Stream.concat(Golden.UNIFORM.stream(), Stream.of("gemma3", "gpt-oss"))
            .toList();

    /** Some tokens of a sequence that run in one step, the last of them drafts that turn out wrong. */
    private record Piece(int sequence, List<Integer> tokens, int drafted) {}

    @ParameterizedTest
    @FieldSource("GOLDENS")
    void groupsByBlockGiveTheBitsOfOneGroup(String name) {
        int blockTokens = List.of(1, 4, 13).get(GOLDENS.indexOf(name) % 3);
        assertThat(run(name, blockTokens, Grouping.BY_BLOCK, name.hashCode()))
                .usingRecursiveComparison()
                .isEqualTo(run(name, blockTokens, Grouping.BY_SEQUENCE, name.hashCode()));
    }

    /** The logits of all rows of some steps. */
    private static List<float[]> run(String name, int blockTokens, Grouping grouping, long seed) {
        Random random = new Random(seed);
        List<float[]> logits = new ArrayList<>();
        try (ModelRun run = new ModelRun(
                Golden.model(name),
                GoldenTest.device(),
                blockTokens,
                blockTokens,
                LIMITS,
                CachePolicy.EXACT,
                grouping)) {
            IntFunction<CacheForm> forms = block -> CachePolicy.EXACT
                    .forms()
                    .get(new Random(seed + block)
                            .nextInt(CachePolicy.EXACT.forms().size()));
            List<CacheSequence> sequences = new ArrayList<>();
            for (int i = 0; i < SEQUENCES; i++) {
                sequences.add(run.admit(ModelRun.CONTEXT_TOKENS, forms));
            }
            for (int step = 0; step < 6; step++) {
                Way way = new Way(
                        Schedule.values()[random.nextInt(Schedule.values().length)],
                        1 + random.nextInt(100),
                        1 + random.nextInt(4),
                        ModelRun.STAGING_BYTES,
                        Execution.OVERLAPPED);
                List<Piece> pieces = pieces(random);
                List<StepSequence> parts =
                        pieces.stream().map(piece -> part(sequences, piece)).toList();
                StepResult result = run.uncommitted(way, parts);
                for (int i = 0; i < parts.size(); i++) {
                    for (int row = 0; row < parts.get(i).logitRows(); row++) {
                        logits.add(result.logits(i, row));
                    }
                    List<Integer> tokens = pieces.get(i).tokens();
                    parts.get(i)
                            .cache()
                            .commit(tokens.subList(
                                    0, tokens.size() - pieces.get(i).drafted()));
                }
            }
            sequences.forEach(CacheSequence::close);
        }
        return logits;
    }

    private static List<Piece> pieces(Random random) {
        List<Piece> pieces = new ArrayList<>();
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            if (random.nextInt(4) > 0 || sequence == 0) {
                boolean isPrompt = random.nextBoolean();
                int drafted = isPrompt ? 0 : random.nextInt(9);
                int rows = isPrompt ? 1 + random.nextInt(31) : 1 + drafted;
                pieces.add(new Piece(sequence, random.ints(rows, 3, 384).boxed().toList(), drafted));
            }
        }
        return pieces;
    }

    private static StepSequence part(List<CacheSequence> sequences, Piece piece) {
        CacheSequence cache = sequences.get(piece.sequence());
        assertThat(cache.open(piece.tokens().size(), piece.drafted())).isTrue();
        boolean isPrompt = piece.drafted() == 0 && piece.tokens().size() > 1;
        List<TokenChoice> choices = isPrompt
                ? List.of()
                : piece.tokens().stream().map(token -> TokenChoice.likeliest()).toList();
        return new StepSequence(
                cache, piece.tokens(), piece.drafted(), isPrompt ? LogitRows.ALL : LogitRows.CHOOSING, choices);
    }

    @Test
    void eachRowIsInOneGroupOfItsBlockAndSeesAllBeforeItOnce() {
        Random random = new Random(5);
        try (ModelRun run = new ModelRun(Golden.model(GOLDENS.getFirst()), GoldenTest.device(), 4, 4, LIMITS)) {
            for (int round = 0; round < 30; round++) {
                List<CacheSequence> sequences = new ArrayList<>();
                for (int i = 0; i < SEQUENCES; i++) {
                    CacheSequence sequence = run.admit(ModelRun.CONTEXT_TOKENS, block -> CacheForm.HOST_KV);
                    int cached = random.nextInt(9);
                    if (cached > 0) {
                        assertThat(sequence.open(cached)).isTrue();
                        sequence.commit(random.ints(cached, 3, 384).boxed().toList());
                    }
                    sequences.add(sequence);
                }
                StepBatch batch = new StepBatch(pieces(random).stream()
                        .map(piece -> part(sequences, piece))
                        .toList());
                assertGroups(batch, RowGroups.of(batch, 4, Grouping.BY_BLOCK), random);
                sequences.forEach(CacheSequence::close);
            }
        }
    }

    private static void assertGroups(StepBatch batch, RowGroups groups, Random random) {
        int row = 0;
        for (int i = 0; i < batch.sequences().size(); i++) {
            int position = batch.sequences().get(i).cache().tokens();
            int total = position + batch.sequences().get(i).newTokens().size();
            int cut = random.nextInt(total / 4 + 1) * 4;
            List<TokenRange> ranges = new ArrayList<>();
            if (cut > 0) {
                ranges.add(new TokenRange(i, 0, cut));
            }
            if (cut < total) {
                ranges.add(new TokenRange(i, cut, total));
            }
            List<Span> spans = groups.spans(ranges);
            for (int g = groups.first(i); g < groups.first(i + 1); g++) {
                int group = g;
                RowGroup rows = groups.all().get(g);
                assertThat(rows.sequence()).isEqualTo(i);
                assertThat(rows.firstRow()).isEqualTo(row);
                int last = position + rows.rows() - 1;
                assertThat(position / 4).isEqualTo(last / 4).isEqualTo(rows.lastBlock());
                List<Span> seen =
                        spans.stream().filter(span -> span.group() == group).toList();
                int to = 0;
                for (Span span : seen) {
                    assertThat(span.fromToken()).isEqualTo(to);
                    to = span.toToken();
                }
                assertThat(to).isEqualTo(Math.min(total, (rows.lastBlock() + 1) * 4));
                position += rows.rows();
                row += rows.rows();
            }
            assertThat(position).isEqualTo(total);
        }
        assertThat(row).isEqualTo(batch.rows());
    }
}
