package io.weft.engine;

import io.smallrye.mutiny.subscription.MultiEmitter;
import io.weft.cache.CacheSequence;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationEvent.Finished;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationEvent.PromptScored;
import io.weft.engine.GenerationEvent.TokenScore;
import io.weft.engine.GenerationEvent.Usage;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.model.CacheForm;
import io.weft.pipeline.StepResult;
import io.weft.pipeline.StepSequence;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.pipeline.TokenChoice;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.step.BlockRun;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * A request from the queue to its end. Once it is admitted, only the engine's thread calls anything but
 * {@link #cancel}.
 */
final class ActiveRequest {
    private static final System.Logger LOG = System.getLogger(ActiveRequest.class.getName());

    private final GenerationRequest request;
    private final Set<Integer> endTokens;
    private final MultiEmitter<? super GenerationEvent> events;
    private final Sampler sampler;
    private final Optional<ConstrainedText> constrained;
    private final List<TokenScore> promptScores = new ArrayList<>();
    private final long queuedSinceNanos;
    private @Nullable CacheSequence cache;
    private boolean begun;
    private volatile boolean cancelled;
    private boolean finished;
    private int lastToken;
    private int completionTokens;
    private long usedTokens;

    /**
     * @param nowNanos time of its arrival
     * @param maskThreads make the masks of a constraint
     */
    ActiveRequest(
            GenerationRequest request,
            ServedModel model,
            MultiEmitter<? super GenerationEvent> events,
            long nowNanos,
            Executor maskThreads) {
        this.request = request;
        this.queuedSinceNanos = nowNanos;
        this.endTokens = request.endingTokens(model);
        this.events = events;
        this.sampler = new Sampler(
                request.sampling(),
                request.promptTokens(),
                new Sampler.Barred(endTokens, request.stops().minTokens()));
        this.constrained = request.constraint()
                .map(constraint -> new ConstrainedText(
                        constraint, request.maxNewTokens(), !model.endTokens().isEmpty(), maskThreads));
    }

    /** The most tokens that the request may hold. */
    int maxTokens() {
        return request.promptTokens().size() + request.maxNewTokens();
    }

    int promptTokens() {
        return request.promptTokens().size();
    }

    /** The name of the client. */
    String client() {
        return request.terms().client();
    }

    /** The lower runs first. */
    int priority() {
        return request.terms().priority();
    }

    /** Why the request ends now, if its time is over. */
    Optional<Reason> timedOut(long nowNanos) {
        return request.terms()
                .timeout()
                .filter(timeout -> nowNanos - queuedSinceNanos > timeout.toNanos())
                .map(timeout -> new Reason.TimedOut(timeout, completionTokens));
    }

    /** Counts tokens against its client. */
    void use(int tokens) {
        usedTokens += tokens;
    }

    /** What the request has used since this was last asked: a generated token counts as two of the prompt. */
    long takeUsedTokens() {
        long used = usedTokens;
        usedTokens = 0;
        return used;
    }

    /** Cancels the request, since nobody listens any more. */
    void cancel() {
        cancelled = true;
    }

    boolean isCancelled() {
        return cancelled;
    }

    boolean isFinished() {
        return finished;
    }

    void admit(CacheSequence sequence) {
        cache = sequence;
    }

    /** Adds the tokens of its homes by form, including homes that are not filled yet. */
    void occupy(Map<CacheForm, Long> tokensByForm) {
        for (CacheForm form : cache().forms()) {
            tokensByForm.merge(form, (long) cache().blockTokens(), Long::sum);
        }
    }

    /** The request in the form that decides on copying its blocks. */
    MovePlanner.Running placed() {
        CacheSequence sequence = cache();
        return new MovePlanner.Running(
                sequence.forms(0, sequence.closedBlocks()),
                sequence.tokens(),
                request.maxNewTokens() - completionTokens);
    }

    /** Copies some of its full blocks to the device, as far as memory allows. */
    void promote(BlockRun blocks) {
        cache().promote(blocks.firstBlock(), blocks.blocks());
    }

    /** The number of its full blocks. */
    int closedBlocks() {
        return cache().closedBlocks();
    }

    /** The forms that its blocks to come prefer. */
    List<CacheForm> formsToCome() {
        List<CacheForm> all = cache().forms();
        return all.subList(cache().closedBlocks(), all.size());
    }

    private CacheSequence cache() {
        if (cache == null) {
            throw new IllegalStateException("request is not admitted");
        }
        return cache;
    }

    /** Whether the prompt is cached, so that a step runs one token of it. */
    boolean isDecoding() {
        return promptTokensLeft() == 0;
    }

    int promptTokensLeft() {
        return Math.max(0, promptTokens() - cache().tokens());
    }

    /**
     * The request's part in the next step: at most {@code rows} rows, of which at most {@code logitRows} have logits.
     *
     * @param nowNanos start of the step
     */
    StepSequence next(int rows, int logitRows, long nowNanos) {
        if (!begun) {
            begun = true;
            events.emit(new Admitted(
                    Duration.ofNanos(nowNanos - queuedSinceNanos),
                    PrefixHit.NONE,
                    new CachedTokens.Homes(cache().blockTokens(), cache().forms())));
        }
        if (isDecoding()) {
            return opened(List.of(lastToken), LogitRows.NONE);
        }
        int done = cache().tokens();
        int most = request.promptLogprobs().isPresent() ? Math.min(rows, logitRows) : rows;
        int newTokens = Math.min(promptTokensLeft(), most);
        LogitRows scored = request.promptLogprobs().isPresent() ? LogitRows.ALL : LogitRows.NONE;
        return opened(request.promptTokens().subList(done, done + newTokens), scored);
    }

    /** @param scored the rows of the prompt that are scored */
    private StepSequence opened(List<Integer> tokens, LogitRows scored) {
        boolean generates = tokens.size() >= promptTokensLeft() && request.maxNewTokens() > 0;
        boolean scoresToken = generates && request.logprobs().isPresent() && scored == LogitRows.NONE;
        if (!cache().open(tokens.size())) {
            throw new IllegalStateException("the cache has no memory for " + tokens.size() + " more tokens");
        }
        return new StepSequence(
                cache(),
                tokens,
                scoresToken ? LogitRows.LAST : scored,
                generates ? Optional.of(choice()) : Optional.empty());
    }

    private TokenChoice choice() {
        TokenChoice choice = sampler.next();
        return constrained.map(text -> choice.among(text.mask())).orElse(choice);
    }

    /** Takes the result of a step for its part, which has index {@code sequence} in the batch. */
    void advance(StepSequence part, StepResult result, int sequence) {
        int firstPosition = cache().tokens();
        int rows = part.newTokens().size();
        cache().commit(part.newTokens());
        use(rows);
        if (part.logits() == LogitRows.ALL) {
            scorePrompt(result, sequence, firstPosition, rows);
        }
        if (promptTokensLeft() > 0) {
            return;
        }
        if (completionTokens == 0 && request.promptLogprobs().isPresent()) {
            events.emit(new PromptScored(promptScores));
        }
        if (request.maxNewTokens() == 0) {
            finish(FinishReason.LENGTH);
        } else {
            generate(part, result, sequence);
        }
    }

    /** The row at position p scores the token at p + 1. */
    private void scorePrompt(StepResult result, int sequence, int firstPosition, int rows) {
        int alternatives = request.promptLogprobs().orElseThrow();
        for (int i = 0; i < rows && firstPosition + i + 1 < promptTokens(); i++) {
            int next = request.promptTokens().get(firstPosition + i + 1);
            TokenScore score = TokenScorer.score(result.logits(sequence, i), next, alternatives);
            if (Float.isNaN(score.logprob())) {
                throw new NonFiniteLogitsException(firstPosition + i);
            }
            promptScores.add(score);
        }
    }

    private void generate(StepSequence part, StepResult result, int sequence) {
        int position = promptTokens() + completionTokens - 1;
        lastToken = result.token(sequence).orElseThrow(() -> new NonFiniteLogitsException(position));
        constrained.ifPresent(text -> text.advance(lastToken));
        sampler.remember(lastToken);
        completionTokens++;
        use(1);
        Optional<TokenScore> score = Optional.empty();
        if (request.logprobs().isPresent()) {
            float[] logits = result.logits(sequence, part.logitRows() - 1);
            score = Optional.of(
                    TokenScorer.score(logits, lastToken, request.logprobs().getAsInt()));
        }
        events.emit(new Generated(lastToken, score));
        boolean complete = constrained.map(ConstrainedText::isComplete).orElse(false);
        if (complete || endTokens.contains(lastToken)) {
            finish(FinishReason.STOP);
        } else if (completionTokens == request.maxNewTokens()) {
            finish(FinishReason.LENGTH);
        }
    }

    private void finish(FinishReason reason) {
        finished = true;
        free();
        events.emit(new Finished(reason, new Usage(promptTokens(), completionTokens)));
        events.complete();
    }

    /** Fails the request; no step may be running. */
    void fail(Throwable cause) {
        free();
        abandon(cause);
    }

    /** Fails the request, but leaves its cache to a step that may never end. */
    void abandon(Throwable cause) {
        finished = true;
        try {
            events.fail(cause);
        } catch (RuntimeException e) {
            LOG.log(Level.ERROR, "a listener of a request failed", e);
        }
    }

    /** Frees the request's cache; no step may be running. */
    void free() {
        constrained.ifPresent(ConstrainedText::close);
        if (cache != null) {
            cache.close();
        }
    }
}
