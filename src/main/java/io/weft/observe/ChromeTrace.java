package io.weft.observe;

import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Stage;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Timelines in the trace event format, which Perfetto and Chrome read: a process of measured stages and two of
 * predicted ones, in each a thread for every lane. A prediction starts where its step began. Predictions alternate
 * between two processes: one that is longer than its step would overlap the next, which a thread must not. Times are in
 * microseconds.
 *
 * @param traceEvents all events
 * @param displayTimeUnit unit of the viewer
 */
public record ChromeTrace(List<Event> traceEvents, String displayTimeUnit) {
    private static final int MEASURED = 1;
    private static final int PREDICTED_EVEN = 2;
    private static final int PREDICTED_ODD = 3;

    public ChromeTrace {
        traceEvents = List.copyOf(traceEvents);
    }

    /**
     * An event.
     *
     * @param name name of a stage or a metadata event
     * @param ph {@code X} for a stage, {@code M} for metadata
     * @param ts start, in microseconds after the start of the earliest stage: viewers omit events before 0
     * @param dur microseconds
     * @param pid 1 for measured steps, 2 for predictions of even steps, 3 of odd ones
     * @param tid the lane, from 0
     * @param args figures of the stage, or a name
     */
    public record Event(String name, String ph, double ts, double dur, int pid, int tid, Map<String, Object> args) {
        public Event {
            args = new TreeMap<>(args);
        }
    }

    /** The trace of some steps, which are in the order of time. */
    public static ChromeTrace of(List<ObservedStep> steps) {
        List<Event> events = new ArrayList<>();
        name(events, MEASURED, "measured");
        name(events, PREDICTED_EVEN, "predicted, even steps");
        name(events, PREDICTED_ODD, "predicted, odd steps");
        if (!steps.isEmpty()) {
            Instant origin = steps.stream()
                    .map(ChromeTrace::firstBegun)
                    .min(Comparator.naturalOrder())
                    .orElseThrow();
            for (ObservedStep step : steps) {
                double start = Duration.between(origin, begun(step)).toNanos() / 1e3;
                stages(events, MEASURED, start, step.number(), step.measured());
                int predicted = step.number() % 2 == 0 ? PREDICTED_EVEN : PREDICTED_ODD;
                stages(events, predicted, start, step.number(), step.predicted());
            }
        }
        return new ChromeTrace(events, "ms");
    }

    /**
     * When the first stage of a step began, by measurement or prediction: before the step, if that stage was issued
     * ahead.
     */
    private static Instant firstBegun(ObservedStep step) {
        long nanos = Stream.of(step.measured(), step.predicted())
                .flatMap(timeline -> timeline.stages().stream())
                .mapToLong(StageTiming::startNanos)
                .min()
                .orElse(0);
        return begun(step).plusNanos(nanos);
    }

    private static Instant begun(ObservedStep step) {
        return step.endedAt().minusNanos(step.wallNanos());
    }

    private static void name(List<Event> events, int process, String name) {
        events.add(new Event("process_name", "M", 0, 0, process, 0, Map.of("name", name)));
        for (Lane lane : Lane.values()) {
            events.add(new Event("thread_name", "M", 0, 0, process, lane.ordinal(), Map.of("name", lane.label())));
        }
    }

    private static void stages(List<Event> events, int process, double start, long step, Timeline timeline) {
        for (StageTiming timing : timeline.stages()) {
            Stage stage = timing.planned().stage();
            Map<String, Object> figures = new TreeMap<>(figures(stage));
            figures.put("step", step);
            events.add(new Event(
                    stage.label(),
                    "X",
                    start + timing.startNanos() / 1e3,
                    timing.nanos() / 1e3,
                    process,
                    stage.lane().ordinal(),
                    figures));
        }
    }

    /** The figures on which a stage's time depends. */
    static Map<String, Long> figures(Stage stage) {
        return switch (stage) {
            case Stage.Upload upload -> Map.of();
            case Stage.Embed embed -> Map.of("rows", (long) embed.rows());
            case Stage.Transfer transfer ->
                Map.of(
                        "layer",
                        (long) transfer.layer(),
                        "chunk",
                        (long) transfer.chunk(),
                        "bytes",
                        transfer.bytes(),
                        "copies",
                        (long) transfer.copies());
            case Stage.Gather gather ->
                Map.of("layer", (long) gather.layer(), "chunk", (long) gather.chunk(), "bytes", gather.bytes());
            case Stage.Decode decode ->
                Map.of("layer", (long) decode.layer(), "chunk", (long) decode.chunk(), "tokens", (long)
                        decode.tokens());
            case Stage.Encode encode -> Map.of("layer", (long) encode.layer(), "blocks", (long) encode.blocks());
            case Stage.Project project -> Map.of("layer", (long) project.layer(), "rows", (long) project.rows());
            case Stage.Recompute recompute ->
                Map.of("layer", (long) recompute.layer(), "chunk", (long) recompute.chunk(), "tokens", (long)
                        recompute.tokens());
            case Stage.Attend attend ->
                Map.of("layer", (long) attend.layer(), "chunk", (long) attend.chunk(), "tokens", attend.tokens());
            case Stage.AttendWindow attend -> Map.of("layer", (long) attend.layer(), "tokens", attend.tokens());
            case Stage.FeedForward feedForward ->
                Map.of("layer", (long) feedForward.layer(), "rows", (long) feedForward.rows());
            case Stage.StoreOnDevice store -> Map.of("bytes", store.bytes(), "copies", (long) store.copies());
            case Stage.WriteOut writeOut -> Map.of("layer", (long) writeOut.layer(), "bytes", writeOut.bytes());
            case Stage.Promote promote -> Map.of("bytes", promote.bytes(), "copies", (long) promote.copies());
            case Stage.Head head -> Map.of("rows", (long) head.rows());
            case Stage.Download download -> Map.of("bytes", download.bytes());
        };
    }
}
