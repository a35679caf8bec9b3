package io.weft.engine;

import io.smallrye.mutiny.subscription.MultiEmitter;
import io.weft.cache.CacheSequence;
import io.weft.cache.KvCache;
import io.weft.cache.Prompt;
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
import io.weft.pipeline.TokenMask;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.prediction.DraftAcceptance;
import io.weft.plan.prediction.DraftPlanner;
import io.weft.plan.step.BlockRun;
import io.weft.plan.step.SequenceShape;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A request from the queue to its end. Once it is admitted, only the engine's thread calls anything but
 * {@link #cancel}.
 *
 * <p>Its tokens are those of the prompt and those that it has generated. A step runs some of them that are not cached
 * yet; the row of the last one makes the next token. So a request that has lost its cached tokens goes on as one that
 * never did.
 */
final class ActiveRequest {
    private static final System.Logger LOG = System.getLogger(ActiveRequest.class.getName());

    /** Most texts are no longer, so no more is planned for until one is. */
    private static final int USUAL_NEW_TOKENS_MOST = 1024;

    /** Changes of logits in all rows with drafts: each row brings its own, and they take the host's time. */
    private static final int EDITS_MOST = 8192;

    private final GenerationRequest request;
    private final Set<Integer> endTokens;
    private final MultiEmitter<? super GenerationEvent> events;
    private final Sampler sampler;
    private final Optional<ConstrainedText> constrained;
    private final Optional<Drafter.Source> drafters;
    private final Executor threads;
    /** Once it was admitted. */
    private @Nullable Drafts drafts;

    private final List<TokenScore> promptScores = new ArrayList<>();
    private final long queuedSinceNanos;
    private final List<Integer> generated = new ArrayList<>();
    private boolean begun;
    private boolean shrunk;
    private @Nullable Prompt prompt;
    /** Of the prompt's, for the next admission. */
    private int readTokens;

    private @Nullable Admission admission;
    private CachedTokens.@Nullable Homes homes;
    private volatile boolean cancelled;
    private boolean finished;
    /** Tokens that were counted against the client; what is computed again is not. */
    private int countedTokens;

    private long usedTokens;

    /**
     * A place in the cache.
     *
     * @param cache the tokens that are cached
     * @param policy where full blocks go
     */
    private record Admission(CacheSequence cache, PlacementPolicy policy) {}

    /**
     * @param nowNanos time of its arrival
     * @param drafters guess its tokens
     * @param threads make the masks of a constraint, and drafters
     */
    ActiveRequest(
            GenerationRequest request,
            ServedModel model,
            MultiEmitter<? super GenerationEvent> events,
            long nowNanos,
            Optional<Drafter.Source> drafters,
            Executor threads) {
        this.request = request;
        this.drafters = drafters;
        this.threads = threads;
        this.queuedSinceNanos = nowNanos;
        this.endTokens = request.endingTokens(model);
        this.events = events;
        this.sampler = new Sampler(
                request.sampling(),
                request.promptTokens(),
                new Sampler.Barred(endTokens, request.stops().minTokens()));
        this.constrained = request.constraint()
                .map(constraint -> new ConstrainedText(
                        constraint, request.maxNewTokens(), !model.endTokens().isEmpty(), threads));
    }

    /** The most tokens that the request may hold. */
    int maxTokens() {
        return request.promptTokens().size() + request.maxNewTokens();
    }

    /** The tokens that the request is likely to hold in the end, for planning. */
    int expectedTokens() {
        int more = Math.max(USUAL_NEW_TOKENS_MOST, 2 * generated.size());
        return request.promptTokens().size() + Math.min(request.maxNewTokens(), more);
    }

    int promptTokens() {
        return request.promptTokens().size();
    }

    /** All tokens that are known: those of the prompt, and the generated ones. */
    int knownTokens() {
        return promptTokens() + generated.size();
    }

    /** The known tokens {@code [from, to)}. */
    private List<Integer> known(int from, int to) {
        int prompt = promptTokens();
        List<Integer> tokens =
                new ArrayList<>(request.promptTokens().subList(Math.min(from, prompt), Math.min(to, prompt)));
        tokens.addAll(generated.subList(Math.max(from - prompt, 0), Math.max(to - prompt, 0)));
        return tokens;
    }

    /** All of them. Many requests may wait, so the tokens of a prompt are copied only once there are more. */
    private List<Integer> knownAll() {
        return generated.isEmpty() ? request.promptTokens() : known(0, knownTokens());
    }

    /** What its sequence begins with, without anything that is known already. */
    Prompt unnamedPrompt() {
        return Prompt.unnamed(knownAll(), maxTokens());
    }

    /** Its blocks are to have the smallest form from its next admission on. */
    void shrink() {
        shrunk = true;
        prompt = null;
    }

    boolean isShrunk() {
        return shrunk;
    }

    /** What its sequence begins with, whenever it is admitted. */
    Prompt prompt(KvCache cache) {
        Prompt begins = prompt;
        if (begins == null) {
            // Scores of the prompt need the logits of all its rows. Known blocks may be large.
            begins = request.promptLogprobs().isPresent() || shrunk
                    ? unnamedPrompt()
                    : cache.prompt(
                            knownAll(), maxTokens(), request.terms().scope().text());
            prompt = begins;
        }
        return begins;
    }

    /** The tokens of its prompt that were brought from the disk for it. */
    void readAhead(int tokens) {
        readTokens = tokens;
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
                .map(timeout -> new Reason.TimedOut(timeout, generated.size()));
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

    /** @param policy where its full blocks go */
    void admit(CacheSequence sequence, PlacementPolicy policy) {
        admission = new Admission(sequence, policy);
        prompt = null;
        if (homes == null) {
            homes = new CachedTokens.Homes(sequence.blockTokens(), List.of());
        }
        homes.restart();
        noteHomes();
        if (drafts == null) {
            drafts =
                    drafters.map(source -> new Drafts(source, request, threads)).orElse(null);
        }
    }

    /**
     * Gives its place in the cache back, to be admitted again: what is cached of it may be lost, and nothing else. No
     * step may be running.
     */
    void suspend() {
        cache().close();
        admission = null;
    }

    /** Whether not all full blocks of its prompt are cached. */
    boolean fillsPrompt() {
        return cache().fillsPrompt();
    }

    /** Whether it is about to fill a block with which a sequence of that prompt begins. */
    boolean fillsFor(Prompt other) {
        return cache().fillsFor(other);
    }

    /** Takes memory for the next {@code rows} tokens; false if there is none, and then nothing has changed. */
    boolean open(int rows) {
        return cache().open(rows);
    }

    /** Takes memory for a decoding step with drafted tokens; false if there is none, and then nothing has changed. */
    boolean openDrafting(int drafted) {
        return cache().open(1 + drafted, drafted);
    }

    /**
     * The draft of the tokens after the next one, once for each step in which it decodes. Without those that are not
     * allowed, that would end the completion, or for which nothing more could follow.
     */
    List<Integer> draft() {
        if (drafts == null) {
            return List.of();
        }
        List<Integer> draft = drafts.next();
        int most = Math.min(request.maxNewTokens() - generated.size() - 1, EDITS_MOST / Math.max(1, sampler.edits()));
        int allowed = 0;
        while (allowed < Math.min(draft.size(), most) && !endTokens.contains(draft.get(allowed))) {
            allowed++;
        }
        List<Integer> first = draft.subList(0, allowed);
        return first.subList(0, constrained.map(text -> text.allowed(first)).orElse(first.size()));
    }

    /** What is known of its drafts, as an offer to check some of them. */
    DraftPlanner.Offer offer(List<Integer> draft) {
        return new DraftPlanner.Offer(draft.size(), drafts == null ? new DraftAcceptance() : drafts.acceptance());
    }

    /** The shape of its part in a step in which it decodes without drafts; it was {@linkplain #open opened} for it. */
    SequenceShape decodeShape() {
        int closed = cache().closedBlocks();
        return new SequenceShape(
                cache().forms(0, closed),
                cache().openTokens(),
                1,
                cache().forms(closed, closed + cache().closingBlocks()));
    }

    /** Adds the tokens of its blocks by form, including those that it is likely to fill. */
    void occupy(Map<CacheForm, Long> tokensByForm) {
        Stream.concat(
                        cache().forms(0, cache().closedBlocks()).stream(),
                        formsToCome(expectedTokens()).stream().map(List::getFirst))
                .forEach(form -> tokensByForm.merge(form, (long) cache().blockTokens(), Long::sum));
    }

    /** The forms that the blocks may have which {@code tokens} tokens fill and which are not full yet. */
    List<List<CacheForm>> formsToCome(int tokens) {
        PlacementPolicy policy = admitted().policy();
        List<List<CacheForm>> forms = new ArrayList<>();
        for (int block = cache().closedBlocks(); block < tokens / cache().blockTokens(); block++) {
            forms.add(policy.forms(block, promptTokens()));
        }
        return forms;
    }

    /** The request in the form that decides on moving its blocks. */
    MovePlanner.Running placed() {
        return new MovePlanner.Running(
                cache().forms(0, cache().closedBlocks()), cache().tokens(), request.maxNewTokens() - generated.size());
    }

    /** Copies some of its blocks to the device, as far as memory allows. */
    void copy(BlockRun blocks) {
        cache().promote(blocks.firstBlock(), blocks.blocks());
    }

    private Admission admitted() {
        if (admission == null) {
            throw new IllegalStateException("request is not admitted");
        }
        return admission;
    }

    private CacheSequence cache() {
        return admitted().cache();
    }

    /** Whether a step runs one token of it, the last that it has generated. */
    boolean isDecoding() {
        return !generated.isEmpty() && tokensLeft() == 1;
    }

    /** The known tokens that are not cached, at least one. */
    int tokensLeft() {
        return knownTokens() - cache().tokens();
    }

    /**
     * The rows that the next step may have of it.
     *
     * @param rows at most so many
     * @param logitRows of which at most so many have logits
     */
    int rows(int rows, int logitRows) {
        return Math.min(tokensLeft(), scoresPrompt() ? Math.min(rows, logitRows) : rows);
    }

    /** How many of the next {@code rows} rows have logits. */
    int logitRows(int rows) {
        return scoresPrompt() ? rows : generates(rows) ? 1 : 0;
    }

    /** Whether rows of the prompt are to be scored. */
    private boolean scoresPrompt() {
        return request.promptLogprobs().isPresent() && generated.isEmpty();
    }

    private boolean generates(int rows) {
        return rows >= tokensLeft() && request.maxNewTokens() > 0;
    }

    /** The tokens of its prompt that were cached before, if it has no part in a step yet. */
    int newlyFoundTokens() {
        return begun ? 0 : cache().cachedTokens();
    }

    /**
     * The request's part in the next step, for which it was {@linkplain #open opened}.
     *
     * @param rows known tokens to run
     * @param drafted tokens to check
     * @param nowNanos start of the step
     */
    StepSequence next(int rows, List<Integer> drafted, long nowNanos) {
        if (!begun) {
            begun = true;
            events.emit(new Admitted(Duration.ofNanos(nowNanos - queuedSinceNanos), hit(), requireHomes()));
        }
        int cached = cache().tokens();
        boolean scoresToken = generates(rows) && request.logprobs().isPresent() && !scoresPrompt();
        LogitRows scored = scoresPrompt() ? LogitRows.ALL : LogitRows.NONE;
        List<Integer> tokens = known(cached, cached + rows);
        tokens.addAll(drafted);
        return new StepSequence(
                cache(),
                tokens,
                drafted.size(),
                scoresToken ? LogitRows.CHOOSING : scored,
                generates(rows) ? choices(drafted) : List.of());
    }

    /** Where the tokens were found with which its sequence has begun. */
    private PrefixHit hit() {
        int onDevice = 0;
        int blocks = cache().cachedTokens() / cache().blockTokens();
        for (int block = 0; block < blocks; block++) {
            onDevice += cache().place(block).form().place() == CacheForm.Place.DEVICE ? cache().blockTokens() : 0;
        }
        int onHost = cache().cachedTokens() - onDevice;
        int onDisk = Math.min(readTokens, onHost);
        return new PrefixHit(onDevice, onHost - onDisk, onDisk);
    }

    private CachedTokens.Homes requireHomes() {
        return Objects.requireNonNull(homes);
    }

    /** Tells where the blocks lie that are full now. */
    private void noteHomes() {
        for (int block = requireHomes().blocks(); block < cache().closedBlocks(); block++) {
            requireHomes().add(cache().home(block).form());
        }
    }

    private List<TokenChoice> choices(List<Integer> drafted) {
        List<TokenChoice> choices = sampler.next(drafted);
        if (constrained.isEmpty()) {
            return choices;
        }
        List<TokenMask> masks = constrained.get().masks(drafted);
        List<TokenChoice> masked = new ArrayList<>(choices.size());
        for (int i = 0; i < choices.size(); i++) {
            masked.add(choices.get(i).among(masks.get(i)));
        }
        return masked;
    }

    /**
     * Takes the result of a step for its part, which has index {@code sequence} in the batch.
     *
     * @return the number of drafted tokens that were right
     */
    int advance(StepSequence part, StepResult result, int sequence) {
        int accepted = accepted(part, result, sequence);
        int firstPosition = cache().tokens();
        int rows = part.newTokens().size() - part.drafted() + accepted;
        cache().commit(part.newTokens().subList(0, rows));
        noteHomes();
        use(Math.max(0, firstPosition + rows - countedTokens));
        countedTokens = Math.max(countedTokens, firstPosition + rows);
        if (part.logits() == LogitRows.ALL) {
            scorePrompt(result, sequence, firstPosition, rows);
        }
        // With accepted drafts, more is cached than is known, until these are generated.
        if (tokensLeft() > 0) {
            return 0;
        }
        if (scoresPrompt()) {
            events.emit(new PromptScored(promptScores));
        }
        if (request.maxNewTokens() == 0) {
            finish(FinishReason.LENGTH);
        } else {
            for (int row = 0; row <= accepted; row++) {
                generate(part, result, sequence, row);
            }
            if (!finished) {
                constrained.ifPresent(ConstrainedText::stepped);
            }
        }
        return accepted;
    }

    /** How many drafted tokens are right: those that the rows before them have chosen, as if there were no drafts. */
    private static int accepted(StepSequence part, StepResult result, int sequence) {
        int first = part.newTokens().size() - part.drafted();
        int accepted = 0;
        while (accepted < part.drafted()
                && result.token(sequence, accepted)
                        .equals(OptionalInt.of(part.newTokens().get(first + accepted)))) {
            accepted++;
        }
        return accepted;
    }

    /** The row at position p scores the token at p + 1. */
    private void scorePrompt(StepResult result, int sequence, int firstPosition, int rows) {
        int alternatives = request.promptLogprobs().orElseThrow();
        // Some may have been scored already, and be computed again.
        for (int i = Math.max(0, promptScores.size() - firstPosition);
                i < rows && firstPosition + i + 1 < promptTokens();
                i++) {
            int next = request.promptTokens().get(firstPosition + i + 1);
            TokenScore score = TokenScorer.score(result.logits(sequence, i), next, alternatives);
            if (Float.isNaN(score.logprob())) {
                throw new NonFiniteLogitsException(firstPosition + i);
            }
            promptScores.add(score);
        }
    }

    /**
     * Takes the token that row {@code row} of those that choose one has chosen. Only the last may end the completion,
     * since no drafted token does.
     */
    private void generate(StepSequence part, StepResult result, int sequence, int row) {
        int position = knownTokens() - 1;
        int token = result.token(sequence, row).orElseThrow(() -> new NonFiniteLogitsException(position));
        constrained.ifPresent(text -> text.advance(token));
        sampler.remember(token);
        generated.add(token);
        if (drafts != null) {
            drafts.append(token);
        }
        use(1);
        Optional<TokenScore> score = Optional.empty();
        if (request.logprobs().isPresent()) {
            int firstRow = part.logitRows() - part.choices().size();
            float[] logits = result.logits(sequence, firstRow + row);
            score = Optional.of(
                    TokenScorer.score(logits, token, request.logprobs().getAsInt()));
        }
        events.emit(new Generated(token, score, new GenerationEvent.Pass(part.drafted(), row)));
        boolean complete = constrained.map(ConstrainedText::isComplete).orElse(false);
        if (complete || endTokens.contains(token)) {
            finish(FinishReason.STOP);
        } else if (generated.size() == request.maxNewTokens()) {
            finish(FinishReason.LENGTH);
        }
    }

    private void finish(FinishReason reason) {
        finished = true;
        free();
        events.emit(new Finished(reason, new Usage(promptTokens(), generated.size())));
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
        if (drafts != null) {
            drafts.close();
        }
        if (admission != null) {
            admission.cache().close();
        }
    }
}
