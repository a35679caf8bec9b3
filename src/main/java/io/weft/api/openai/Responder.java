package io.weft.api.openai;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.subscription.UniEmitter;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.ApiError;
import io.weft.api.http.Delivery;
import io.weft.api.http.Errors;
import io.weft.api.http.EventStream;
import io.weft.api.http.RequestEdge;
import io.weft.api.http.ResponseStream;
import io.weft.api.openai.Generator.Generation;
import io.weft.engine.PrefixHit;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Sends the results of choices: as one JSON object, or as server-sent events. */
@Singleton
class Responder {
    private static final Map<String, String> JSON_HEADERS = Map.of("Content-Type", "application/json");

    private final Generator generator;
    private final Delivery delivery;
    private final ApiMetrics metrics;
    private final ObjectMapper json;

    Responder(Generator generator, Delivery delivery, ApiMetrics metrics, ObjectMapper json) {
        this.generator = generator;
        this.delivery = delivery;
        this.metrics = metrics;
        this.json = json;
    }

    /**
     * Runs the choices and writes the response, past the threads that read requests. Nothing is written before the
     * first token, so an error until then has its status: the result fails, and is still to be answered. It never ends
     * otherwise. Cancelling it, when the client has gone away, cancels the choices.
     *
     * @param promptTokens tokens of all prompts
     */
    Uni<Void> answer(
            GenerationFields fields,
            ResponseShape shape,
            List<Choice> choices,
            int promptTokens,
            RoutingContext routing) {
        Usage.Tally used = new Usage.Tally(fields, promptTokens);
        if (fields.streams()) {
            return answer(
                    out -> {
                        EventStream events = new EventStream(json, RequestEdge.requestId(routing), out);
                        return new Events(new ChunkEncoder(json, shape, fields.usageReports(), used, events), events);
                    },
                    EventStream.HEADERS,
                    choices,
                    routing);
        }
        return answer(
                out -> new Whole(
                        json, shape, choices.stream().map(ChoiceResult::new).toList(), used, out),
                JSON_HEADERS,
                choices,
                routing);
    }

    /** The same in the form of another API; there is one choice. */
    Uni<Void> answer(GenerationFields fields, TranslatedAnswer answer, Choice choice, RoutingContext routing) {
        String requestId = RequestEdge.requestId(routing);
        return answer(
                out -> fields.streams()
                        ? new NamedEvents(answer, new EventStream(json, requestId, out), requestId)
                        : new WholeTranslated(json, answer, out),
                fields.streams() ? EventStream.HEADERS : JSON_HEADERS,
                List.of(choice),
                routing);
    }

    private Uni<Void> answer(
            Function<ResponseStream, Body> body,
            Map<String, String> headers,
            List<Choice> choices,
            RoutingContext routing) {
        return Uni.createFrom().emitter(failure -> {
            Answer answer = new Answer(body, headers, choices, routing, failure);
            failure.onTermination(() -> answer.out.thread().execute(answer::gone));
            answer.generation.start();
        });
    }

    /** The parts of a body, from the results of choices. */
    private sealed interface Body {
        void admitted(Choice choice, PrefixHit hit);

        void add(Delta delta);

        void end();

        /** Ends a body that was begun. */
        void fail(Throwable cause);
    }

    private record NamedEvents(TranslatedAnswer answer, EventStream events, String requestId) implements Body {
        @Override
        public void admitted(Choice choice, PrefixHit hit) {
            answer.admitted(hit);
        }

        @Override
        public void add(Delta delta) {
            write(answer.add(delta));
        }

        private void write(List<AnswerForm.Event> written) {
            written.forEach(event -> events.event(event.name(), event.data()));
        }

        @Override
        public void end() {
            write(answer.end());
            events.end();
        }

        @Override
        public void fail(Throwable cause) {
            write(answer.fail(Errors.of(cause, requestId), requestId));
            events.end();
        }
    }

    private record WholeTranslated(ObjectMapper json, TranslatedAnswer answer, ResponseStream out) implements Body {
        @Override
        public void admitted(Choice choice, PrefixHit hit) {
            answer.admitted(hit);
        }

        @Override
        public void add(Delta delta) {
            answer.add(delta);
        }

        @Override
        public void end() {
            answer.end();
            out.write(EventStream.bytes(json, answer.whole()));
            out.end();
        }

        /** It is written at once, and nothing may follow. */
        @Override
        public void fail(Throwable cause) {}
    }

    private record Events(ChunkEncoder chunks, EventStream events) implements Body {
        @Override
        public void admitted(Choice choice, PrefixHit hit) {
            chunks.admitted(choice, hit);
        }

        @Override
        public void add(Delta delta) {
            chunks.write(delta);
        }

        @Override
        public void end() {
            chunks.end();
        }

        @Override
        public void fail(Throwable cause) {
            events.fail(cause);
        }
    }

    /** One JSON object. */
    private record Whole(
            ObjectMapper json, ResponseShape shape, List<ChoiceResult> results, Usage.Tally used, ResponseStream out)
            implements Body {
        @Override
        public void admitted(Choice choice, PrefixHit hit) {
            used.admitted(choice, hit);
        }

        @Override
        public void add(Delta delta) {
            used.add(delta);
            results.get(delta.choice().index()).add(delta);
        }

        @Override
        public void end() {
            out.write(EventStream.bytes(json, shape.whole(results, json.valueToTree(used.usage()))));
            out.end();
        }

        /** It is written at once, and nothing may follow. */
        @Override
        public void fail(Throwable cause) {}
    }

    /** A response that is being made; on its delivery thread. */
    private final class Answer implements Generator.Listener, ResponseStream.Reader {
        private final ResponseStream out;
        private final Body body;
        private final Generation generation;
        private final UniEmitter<? super Void> failure;

        Answer(
                Function<ResponseStream, Body> bodies,
                Map<String, String> headers,
                List<Choice> choices,
                RoutingContext routing,
                UniEmitter<? super Void> failure) {
            this.failure = failure;
            this.out = delivery.respond(routing.request(), headers, this);
            this.body = bodies.apply(out);
            this.generation = generator.of(choices, out.thread(), this);
        }

        @Override
        public void admitted(Choice choice, PrefixHit hit) {
            body.admitted(choice, hit);
        }

        @Override
        public void delta(Delta delta) {
            body.add(delta);
        }

        @Override
        public void ended() {
            body.end();
        }

        @Override
        public void failed(Throwable cause) {
            if (out.isUntouched()) {
                out.drop();
                failure.fail(cause);
            } else {
                body.fail(cause);
            }
        }

        @Override
        public void fellBehind() {
            metrics.slowReader();
            generation.cancel();
            body.fail(ApiError.slowReader().exception());
        }

        @Override
        public void gone() {
            generation.cancel();
            out.drop();
        }
    }
}
