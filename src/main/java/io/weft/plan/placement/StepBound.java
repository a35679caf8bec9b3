package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Stage;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.DoubleUnaryOperator;
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
        Set<CacheForm> onDevice = EnumSet.noneOf(CacheForm.class);
        Set<CacheForm> all = EnumSet.noneOf(CacheForm.class);
        for (CacheForm form : forms) {
            // Otherwise an activation takes more of every resource.
            if (form.content() == Content.KEY_VALUE || geometry().activationsAreSmaller()) {
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
        boolean fits = forms.contains(CacheForm.DEVICE_KV)
                && (double) tokens() * geometry().tokenBytes(Content.KEY_VALUE) <= deviceBudgetBytes;
        if (!fits) {
            return OptionalDouble.empty();
        }
        double layer = inGraph(profile().project().nanos(sequences))
                + inGraph(profile().feedForward().nanos(sequences))
                + inGraph(costs.attentionNanos(tokens(), tokens(), sequences));
        return OptionalDouble.of(Math.max(linkBaseNanos(), ofAllLayers(layer, this::inGraph)));
    }

    /** The least time of a stage if the next one begins before it ends. */
    private double inGraph(double nanos) {
        return Math.max(0, nanos - profile().graphGain().nanos(sequences));
    }

    private OptionalDouble placed(Set<CacheForm> usable, double linkContentionFactor) {
        if (usable.isEmpty()) {
            return OptionalDouble.empty();
        }
        double layer =
                profile().project().nanos(sequences) + profile().feedForward().nanos(sequences) + attentionNanos();
        double stages = CostModel.STAGES_OF_A_LAYER * profile().stageNanos();
        double compute = ofAllLayers(linkContentionFactor * layer + stages, nanos -> nanos);
        List<Route> routes = new ArrayList<>();
        for (CacheForm form : CacheForm.values()) {
            if (usable.contains(form)) {
                routes.add(route(form));
            }
        }
        PlacementProblem problem = new PlacementProblem(
                routes,
                tokens(),
                Map.of(Lane.LINK_IN, linkBaseNanos(), Lane.COMPUTE, compute),
                deviceBudgetBytes,
                hostBudgetBytes);
        return new PlacementSolver(problem)
                .placed()
                .map(solution -> OptionalDouble.of(solution.stepNanos()))
                .orElseGet(OptionalDouble::empty);
    }

    private double ofAllLayers(double layerNanos, DoubleUnaryOperator stage) {
        return geometry().dimensions().layers() * layerNanos
                + costs.nanos(new Stage.Upload())
                + stage.applyAsDouble(profile().embed().nanos(sequences))
                + stage.applyAsDouble(profile().head().nanos(sequences));
    }

    /** The time of attention to all tokens in one layer, in chunks of any size, each perhaps of a single sequence. */
    private double attentionNanos() {
        double lone = profile().loneReads().leastNanosPerUnit(tokens());
        double reads = sequences == 1
                ? lone
                : Math.min(lone, profile().attentionReads().leastNanosPerUnit(tokens()));
        return tokens() * Math.max(reads, profile().attentionPairs().leastNanosPerUnit(tokens()));
    }

    private Route route(CacheForm form) {
        Content content = form.content();
        int layers = geometry().dimensions().layers();
        long layerBytes = geometry().tokenLayerBytes(content);
        double bytes = geometry().tokenBytes(content);
        double recompute =
                content == Content.ACTIVATION ? layers * profile().keyValues().leastNanosPerUnit(tokens()) : 0;
        return switch (form.place()) {
            case HOST -> {
                double byteNanos = profile().linkIn().leastNanosPerUnit(contextTokens * layerBytes);
                yield new Route(
                        form, 0, bytes, Map.of(Lane.LINK_IN, layers * layerBytes * byteNanos, Lane.COMPUTE, recompute));
            }
            case DEVICE -> {
                double byteNanos = profile().deviceCopy().leastNanosPerUnit(tokens() * layerBytes);
                double gather = content == Content.ACTIVATION ? layers * layerBytes * byteNanos : 0;
                yield new Route(form, bytes, 0, Map.of(Lane.COMPUTE, recompute + gather));
            }
        };
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
