package io.weft.api.openai;

import io.weft.api.http.ApiError;
import io.weft.api.openai.AnswerForm.Event;
import io.weft.engine.PrefixHit;
import io.weft.text.tools.Output;
import io.weft.text.tools.OutputParser;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;

/** Takes the answer of a chat apart for another API's {@link AnswerForm}. One choice; one thread at a time. */
final class TranslatedAnswer {
    private final AnswerForm form;
    private AnswerForm.Start start;
    private final OutputParser parser;
    /** Counts calls that are no JSON. */
    private final IntConsumer malformedCalls;

    private boolean begun;
    private boolean answers;
    private int tokens;
    private int reasoningTokens;
    private AnswerForm.Reason reason = AnswerForm.Reason.STOP;
    private Optional<String> stop = Optional.empty();

    TranslatedAnswer(AnswerForm form, AnswerForm.Start start, ChatReading reading, IntConsumer malformedCalls) {
        this.form = form;
        this.start = start;
        this.parser = reading.parser();
        this.malformedCalls = malformedCalls;
    }

    /** The choice has left the queue. */
    void admitted(PrefixHit hit) {
        start = start.withCached(hit.tokens());
    }

    List<Event> add(Delta delta) {
        List<Event> events = new ArrayList<>(2);
        if (!begun) {
            begun = true;
            events.addAll(form.begin(start));
        }
        switch (delta) {
            case Delta.Token token -> add(token, events);
            case Delta.End end -> {
                end.token().ifPresent(token -> add(token, events));
                add(parser.add(end.text()), events);
                add(parser.finish(), events);
                reason = switch (end.reason()) {
                    case STOP -> AnswerForm.Reason.STOP;
                    case LENGTH -> AnswerForm.Reason.LENGTH;
                };
                stop = end.stop();
                malformedCalls.accept(parser.malformedCalls());
            }
            case Delta.PromptScored scored -> {}
        }
        return events;
    }

    private void add(Delta.Token token, List<Event> events) {
        tokens++;
        add(parser.add(token.text()), events);
    }

    private void add(List<Output> parts, List<Event> events) {
        for (Output part : parts) {
            if (!(part instanceof Output.Reasoning)) {
                answers = true;
            } else if (!answers) {
                reasoningTokens = tokens;
            }
            events.addAll(form.add(part));
        }
    }

    /** The events after all tokens. */
    List<Event> end() {
        return form.end(new AnswerForm.End(reason, stop, tokens, reasoningTokens));
    }

    List<Event> fail(ApiError error, String requestId) {
        return form.fail(error, requestId);
    }

    Object whole() {
        return form.whole();
    }
}
