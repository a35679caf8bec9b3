package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.LayerGroup;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.DoubleUnaryOperator;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * A time that no decode step of a load is below, wherever its tokens lie and however they are cut into chunks: what its
 * busiest lane has to do, at the best rate that any size of copy or kernel has. It is the least of three, because a
 * step pays for what it does and for nothing else:
 *
 * <ul>
 *   <li>all tokens are K and V on the device: one graph, without stages that are issued one by one;
 *   <li>nothing crosses the link, but some tokens are activations: each stage waits for the one before it;
 *   <li>something crosses the link, and slows down the kernels that run meanwhile.
 * </ul>
 *
 * The last two are {@linkplain PlacementProblem placement problems}.
 *
 * @param costs costs of stages
 * @param sequences number of sequences in the step
 * @param contextTokens cached tokens of each sequence
 * @param forms that may be used
 * @param streamedWeightBytes weights that cross the link in every step
 * @param deviceBudgetBytes device memory for full blocks
 * @param hostBudgetBytes host memory for full blocks
 */
public record StepBound(
        CostModel costs,
        int sequences,
        int contextTokens,
        Set<CacheForm> forms,
        long streamedWeightBytes,
        double deviceBudgetBytes,
        double hostBudgetBytes) {
    public StepBound {
        forms = Set.copyOf(forms);
    }

    /** The bound in nanoseconds; empty if the tokens do not fit. */
    public OptionalDouble nanos() {
        Set<CacheForm> onDevice = new TreeSet<>();
        Set<CacheForm> all = new TreeSet<>();
        for (CacheForm form : forms) {
            if (geometry().isUseful(form)) {
                all.add(form);
                if (form.place() == Place.DEVICE) {
                    onDevice.add(form);
                }
            }
        }
        return Stream.of(asGraph(), placed(onDevice, 1), placed(all, profile().linkContentionFactor()))
                .flatMapToDouble(OptionalDouble::stream)
                .min();
    }

    private OptionalDouble asGraph() {
        boolean fits = forms.stream()
                .anyMatch(form ->
                        form.isReadInPlace() && tokens() * geometry().tokenBytes(form.encoding()) <= deviceBudgetBytes);
        if (!fits) {
            return OptionalDouble.empty();
        }
        ToDoubleFunction<LayerGroup> layer =
                group -> inGraph(costs.curves(group).project().nanos(sequences))
                        + inGraph(costs.curves(group).feedForward().nanos(sequences))
                        + inGraph(costs.attentionNanos(group, sequences, tokens()));
        return OptionalDouble.of(Math.max(linkBaseNanos(), costs.baseNanos(sequences, layer, this::inGraph)));
    }

    /** The least time of a stage if the next one begins before it ends. */
    private double inGraph(double nanos) {
        return Math.max(0, nanos - profile().graphGain().nanos(sequences));
    }

    private OptionalDouble placed(Set<CacheForm> usable, double linkContentionFactor) {
        if (usable.isEmpty()) {
            return OptionalDouble.empty();
        }
        ToDoubleFunction<LayerGroup> layer =
                group -> costs.curves(group).project().nanos(sequences)
                        + costs.curves(group).feedForward().nanos(sequences)
                        + costs.leastAttentionNanos(group, sequences, CostModel.seenTokens(group, sequences, tokens()));
        double stages = CostModel.STAGES_OF_A_LAYER * profile().stageNanos();
        double compute = costs.baseNanos(
                sequences,
                group -> linkContentionFactor * layer.applyAsDouble(group) + stages,
                DoubleUnaryOperator.identity());
        List<Route> routes = new ArrayList<>();
        for (CacheForm form : CacheForm.all()) {
            if (usable.contains(form)) {
                routes.add(Route.atBestRates(form, costs, contextTokens, tokens()));
            }
        }
        PlacementProblem problem = new PlacementProblem(
                routes,
                tokens(),
                Map.of(Lane.LINK_IN, linkBaseNanos(), Lane.COMPUTE, compute),
                deviceBudgetBytes,
                hostBudgetBytes);
        return new PlacementSolver(problem).leastNanos();
    }

    private double linkBaseNanos() {
        return profile().linkIn().nanos(streamedWeightBytes);
    }

    private long tokens() {
        return (long) sequences * contextTokens;
    }

    private CacheGeometry geometry() {
        return costs.geometry();
    }

    private HardwareProfile profile() {
        return costs.profile();
    }
}
