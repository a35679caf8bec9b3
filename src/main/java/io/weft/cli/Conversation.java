package io.weft.cli;

import io.smallrye.mutiny.subscription.Cancellable;
import io.weft.app.Settings;
import io.weft.engine.Engine;
import io.weft.engine.GenerationEvent;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.ServedModel;
import io.weft.text.ChatTemplate;
import io.weft.text.TextAssembler;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.BlockingDeque;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A conversation with a model: each answer is printed as it comes, and everything that was said is part of the next
 * prompt. One thread at a time, but for {@link #interrupt}.
 */
final class Conversation {
    private final Engine engine;
    private final Tokenizer tokenizer;
    private final ChatTemplate template;
    private final Settings.RequestDefaults defaults;
    private final PrintWriter out;
    private final List<Map<String, Object>> messages = new ArrayList<>();
    private final List<Map<String, Object>> beginning;
    private long seed;

    /** Where the answer's events go, an interrupt before those that wait; null while there is no answer. */
    private final AtomicReference<BlockingDeque<Event>> answering = new AtomicReference<>();

    /** @param beginning messages with which it begins, and begins again */
    Conversation(
            Engine engine,
            Tokenizer tokenizer,
            ChatTemplate template,
            Settings.RequestDefaults defaults,
            List<Map<String, Object>> beginning,
            PrintWriter out) {
        this.engine = engine;
        this.tokenizer = tokenizer;
        this.template = template;
        this.defaults = defaults;
        this.beginning = List.copyOf(beginning);
        this.out = out;
        this.seed = defaults.seed().orElseGet(() -> new Random().nextLong());
        clear();
    }

    private sealed interface Event {
        record Token(int token) implements Event {}

        record Failed(Throwable cause) implements Event {}

        enum End implements Event {
            COMPLETE,
            INTERRUPTED
        }
    }

    /** Forgets what was said. */
    void clear() {
        messages.clear();
        messages.addAll(beginning);
    }

    /** What was said. */
    List<Map<String, Object>> messages() {
        return List.copyOf(messages);
    }

    /** Stops the answer; false if there is none. On any thread. */
    boolean interrupt() {
        BlockingDeque<Event> events = answering.get();
        return events != null && events.offerFirst(Event.End.INTERRUPTED);
    }

    /**
     * Prints the answer to what a user says. If there is none, it is as if nothing had been said.
     *
     * @throws IllegalArgumentException if the conversation is too long
     * @throws io.weft.text.ChatTemplateException if the template refuses it
     */
    void say(String text) throws InterruptedException {
        messages.add(Map.of("role", "user", "content", text));
        String answer;
        try {
            answer = answer(request());
        } catch (RuntimeException e) {
            messages.removeLast();
            throw e;
        }
        messages.add(Map.of("role", "assistant", "content", answer));
    }

    private GenerationRequest request() {
        ServedModel model = engine.model();
        List<Integer> tokens = tokenizer.encode(template.render(messages, Map.of()));
        int room = model.contextTokens() - tokens.size();
        if (room < 1) {
            throw new IllegalArgumentException(
                    "the conversation has %,d tokens, and the model's context %,d: begin a new one"
                            .formatted(tokens.size(), model.contextTokens()));
        }
        return new GenerationRequest(
                tokens,
                Math.min(room, defaults.maxTokens().orElse(room)),
                model.defaults().sampling(defaults.temperature(), seed++),
                EndTokens.STOP,
                OptionalInt.empty(),
                OptionalInt.empty());
    }

    private String answer(GenerationRequest request) throws InterruptedException {
        BlockingDeque<Event> events = new LinkedBlockingDeque<>();
        answering.set(events);
        Cancellable running = engine.generate(request)
                .subscribe()
                .with(
                        event -> {
                            if (event instanceof GenerationEvent.Generated(int token, var _, var _)) {
                                events.add(new Event.Token(token));
                            }
                        },
                        failure -> events.add(new Event.Failed(failure)),
                        () -> events.add(Event.End.COMPLETE));
        try {
            return print(
                    events,
                    new TextAssembler(tokenizer, request.promptTokens(), List.of(), SpecialTokens.WITHOUT, Set.of()));
        } finally {
            answering.set(null);
            running.cancel();
        }
    }

    private String print(BlockingDeque<Event> events, TextAssembler text) throws InterruptedException {
        StringBuilder all = new StringBuilder();
        while (true) {
            switch (events.take()) {
                case Event.Token(int token) -> print(text.add(token).text(), all);
                case Event.Failed(Throwable cause) -> throw new IllegalStateException(WeftMain.oneLine(cause), cause);
                case Event.End end -> {
                    print(text.finish(), all);
                    return all.toString();
                }
            }
        }
    }

    private void print(String text, StringBuilder all) {
        all.append(text);
        out.print(text);
        out.flush();
    }
}
