package io.weft.plan.whatif;

import io.weft.model.CacheForm;
import io.weft.model.LayerDimensions;
import io.weft.model.LayerGroup;
import io.weft.plan.placement.Route;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Stage;
import java.util.Map;

/**
 * How long the prompt of a lone request takes, from some cached tokens on. It runs in steps of equal rows. A step takes
 * the longer of what it computes and of what its cached tokens take of the link; fill and drain are left out.
 *
 * @param costs costs of stages
 * @param stepRows new tokens of a step
 * @param tokensByForm how cached tokens are stored, in any unit
 */
record PromptTimes(CostModel costs, int stepRows, Map<CacheForm, Long> tokensByForm) {
    private static final int COPY_TOKENS = 1024;

    PromptTimes {
        tokensByForm = Map.copyOf(tokensByForm);
    }

    /** The time until the last of {@code tokens} tokens has run, of which {@code cachedTokens} were cached before. */
    double nanos(int tokens, int cachedTokens) {
        double nanos = 0;
        for (int at = cachedTokens; at < tokens; at += stepRows) {
            nanos += stepNanos(at, Math.min(stepRows, tokens - at));
        }
        return nanos;
    }

    private double stepNanos(int cached, int rows) {
        double compute = costs.nanos(new Stage.Upload())
                + costs.profile().embed().nanos(rows)
                + costs.profile().head().nanos(1)
                + costs.layersNanos(group -> layerNanos(group, cached, rows))
                + cached * nanosPerToken(Lane.COMPUTE);
        return Math.max(compute, cached * nanosPerToken(Lane.LINK_IN))
                + costs.profile().pauseNanos();
    }

    private double layerNanos(LayerGroup group, int cached, int rows) {
        int window = group.layer().window();
        long seen = Math.min((long) cached + rows, (long) window + rows);
        long pairs = LayerDimensions.rowTokens(cached, rows, window);
        return costs.curves(group).project().nanos(rows)
                + costs.curves(group).feedForward().nanos(rows)
                + Math.max(
                        costs.curves(group).loneReads().nanos(seen),
                        costs.curves(group).attentionPairs().nanos(pairs))
                + CostModel.STAGES_OF_A_LAYER * costs.profile().stageNanos();
    }

    /** What a cached token takes of a lane in a step, on average over the forms. */
    private double nanosPerToken(Lane lane) {
        long all = tokensByForm.values().stream().mapToLong(tokens -> tokens).sum();
        double nanos = 0;
        for (Map.Entry<CacheForm, Long> tokens : tokensByForm.entrySet()) {
            if (tokens.getValue() > 0) {
                nanos += (double) tokens.getValue()
                        / all
                        * Route.of(tokens.getKey(), costs, COPY_TOKENS, COPY_TOKENS)
                                .nanos(lane);
            }
        }
        return nanos;
    }
}
