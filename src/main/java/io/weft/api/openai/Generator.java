package io.weft.api.openai;

import io.weft.api.http.DeliveryThread;
import io.weft.engine.CachedTokens;
import io.weft.engine.Engine;
import io.weft.engine.GenerationEvent;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.PrefixHit;
import io.weft.text.TextAssembler;
import io.weft.text.Tokenizer;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/** Runs choices on the engine and turns their tokens into text, on a delivery thread. */
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

    /** Who takes the results of choices, on their delivery thread. */
    interface Listener {
        /** A choice has left the queue. */
        void admitted(Choice choice, PrefixHit hit);

        /** The next part of a result. */
        void delta(Delta delta);

        /** All choices have ended. Nothing follows. */
        void ended();

        /** A choice has failed, and all others were cancelled. Nothing follows. */
        void failed(Throwable cause);
    }

    /** Choices of one response; they are on the engine once they were {@linkplain Generation#start started}. */
    Generation of(List<Choice> choices, DeliveryThread thread, Listener listener) {
        return new Generation(choices, thread, listener);
    }

    /** The choices of a response that are being generated. */
    final class Generation {
        private final DeliveryThread thread;
        private final Listener listener;
        private final List<Run> runs;
        private int open;
        /** Whether nobody listens any more. Only the delivery thread changes it. */
        private volatile boolean closed;

        private Generation(List<Choice> choices, DeliveryThread thread, Listener listener) {
            this.thread = thread;
            this.listener = listener;
            this.open = choices.size();
            this.runs = choices.stream().map(choice -> new Run(this, choice)).toList();
        }

        /** Submits the choices to the engine. */
        void start() {
            for (Run run : runs) {
                if (!closed) {
                    engine.generate(run.choice.request()).subscribe().withSubscriber(run);
                }
            }
            if (closed) {
                // It may have been cancelled before the last subscription was there.
                runs.forEach(Run::unsubscribe);
            }
        }

        /** Cancels what has not ended. Runs on the delivery thread. */
        void cancel() {
            if (!closed) {
                closed = true;
                runs.forEach(Run::cancel);
            }
        }

        private void fail(Throwable cause) {
            if (!closed) {
                cancel();
                listener.failed(cause);
            }
        }

        private void runEnded() {
            open--;
            if (open == 0 && !closed) {
                closed = true;
                try {
                    listener.ended();
                } catch (RuntimeException e) {
                    listener.failed(e);
                }
            }
        }
    }

    /**
     * A choice that is being generated. Its events arrive on the engine's thread, which must not spend time on text.
     */
    private final class Run implements Flow.Subscriber<GenerationEvent> {
        private final Generation generation;
        private final Choice choice;
        private final ApiMetrics.Meter meter;
        private volatile Flow.@Nullable Subscription subscription;

        private final TextAssembler assembler;
        private final Set<Integer> endTokens;
        private CachedTokens.@Nullable Homes homes;
        private int generatedTokens;
        /** The last token, whose chunk says why the choice ended. */
        private Optional<Delta.Token> last = Optional.empty();

        private boolean ended;

        Run(Generation generation, Choice choice) {
            this.generation = generation;
            this.choice = choice;
            this.assembler = new TextAssembler(
                    tokenizer,
                    choice.request().promptTokens(),
                    choice.stops().strings(),
                    choice.shown(),
                    choice.marks());
            this.endTokens = choice.request().endingTokens(engine.model());
            this.meter = metrics.submitted(choice);
        }

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            this.subscription = subscription;
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(GenerationEvent event) {
            if (event instanceof GenerationEvent.Admitted) {
                // Its time counts, and a step of a prompt may take long.
                generation.thread.execute(() -> take(event));
            } else {
                generation.thread.leave(() -> take(event));
            }
        }

        @Override
        public void onError(Throwable failure) {
            generation.thread.execute(() -> failed(failure));
        }

        /** The last event says so. */
        @Override
        public void onComplete() {}

        private void take(GenerationEvent event) {
            if (ended) {
                return;
            }
            try {
                receive(event);
            } catch (RuntimeException e) {
                failed(e);
            }
        }

        private void failed(Throwable cause) {
            if (!ended) {
                ended = true;
                meter.failed(cause);
                unsubscribe();
                generation.fail(cause);
            }
        }

        void cancel() {
            if (!ended) {
                ended = true;
                meter.cancelled();
                unsubscribe();
            }
        }

        private void unsubscribe() {
            Flow.Subscription submitted = subscription;
            if (submitted != null) {
                submitted.cancel();
            }
        }

        private void receive(GenerationEvent event) {
            switch (event) {
                case GenerationEvent.Admitted admitted -> {
                    meter.admitted(admitted.queued(), admitted.hit());
                    homes = admitted.homes();
                    generation.listener.admitted(choice, admitted.hit());
                }
                case GenerationEvent.PromptScored scored ->
                    generation.listener.delta(new Delta.PromptScored(choice, scored.scores()));
                case GenerationEvent.Generated generated -> token(generated);
                case GenerationEvent.Finished finished -> end(assembler.finish(), finished.reason(), Optional.empty());
            }
        }

        private void token(GenerationEvent.Generated generated) {
            meter.token();
            generatedTokens++;
            int place = assembler.codePoints();
            boolean ends = endTokens.contains(generated.token());
            switch (progress(generated.token(), ends)) {
                case TextAssembler.Progress.Open(String text) -> {
                    Delta.Token token = delta(generated, text, place);
                    if (ends || generatedTokens == choice.request().maxNewTokens()) {
                        last = Optional.of(token);
                    } else {
                        generation.listener.delta(token);
                    }
                }
                case TextAssembler.Progress.Stopped(String text, String stop) -> {
                    // A token may begin after the place where the text ends.
                    last = Optional.of(
                            switch (choice.stops().text()) {
                                case SHOWN -> delta(generated, text + stop, place);
                                case HIDDEN -> delta(generated, text, Math.min(place, assembler.codePoints()));
                            });
                    // The engine knows no text and would go on.
                    unsubscribe();
                    end("", FinishReason.STOP, Optional.of(stop));
                }
            }
        }

        /** An end token is no part of the text, unless stops are. */
        private TextAssembler.Progress progress(int token, boolean ends) {
            if (ends && choice.stops().text() == Choice.StopText.HIDDEN) {
                return new TextAssembler.Progress.Open("");
            }
            return generatedTokens <= choice.request().stops().minTokens()
                    ? new TextAssembler.Progress.Open(assembler.addExempt(token))
                    : assembler.add(token);
        }

        private Delta.Token delta(GenerationEvent.Generated generated, String text, int place) {
            return new Delta.Token(choice, text, generated.token(), generated.score(), place, generated.pass());
        }

        private void end(String text, FinishReason reason, Optional<String> stop) {
            meter.finished(reason);
            generation.listener.delta(new Delta.End(choice, last, text, reason, stop, cached()));
            ended = true;
            generation.runEnded();
        }

        /** The last generated token is not cached: no step has run it. */
        private CachedTokens cached() {
            int tokens = choice.request().promptTokens().size() + Math.max(0, generatedTokens - 1);
            return homes == null ? CachedTokens.NONE : homes.at(tokens);
        }
    }
}
