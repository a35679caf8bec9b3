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
 * kernels on the same memory as the one before, until a table or a launch is rounded up, or its batch changes; what
 * does differ stands in its index arrays.
 */
final class StepGraphs {
    /** For a batch that grows and shrinks. */
    private static final int GRAPHS_MOST = 8;

    private final Device device;
    private final StageIssuer issuer;
    /** The one that was not used for longest comes first. */
    private final LinkedHashMap<Launches, Graph> graphs = new LinkedHashMap<>(2 * GRAPHS_MOST, 0.75f, true);

    private @Nullable Launches last;
    private boolean refused;

    StepGraphs(Device device, StageIssuer issuer) {
        this.device = device;
        this.issuer = issuer;
    }

    /**
     * What the launches of a step depend on, beside what is the same in all steps: two steps with equal ones launch the
     * same.
     *
     * @param arrays places and sizes of the index arrays, hence rows, spans, and columns of the block table
     * @param head which of its rows give logits and tokens
     * @param staging where the workspace of recomputed tokens would be
     */
    private record Launches(StepIndex.Arrays arrays, HeadShape head, StagingLayout staging) {}

    /** How many are kept. */
    int count() {
        return graphs.size();
    }

    /**
     * The graph for the {@linkplain Stage#computesRows stages of rows} of a step; empty if these are to be issued one
     * by one. In a resident decode step they follow each other. A graph is captured when the launches come for the
     * second time in a row: some never come again, and what a kernel's first launch looks up has then been found. The
     * step before has ended.
     */
    Optional<Graph> of(StageIssuer.StepContext step, Stream stream) {
        if (refused || !step.plan().isResidentDecode()) {
            return Optional.empty();
        }
        Launches launches = new Launches(
                step.arrays(), step.plan().shape().head(), step.plan().staging());
        Graph known = graphs.get(launches);
        if (known != null) {
            return Optional.of(known);
        }
        boolean repeated = launches.equals(last);
        last = launches;
        return repeated ? capture(launches, step, stream) : Optional.empty();
    }

    private Optional<Graph> capture(Launches launches, StageIssuer.StepContext step, Stream stream) {
        Optional<Graph> captured = device.capture(
                stream,
                () -> step.plan().stages().stream()
                        .filter(planned -> planned.stage().computesRows())
                        .forEach(planned -> issuer.issue(planned.stage(), stream, step)));
        refused = captured.isEmpty();
        captured.ifPresent(graph -> keep(launches, graph));
        return captured;
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
