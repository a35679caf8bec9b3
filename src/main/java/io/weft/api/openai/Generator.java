package io.weft.api.openai;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.infrastructure.Infrastructure;
import io.weft.engine.CachedTokens;
import io.weft.engine.Engine;
import io.weft.engine.GenerationEvent;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.text.TextAssembler;
import io.weft.text.Tokenizer;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Runs choices on the engine and turns their tokens into text, on worker threads. */
@Singleton
class Generator {
    private final Engine engine;
    private final Tokenizer tokenizer;
    private final ApiMetrics metrics;

    Generator(Engine engine, Tokenizer tokenizer, ApiMetrics metrics) {
        this.engine = engine;
        this.tokenizer = tokenizer;
        this.metrics = metrics;
    }

    /** The results of all choices, as they arrive. Cancelling it cancels all choices. */
    Multi<Delta> generate(List<Choice> choices) {
        List<Multi<Delta>> streams = choices.stream().map(this::generate).toList();
        return streams.size() == 1
                ? streams.getFirst()
                : Multi.createBy().merging().withConcurrency(streams.size()).streams(streams);
    }

    private Multi<Delta> generate(Choice choice) {
        return Multi.createFrom().deferred(() -> {
            Run run = new Run(choice);
            // Events arrive on the engine's thread, which must not spend time on text.
            return engine.generate(choice.request())
                    .emitOn(Infrastructure.getDefaultExecutor())
                    .onFailure()
                    .invoke(run.meter::failed)
                    .onCancellation()
                    .invoke(run.meter::cancelled)
                    .onItem()
                    .transformToIterable(run::deltas)
                    .select()
                    .first(delta -> !(delta instanceof Delta.Closed));
        });
    }

    /** A choice that is being generated. One thread at a time. */
    private final class Run {
        private final Choice choice;
        private final TextAssembler assembler;
        private final Set<Integer> endTokens;
        private final ApiMetrics.Meter meter;
        private CachedTokens.@Nullable Homes homes;
        private int generatedTokens;

        Run(Choice choice) {
            this.choice = choice;
            this.assembler = new TextAssembler(tokenizer, choice.stops(), choice.shown());
            this.endTokens = choice.request().endTokens() == EndTokens.IGNORE
                    ? Set.of()
                    : engine.model().endTokens();
            this.meter = metrics.submitted(choice);
        }

        private List<Delta> deltas(GenerationEvent event) {
            return switch (event) {
                case GenerationEvent.Admitted admitted -> {
                    meter.admitted(admitted.queued());
                    homes = admitted.homes();
                    yield List.of();
                }
                case GenerationEvent.PromptScored scored -> List.of(new Delta.PromptScored(choice, scored.scores()));
                case GenerationEvent.Generated generated -> token(generated);
                case GenerationEvent.Finished finished -> end(assembler.finish(), finished.reason());
            };
        }

        private List<Delta> token(GenerationEvent.Generated generated) {
            meter.token();
            generatedTokens++;
            if (endTokens.contains(generated.token())) {
                return List.of(new Delta.Token(choice, "", generated.token(), generated.score()));
            }
            return switch (assembler.add(generated.token())) {
                case TextAssembler.Progress.Open(String text) ->
                    List.of(new Delta.Token(choice, text, generated.token(), generated.score()));
                case TextAssembler.Progress.Stopped(String text, String stop) -> stopped(generated, text);
            };
        }

        /** The last generated token is not cached: no step has run it. */
        private CachedTokens cached() {
            int tokens = choice.request().promptTokens().size() + Math.max(0, generatedTokens - 1);
            return homes == null ? CachedTokens.NONE : homes.at(tokens);
        }

        private List<Delta> stopped(GenerationEvent.Generated generated, String text) {
            meter.finished(FinishReason.STOP);
            return List.of(
                    new Delta.Token(choice, text, generated.token(), generated.score()),
                    new Delta.End(choice, "", FinishReason.STOP, cached()),
                    new Delta.Closed(choice));
        }

        private List<Delta> end(String text, FinishReason reason) {
            meter.finished(reason);
            return List.of(new Delta.End(choice, text, reason, cached()));
        }
    }
}
