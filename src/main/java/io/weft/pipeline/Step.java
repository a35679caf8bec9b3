package io.weft.pipeline;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.subscription.MultiEmitter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;

/** One step of the model over a batch. Nothing is issued before {@link #result} is subscribed to. */
public final class Step {
    private final List<MultiEmitter<? super StageCompleted>> observers = new ArrayList<>();
    private final Multi<StageCompleted> stages;
    private final Uni<StepResult> result;

    /** @param issue issues the step, given the observers of its stages and the future of its result */
    Step(BiConsumer<List<MultiEmitter<? super StageCompleted>>, CompletableFuture<StepResult>> issue) {
        this.stages = Multi.createFrom().emitter(observers::add);
        this.result = Uni.createFrom()
                .completionStage(() -> {
                    CompletableFuture<StepResult> outcome = new CompletableFuture<>();
                    issue.accept(List.copyOf(observers), outcome);
                    return outcome;
                })
                .memoize()
                .indefinitely();
    }

    /**
     * The stages in the order of completion: one item per stage, bound to the pair of events around it. Subscribe
     * before {@link #result}: a step without observers may run as a graph, and times only the transfers that it begins
     * for the next step, which may be observed. Items arrive on threads of the device, one at a time; the buffer is
     * bounded by the number of stages.
     */
    public Multi<StageCompleted> stages() {
        return stages;
    }

    /**
     * Issues the step when first subscribed to, on the subscribing thread and without waiting for the device; later
     * subscribers share the outcome. Fails with {@link io.weft.device.DeviceException} if the device does.
     */
    public Uni<StepResult> result() {
        return result;
    }
}
