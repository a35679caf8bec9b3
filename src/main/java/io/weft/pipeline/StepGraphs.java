package io.weft.pipeline;

import io.weft.device.Device;
import io.weft.device.Graph;
import io.weft.device.Stream;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StagingLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The compute lanes of decode steps as graphs. A step whose cache lies on the device as K and V launches the same
 * kernels on the same memory as the one before, until a table or a launch is rounded up, or its batch changes; only the
 * contents of its index arrays differ.
 */
final class StepGraphs {
    /** Enough for a batch that grows and shrinks. */
    private static final int GRAPHS_MOST = 8;

    private final Device device;
    private final StageIssuer issuer;
    /** The least recently used graph comes first. */
    private final LinkedHashMap<Launches, Graph> graphs = new LinkedHashMap<>(2 * GRAPHS_MOST, 0.75f, true);

    private @Nullable Launches last;
    private boolean refused;

    StepGraphs(Device device, StageIssuer issuer) {
        this.device = device;
        this.issuer = issuer;
    }

    /**
     * The properties on which the launches of a step depend, besides those that all steps share: two steps with equal
     * ones launch the same.
     *
     * @param arrays places and sizes of the index arrays, and hence rows, spans and columns of the block table
     * @param head rows that give logits and tokens
     * @param staging place of the workspace of recomputed tokens
     */
    private record Launches(StepIndex.Arrays arrays, HeadShape head, StagingLayout staging) {}

    /** The number of graphs that are kept. */
    int count() {
        return graphs.size();
    }

    /**
     * The graph for the {@linkplain Stage#computesRows stages of rows} of a step; empty if they must be issued one by
     * one. In a resident decode step they follow each other.
     */
    Optional<Graph> of(StageIssuer.StepContext step) {
        return launches(step).map(graphs::get);
    }

    /**
     * Captures a graph for the steps that follow one which was just issued stage by stage, if that is the second step
     * in a row with the same launches: some never occur again, and the first launch of a kernel looks things up.
     * Capturing costs the calling thread milliseconds, so it happens while the device runs the step.
     */
    void follow(StageIssuer.StepContext step, Stream stream) {
        Optional<Launches> launches = launches(step);
        if (launches.isEmpty()) {
            return;
        }
        boolean repeated = launches.get().equals(last);
        last = launches.get();
        if (repeated) {
            capture(last, step, stream);
        }
    }

    private Optional<Launches> launches(StageIssuer.StepContext step) {
        if (refused || !step.plan().isResidentDecode()) {
            return Optional.empty();
        }
        return Optional.of(new Launches(
                step.arrays(), step.plan().shape().head(), step.plan().staging()));
    }

    private void capture(Launches launches, StageIssuer.StepContext step, Stream stream) {
        Optional<Graph> captured = device.capture(
                stream,
                () -> step.plan().stages().stream()
                        .filter(planned -> planned.stage().computesRows())
                        .forEach(planned -> issuer.issue(planned.stage(), stream, step)));
        refused = captured.isEmpty();
        captured.ifPresent(graph -> keep(launches, graph));
    }

    private void keep(Launches launches, Graph graph) {
        graphs.put(launches, graph);
        if (graphs.size() > GRAPHS_MOST) {
            Map.Entry<Launches, Graph> eldest = graphs.firstEntry();
            graphs.remove(eldest.getKey());
            eldest.getValue().close();
        }
    }
}
