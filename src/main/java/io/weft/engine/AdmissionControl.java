package io.weft.engine;

import io.weft.cache.CacheScope;
import io.weft.cache.CacheSequence;
import io.weft.cache.CacheUsage;
import io.weft.cache.HeldBlocks;
import io.weft.cache.KvCache;
import io.weft.cache.Prompt;
import io.weft.cache.ReadAhead;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.Occupancy;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.placement.Planning;
import io.weft.plan.placement.Room;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepShape;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Decides which request gets a place in the cache, and where its blocks go: at admission, and between two steps.
 *
 * <p>A place is room for the tokens that are known, beside those that running requests are to fill: a request takes
 * memory as it grows, and blocks that no request uses give up theirs. Who then finds none takes the place of the
 * youngest request ({@link StepRunner}).
 *
 * <p>Queue and batch belong to the engine; this class keeps only the request that was refused last. Everything except
 * {@link #refusedLast} runs on the engine's thread.
 */
final class AdmissionControl {
    private static final System.Logger LOG = System.getLogger(AdmissionControl.class.getName());

    /** Copies take no memory that running sequences want within so many tokens. */
    private static final int TOKENS_AHEAD = 64;

    private final KvCache cache;
    private final Supplier<Planning> planning;
    private final int stepRows;
    /** What is on its way from the disk, for requests that would have a place. */
    private final Map<ActiveRequest, ReadAhead> reading = new LinkedHashMap<>();

    /** Guarded by the engine's lock, which callers of {@link #decide} and {@link #refusedLast} hold. */
    private @Nullable Refusal lastRefusal;

    /**
     * @param cache the cache of the sequences
     * @param planning the planning in force
     * @param stepRows new tokens of a step
     */
    AdmissionControl(KvCache cache, Supplier<Planning> planning, int stepRows) {
        this.cache = cache;
        this.planning = planning;
        this.stepRows = stepRows;
    }

    /** The decision on a request. */
    sealed interface Decision {
        /** It has a place. */
        record Admitted() implements Decision {}

        /** The request does not fit next to the running ones, or into the host memory that is already there. */
        record Waits() implements Decision {}

        /** It would have a place, and waits for blocks from the disk; others may run meanwhile. */
        record Reads() implements Decision {}

        /** The request does not even fit an empty cache. */
        record NeverFits(Reason.CacheTooSmall reason) implements Decision {}
    }

    /** @param freeBytes what was free, without copies, when the request did not fit */
    private record Refusal(ActiveRequest request, long freeBytes) {}

    /** The request that was refused last; it may have ended since. */
    Optional<ActiveRequest> refusedLast() {
        return Optional.ofNullable(lastRefusal).map(Refusal::request);
    }

    /**
     * Decides on the request whose turn it is. A refused request is not tried again until there is more memory.
     *
     * @param running the requests that have a place
     */
    Decision decide(ActiveRequest request, List<ActiveRequest> running) {
        Optional<ReadAhead> ahead = Optional.ofNullable(reading.get(request));
        if (ahead.isPresent()) {
            if (!ahead.get().isEnded()) {
                return new Decision.Reads();
            }
            // Its blocks are known now, and give way last.
            request.readAhead(ahead.get().tokens());
            giveUpReading(request);
        }
        // Before, since memory may come meanwhile, in which the request was not tried.
        CacheUsage before = cache.usage().withoutCopies();
        if (!running.isEmpty() && isStillRefused(request, before)) {
            return new Decision.Waits();
        }
        PlacementPolicy policy = policy(request, running);
        if (running.isEmpty() && lacks(request, policy, before.withComingMemory())) {
            if (!shrink(request)) {
                return new Decision.NeverFits(tooSmall(request, request.knownTokens()));
            }
            policy = policy(request, running);
        }
        Decision decision = place(request, running, policy);
        if (decision instanceof Decision.Waits) {
            lastRefusal = new Refusal(
                    request, before.device().freeBytes() + before.host().freeBytes());
        } else if (refusedLast().filter(request::equals).isPresent()) {
            lastRefusal = null;
        }
        return decision;
    }

    /** Whether a request waits for the disk. */
    boolean isReading(ActiveRequest request) {
        ReadAhead ahead = reading.get(request);
        return ahead != null && !ahead.isEnded();
    }

    /** A request that has waited for the disk and need not any more. */
    Optional<ActiveRequest> hasRead() {
        return reading.keySet().stream().filter(request -> !isReading(request)).findFirst();
    }

    /** Has the last request that waits for the disk go on without, so that it keeps no memory; false if none does. */
    boolean giveUpReading() {
        Optional<ActiveRequest> last = reading.keySet().stream().reduce((one, next) -> next);
        last.ifPresent(this::giveUpReading);
        return last.isPresent();
    }

    /** The requests that wait for the disk, or have. */
    int readingRequests() {
        return reading.size();
    }

    /**
     * Notes what the disk has done, between two steps.
     *
     * @param waits whether a request still waits for its turn
     */
    void settleDisk(Predicate<ActiveRequest> waits) {
        List<ActiveRequest> ended =
                reading.keySet().stream().filter(waits.negate()).toList();
        ended.forEach(this::giveUpReading);
        cache.settleDisk();
    }

    private void giveUpReading(ActiveRequest request) {
        Optional.ofNullable(reading.remove(request)).ifPresent(ReadAhead::close);
    }

    /**
     * Whether a running request is about to fill a block with which this one begins. Then this one waits: it would
     * compute the same, and begins after it a little later. It takes no seat and no memory meanwhile, and who runs
     * waits for nobody that waits.
     */
    boolean awaitsBlocks(ActiveRequest request, List<ActiveRequest> running) {
        return running.stream()
                .filter(ActiveRequest::fillsPrompt)
                .anyMatch(other -> other.fillsFor(request.prompt(cache)));
    }

    private boolean isStillRefused(ActiveRequest request, CacheUsage usage) {
        Refusal refusal = lastRefusal;
        return refusal != null
                && refusal.request() == request
                && usage.device().freeBytes() + usage.host().freeBytes() <= refusal.freeBytes();
    }

    /** Whether all of an otherwise unused cache does not hold what is known of a request. */
    private boolean lacks(ActiveRequest request, PlacementPolicy policy, CacheUsage usage) {
        long deviceBytes = usage.device().totalBytes() - cache.ringBytes(request.maxTokens());
        Room room = new Room(cache.geometry(), deviceBytes, usage.host().totalBytes());
        return deviceBytes < 0 || !room.takeAll(forms(request, policy, 0, request.knownTokens()));
    }

    /**
     * Has a request keep its blocks in the smallest form that they may have, from its next admission on; those that it
     * has are computed anew. For a request that finds no memory though no other has any.
     *
     * @return false if what is known of it does not fit that way either, or if it tried that already
     */
    boolean shrink(ActiveRequest request) {
        PlacementPolicy smallest = policy(request, List.of()).smallestFirst(cache.geometry());
        boolean helps = !request.isShrunk() && !lacks(request, smallest, cache.usage());
        if (helps) {
            request.shrink();
        }
        return helps;
    }

    /** Gives the request a place if there is room, unless it is quicker to read some of its blocks before. */
    private Decision place(ActiveRequest request, List<ActiveRequest> running, PlacementPolicy policy) {
        Decision decision = place(request, request.prompt(cache), running, policy);
        // Alone it may do without known blocks whose forms are too large to leave room for the rest.
        return decision instanceof Decision.Waits && running.isEmpty()
                ? place(request, request.unnamedPrompt(), running, policy)
                : decision;
    }

    private Decision place(ActiveRequest request, Prompt prompt, List<ActiveRequest> running, PlacementPolicy policy) {
        Optional<CacheSequence> sequence = cache.admit(prompt, block -> policy.forms(block, request.promptTokens()));
        if (sequence.isEmpty()) {
            return new Decision.Waits();
        }
        // Now that it has found what is cached of it.
        CacheUsage usage = cache.usage().withoutCopies();
        Room room = new Room(
                cache.geometry(), usage.device().freeBytes(), usage.host().freeBytes());
        boolean fits = room.takeAll(forms(request, policy, sequence.get().closedBlocks(), request.knownTokens()));
        for (ActiveRequest other : running) {
            // With a block to grow by: else the next one to fill would take the place of the newcomer.
            fits = fits
                    && room.takeAll(other.formsToCome(
                            other.knownTokens() + cache.geometry().blockTokens()));
        }
        if (!fits) {
            sequence.get().close();
            return new Decision.Waits();
        }
        Optional<ReadAhead> ahead = cache.readAhead(
                prompt,
                sequence.get().closedBlocks(),
                (from, to) -> computeNanos(request, sequence.get(), policy, from, to));
        if (ahead.isPresent()) {
            reading.put(request, ahead.get());
            sequence.get().close();
            return new Decision.Reads();
        }
        request.admit(sequence.get(), policy);
        return new Decision.Admitted();
    }

    /**
     * The time to compute the request's tokens {@code [from, to)} alone. A step's time grows with the tokens before it,
     * so on average it is that of the first step and the last.
     */
    private long computeNanos(ActiveRequest request, CacheSequence sequence, PlacementPolicy policy, int from, int to) {
        int rows = Math.min(stepRows, to - from);
        long steps = Math.ceilDiv(to - from, rows);
        long nanos = stepNanos(request, sequence, policy, from, rows)
                + stepNanos(request, sequence, policy, to - rows, rows);
        // Without predictions, as if it took for ever.
        return nanos == 0 ? Long.MAX_VALUE : steps * nanos / 2;
    }

    /** The time of a step with {@code rows} tokens of a prompt after the first {@code from} ones. */
    private long stepNanos(ActiveRequest request, CacheSequence sequence, PlacementPolicy policy, int from, int rows) {
        int firstBlock = from / cache.geometry().blockTokens();
        int known = Math.min(firstBlock, sequence.closedBlocks());
        List<CacheForm> closed = new ArrayList<>(sequence.forms(0, known));
        IntStream.range(known, firstBlock)
                .forEach(block ->
                        closed.add(policy.forms(block, request.promptTokens()).getFirst()));
        int openTokens = from % cache.geometry().blockTokens();
        List<CacheForm> closing = forms(request, policy, firstBlock, from + rows).stream()
                .map(List::getFirst)
                .toList();
        SequenceShape shape = new SequenceShape(closed, openTokens, rows, closing);
        Planning current = planning.get();
        StepPlan plan = current.planner().plan(new StepShape(List.of(shape), new HeadShape(0, 0, 0)));
        return current.prediction().of(plan).toNanos();
    }

    /** The forms that the blocks of a request may have, from {@code firstBlock} on, as far as tokens fill them. */
    private List<List<CacheForm>> forms(ActiveRequest request, PlacementPolicy policy, int firstBlock, int tokens) {
        return IntStream.range(
                        firstBlock,
                        Math.max(firstBlock, tokens / cache.geometry().blockTokens()))
                .mapToObj(block -> policy.forms(block, request.promptTokens()))
                .toList();
    }

    private long smallestBlockBytes() {
        CacheGeometry geometry = cache.geometry();
        return Math.min(geometry.blockBytes(Content.KEY_VALUE), geometry.blockBytes(Content.ACTIVATION));
    }

    /** Copies blocks of decoding sequences to the device where that pays. Called between two steps. */
    void copyBlocks(List<ActiveRequest> running) {
        try {
            planning.get().moves().ifPresent(planner -> copyBlocks(running, planner));
        } catch (RuntimeException e) {
            // Copies only save time. The cache changes block by block, so what was not copied stays where it is.
            LOG.log(Level.ERROR, "blocks were not copied", e);
        }
    }

    private void copyBlocks(List<ActiveRequest> running, MovePlanner planner) {
        List<ActiveRequest> decoding = running.stream()
                .filter(request -> !request.isFinished() && request.isDecoding())
                .toList();
        long freeBytes = cache.usage().device().freeBytes();
        for (ActiveRequest request : decoding) {
            freeBytes -= planned(request, request.knownTokens() + TOKENS_AHEAD, Place.DEVICE);
        }
        planner.promotions(decoding.stream().map(ActiveRequest::placed).toList(), Math.max(0, freeBytes))
                .forEach(blocks -> decoding.get(blocks.sequence()).copy(blocks));
    }

    /** Where the blocks of a request go, given those of the others and what these are likely to fill. */
    private PlacementPolicy policy(ActiveRequest request, List<ActiveRequest> running) {
        CacheUsage usage = cache.usage();
        long deviceBytes = usage.device().freeBytes();
        long hostBytes = usage.host().freeBytes();
        Map<CacheForm, Long> tokensByForm = new TreeMap<>();
        for (ActiveRequest other : running) {
            other.occupy(tokensByForm);
            deviceBytes -= planned(other, other.expectedTokens(), Place.DEVICE);
            hostBytes -= planned(other, other.expectedTokens(), Place.HOST);
        }
        // Copies are given back if there is no other memory.
        boolean fits = deviceBytes + hostBytes
                >= request.expectedTokens() / cache.geometry().blockTokens() * smallestBlockBytes() + spareBytes();
        deviceBytes += fits ? 0 : usage.copyBytes();
        Occupancy occupancy = new Occupancy(
                running.size(),
                tokensByForm,
                Math.max(0, deviceBytes - spareBytes() - cache.ringBytes(request.maxTokens())),
                Math.max(0, hostBytes - spareBytes()));
        PlacementPolicy policy = planning.get().admission().policy(occupancy, Math.max(1, request.expectedTokens()));
        return request.isShrunk() ? policy.smallestFirst(cache.geometry()) : policy;
    }

    /** The memory of the blocks that a request is to fill up to so many tokens, in the forms that it prefers. */
    private long planned(ActiveRequest request, int tokens, Place place) {
        return request.formsToCome(tokens).stream()
                .map(List::getFirst)
                .filter(form -> form.place() == place)
                .mapToLong(form -> cache.geometry().blockBytes(form.encoding()))
                .sum();
    }

    /** Rounding shares of tokens to whole blocks may add one block of every form. */
    private long spareBytes() {
        return 2 * cache.geometry().blockBytes(Content.KEY_VALUE);
    }

    /** A running request has lost its place, and is not tried again until there is more memory than now. */
    void suspended(ActiveRequest request) {
        CacheUsage usage = cache.usage().withoutCopies();
        lastRefusal =
                new Refusal(request, usage.device().freeBytes() + usage.host().freeBytes());
    }

    /** What is kept for prompts to come. */
    HeldTokens held(String owner, Optional<String> salt) {
        return tokens(cache.held(scopes(owner, salt)), cache.heldOnDisk(owner, salt));
    }

    /** Forgets it; tells what was forgotten, once it is gone from the disk. */
    CompletableFuture<HeldTokens> forget(String owner, Optional<String> salt) {
        long onDisk = cache.heldOnDisk(owner, salt);
        HeldTokens forgotten = tokens(cache.forget(scopes(owner, salt)), onDisk);
        return cache.forgetOnDisk(owner, salt).thenApply(files -> forgotten);
    }

    private static Predicate<String> scopes(String owner, Optional<String> salt) {
        return salt.<Predicate<String>>map(one -> new CacheScope(owner, one).text()::equals)
                .orElse(text -> CacheScope.isOf(owner, text));
    }

    private HeldTokens tokens(HeldBlocks blocks, long onDisk) {
        long each = cache.geometry().blockTokens();
        return new HeldTokens(each * blocks.onDevice(), each * blocks.onHost(), each * blocks.idle(), each * onDisk);
    }

    /** Whether host memory is still to come. */
    boolean expectsMemory() {
        return cache.usage().host().comingBytes() > 0;
    }

    /**
     * The memory into which a request does not fit, even alone.
     *
     * @param tokens of the request
     */
    Reason.CacheTooSmall tooSmall(ActiveRequest request, int tokens) {
        CacheUsage usage = cache.usage();
        PlacementPolicy policy = policy(request, List.of());
        long deviceBytes = cache.ringBytes(request.maxTokens());
        long hostBytes = 0;
        for (List<CacheForm> forms : forms(request, policy, 0, tokens)) {
            CacheForm form = forms.stream()
                    .filter(one -> one.place() == Place.HOST)
                    .findFirst()
                    .orElseGet(forms::getFirst);
            long bytes = cache.geometry().blockBytes(form.encoding());
            switch (form.place()) {
                case DEVICE -> deviceBytes += bytes;
                case HOST -> hostBytes += bytes;
            }
        }
        long deviceTotal = usage.device().totalBytes();
        return deviceBytes > deviceTotal
                ? new Reason.CacheTooSmall(deviceBytes, deviceTotal, "weft.device-memory")
                : new Reason.CacheTooSmall(hostBytes, usage.host().totalBytes(), "weft.host-memory");
    }
}
