package io.weft.app;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.FunctionTimer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.weft.observe.Observatory;
import io.weft.observe.ObservedStep;
import io.weft.observe.Totals;
import io.weft.plan.step.Lane;
import io.weft.plan.step.StepTokens;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/** Metrics of steps. Ratios and the comparison with the prediction are those of the last timed step. */
final class StepMetrics {
    private StepMetrics() {}

    /** @param pinnedBytes host memory that the link reaches; 0 while the model loads */
    static void register(MeterRegistry registry, Observatory observatory, LongSupplier pinnedBytes) {
        FunctionCounter.builder(
                        "weft.link.bytes", observatory, one -> one.totals().linkBytes())
                .description("Cached tokens that crossed the link to the device")
                .baseUnit("bytes")
                .register(registry);
        FunctionCounter.builder(
                        "weft.moved.bytes", observatory, one -> one.totals().promotedBytes())
                .description("Full blocks that were copied to spare device memory for later steps")
                .baseUnit("bytes")
                .register(registry);
        FunctionTimer.builder(
                        "weft.step",
                        observatory,
                        one -> one.totals().steps(),
                        one -> one.totals().wallNanos(),
                        TimeUnit.NANOSECONDS)
                .description("Steps, from planning to logits on the host")
                .register(registry);
        FunctionCounter.builder(
                        "weft.drafted.tokens",
                        observatory,
                        one -> one.totals().passes().draftedTokens())
                .description("Drafted tokens that steps have checked")
                .register(registry);
        FunctionCounter.builder(
                        "weft.accepted.tokens",
                        observatory,
                        one -> one.totals().passes().acceptedTokens())
                .description("Drafted tokens that were right, each of which has saved a pass over a sequence's tokens")
                .register(registry);
        FunctionCounter.builder(
                        "weft.passes", observatory, one -> one.totals().passes().count())
                .description("Passes over a sequence's tokens that made a token, and one more for each accepted draft")
                .register(registry);
        Gauge.builder(
                        "weft.tokens.a.pass",
                        observatory,
                        one -> one.totals().passes().tokensAPass())
                .description("Tokens that a pass over a sequence's tokens has made, since the start")
                .register(registry);
        tokens(registry, observatory, "resident", StepTokens::resident);
        tokens(registry, observatory, "transferred", StepTokens::transferred);
        tokens(registry, observatory, "recomputed", StepTokens::recomputed);
        gauge(
                registry,
                observatory,
                "weft.link.busy.ratio",
                "Part of a step in which the link to the device is busy",
                step -> step.measured().busyRatio(Lane.LINK_IN));
        gauge(
                registry,
                observatory,
                "weft.compute.busy.ratio",
                "Part of a step in which the device computes",
                step -> step.measured().busyRatio(Lane.COMPUTE));
        gauge(
                registry,
                observatory,
                "weft.step.predicted.seconds",
                "A step by the simulator",
                step -> step.predicted().totalNanos() / 1e9);
        gauge(
                registry,
                observatory,
                "weft.step.measured.seconds",
                "The same step as it was timed",
                step -> step.measured().totalNanos() / 1e9);
        Gauge.builder("weft.pinned.bytes", pinnedBytes::getAsLong)
                .description("Host memory that the link reaches")
                .baseUnit("bytes")
                .register(registry);
    }

    private static void tokens(
            MeterRegistry registry, Observatory observatory, String way, ToLongFunction<StepTokens> tokens) {
        ToDoubleFunction<Observatory> counted = one -> {
            Totals totals = one.totals();
            return tokens.applyAsLong(totals.tokens());
        };
        FunctionCounter.builder("weft.step.tokens", observatory, counted)
                .description("Cached tokens of all steps, by what was done with them")
                .tag("way", way)
                .register(registry);
    }

    private static void gauge(
            MeterRegistry registry,
            Observatory observatory,
            String name,
            String description,
            ToDoubleFunction<ObservedStep> figure) {
        Gauge.builder(
                        name,
                        observatory,
                        one -> one.lastStep().map(figure::applyAsDouble).orElse(Double.NaN))
                .description(description)
                .register(registry);
    }
}
