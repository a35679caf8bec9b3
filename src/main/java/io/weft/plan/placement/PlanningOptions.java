package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.placement.Planning.Prediction;
import io.weft.plan.prediction.AdaptivePlanner;
import io.weft.plan.prediction.ChunkSizes;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.DraftPlanner;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Planner;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * The options of a {@link Planning}, which also depends on the costs of stages.
 *
 * @param schedule schedule of the steps; if empty, what fits stays on the device, the rest crosses in chunks, and
 *     blocks move while sequences run
 * @param sequences sequences of a full batch, at least 1
 * @param contextTokens tokens of a full context, at least 1
 * @param stagingBytes staging memory
 * @param chunkTokens the most staged tokens of a chunk; if empty, the fastest for each step
 */
public record PlanningOptions(
        Optional<Schedule> schedule, int sequences, int contextTokens, long stagingBytes, OptionalInt chunkTokens) {
    public PlanningOptions {
        if (sequences < 1 || contextTokens < 1) {
            throw new IllegalArgumentException("planning for %d sequences of %d tokens, both must be at least 1"
                    .formatted(sequences, contextTokens));
        }
    }

    /** The planning with the current costs of stages. */
    public Planning planning(CostModel costs) {
        StepPlanner planner = chunkTokens.isPresent() ? planner(costs, chunkTokens.getAsInt()) : fastest(costs);
        Placements placements = placements(costs, planner.chunkTokens());
        AdaptivePlanner adaptive = new AdaptivePlanner(planner, costs);
        Planner steps = chunkTokens.isPresent() ? planner : adaptive;
        Optional<DraftPlanner> drafts = Optional.of(
                new DraftPlanner(costs, shape -> chunkTokens.isPresent() ? planner : adaptive.planner(shape)));
        Prediction prediction = Prediction.of(costs);
        if (schedule.isPresent()) {
            PlacementPolicy policy = policy(placements);
            return new Planning(steps, prediction, (occupancy, tokens) -> policy, Optional.empty(), drafts);
        }
        return new Planning(
                steps,
                prediction,
                (occupancy, tokens) -> placements.admission(occupancy, tokens).orAnyOther(costs.geometry()),
                Optional.of(new MovePlanner(costs, planner.chunkTokens())),
                drafts);
    }

    /** A planner with the fastest chunks for a full batch of full contexts. */
    private StepPlanner fastest(CostModel costs) {
        int cellTokens = costs.geometry().cellTokens();
        PlacementPolicy policy = policy(placements(costs, cellTokens));
        return ChunkSizes.fastest(planner(costs, cellTokens), costs, fullStep(costs.geometry(), policy));
    }

    private StepPlanner planner(CostModel costs, int tokens) {
        return new StepPlanner(
                costs.geometry(), schedule.orElse(Schedule.CHUNKED), stagingBytes, tokens, StagingLayout.SLOTS_USUAL);
    }

    private Placements placements(CostModel costs, int tokens) {
        return new Placements(costs, new DecodeLoad(sequences, contextTokens, tokens));
    }

    private PlacementPolicy policy(Placements placements) {
        return schedule.map(placements::policy).orElseGet(placements::automatic);
    }

    /** A step in which all sequences decode with full contexts, and no full block is on the device. */
    private StepShape fullStep(CacheGeometry geometry, PlacementPolicy policy) {
        int blocks = (contextTokens - 1) / geometry.blockTokens();
        // The new token is the first of an open block, and fills it if a block has only one token.
        int closing = 1 / geometry.blockTokens();
        List<CacheForm> forms = IntStream.range(0, blocks + closing)
                .mapToObj(block -> policy.forms(block, contextTokens).getLast())
                .toList();
        SequenceShape sequence =
                new SequenceShape(forms.subList(0, blocks), 0, 1, forms.subList(blocks, blocks + closing));
        return new StepShape(Collections.nCopies(sequences, sequence), HeadShape.tokens(sequences));
    }
}
