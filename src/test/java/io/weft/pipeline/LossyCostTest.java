package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.model.CacheForm;
import io.weft.model.CachePolicy;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What lossy policies cost, as the table of docs/planning.md: how far probabilities move, and how often the greedy
 * token.
 */
@Tag("soak")
class LossyCostTest {
    private static final int TOKENS = 310;
    private static final int BLOCK_TOKENS = CachePolicy.LOSSY_BLOCK_TOKENS;
    private static final List<String> GOLDENS = List.of("opt", "llama3-gqa", "gemma");
    private static final StepLimits LIMITS = new StepLimits(2, 128, 128, 0, ModelRun.CONTEXT_TOKENS);

    /**
     * Differences of rows that see stored blocks.
     *
     * @param mean absolute difference of the log-probability of the text's next token
     * @param most the largest of them
     * @param divergence mean Kullback-Leibler divergence from the exact distribution, in nats
     * @param agreement share of rows with the same likeliest token
     */
    private record Cost(double mean, double most, double divergence, double agreement) {}

    @Test
    void theCostOfALossyCacheIsThatOfItsCode() throws IOException {
        StringBuilder table = new StringBuilder("| model | encoding | mean | most | KL | same greedy token |\n");
        List<Integer> document;
        try (ModelFiles demo = ModelFiles.open(ModelSource.parse("demo"))) {
            document = Tokenizer.open(demo.directory())
                    .encode(Files.readString(Path.of("LICENSE")), SpecialTokens.WITHOUT)
                    .subList(0, TOKENS);
        }
        add(table, "demo", document);
        for (String name : GOLDENS) {
            add(table, name, new Random(1).ints(TOKENS, 3, 384).boxed().toList());
        }
        System.out.println(table);
    }

    private static ModelFiles open(String name) {
        return name.equals("demo") ? ModelFiles.open(ModelSource.parse("demo")) : Golden.model(name);
    }

    private static void add(StringBuilder table, String name, List<Integer> tokens) {
        List<float[]> exact = logits(name, CachePolicy.EXACT, tokens);
        Map<CachePolicy, Cost> costs = new EnumMap<>(CachePolicy.class);
        for (CachePolicy policy : CachePolicy.values()) {
            if (policy.isLossy()) {
                costs.put(policy, cost(exact, logits(name, policy, tokens), tokens));
                Cost cost = costs.get(policy);
                table.append(String.format(
                        Locale.ROOT,
                        "| %s | %s | %.4f | %.4f | %.6f | %.1f %% |%n",
                        name,
                        policy.label(),
                        cost.mean(),
                        cost.most(),
                        cost.divergence(),
                        100 * cost.agreement()));
                assertThat(cost.mean()).as("%s %s", name, policy).isPositive();
            }
        }
        assertThat(costs.get(CachePolicy.INT4).mean())
                .as(name)
                .isGreaterThan(costs.get(CachePolicy.INT8).mean());
    }

    /** Of every row. In an exact cache the grid is the same, so that nothing but the codes differs. */
    private static List<float[]> logits(String name, CachePolicy policy, List<Integer> tokens) {
        try (ModelRun run = new ModelRun(open(name), GoldenTest.device(), BLOCK_TOKENS, BLOCK_TOKENS, LIMITS, policy)) {
            try (CacheSequence sequence = run.admit(ModelRun.CONTEXT_TOKENS, block -> CacheForm.HOST_KV)) {
                return run.prefill(Way.of(Schedule.CHUNKED), sequence, tokens, 100, LogitRows.ALL);
            }
        }
    }

    private static Cost cost(List<float[]> exact, List<float[]> lossy, List<Integer> tokens) {
        List<Double> differences = new ArrayList<>();
        double divergence = 0;
        int same = 0;
        for (int row = BLOCK_TOKENS; row < tokens.size() - 1; row++) {
            double[] before = logProbabilities(exact.get(row));
            double[] after = logProbabilities(lossy.get(row));
            int next = tokens.get(row + 1);
            differences.add(Math.abs(before[next] - after[next]));
            for (int token = 0; token < before.length; token++) {
                divergence += Math.exp(before[token]) * (before[token] - after[token]);
            }
            same += ModelRun.likeliest(exact.get(row)) == ModelRun.likeliest(lossy.get(row)) ? 1 : 0;
        }
        int rows = differences.size();
        return new Cost(
                differences.stream().mapToDouble(value -> value).average().orElseThrow(),
                differences.stream().mapToDouble(value -> value).max().orElseThrow(),
                divergence / rows,
                (double) same / rows);
    }

    private static double[] logProbabilities(float[] logits) {
        double largest = logits[ModelRun.likeliest(logits)];
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - largest);
        }
        double[] all = new double[logits.length];
        for (int token = 0; token < all.length; token++) {
            all[token] = logits[token] - largest - Math.log(sum);
        }
        return all;
    }
}
