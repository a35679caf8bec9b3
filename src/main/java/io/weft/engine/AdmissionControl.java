package io.weft.engine;

import io.weft.cache.CacheScope;
import io.weft.cache.CacheSequence;
import io.weft.cache.CacheUsage;
import io.weft.cache.HeldBlocks;
import io.weft.cache.KvCache;
import io.weft.cache.Prompt;
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
import java.lang.System.Logger.Level;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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

    /** Guarded by the engine's lock, which callers of {@link #decide} and {@link #refusedLast} hold. */
    private @Nullable Refusal lastRefusal;

    /**
     * @param cache the cache of the sequences
     * @param planning the planning in force
     */
    AdmissionControl(KvCache cache, Supplier<Planning> planning) {
        this.cache = cache;
        this.planning = planning;
    }

    /** The decision on a request. */
    sealed interface Decision {
        /** It has a place. */
        record Admitted() implements Decision {}

        /** The request does not fit next to the running ones, or into the host memory that is already there. */
        record Waits() implements Decision {}

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
        // Before, since memory may come meanwhile, in which the request was not tried.
        CacheUsage before = cache.usage().withoutCopies();
        if (!running.isEmpty() && isStillRefused(request, before)) {
            return new Decision.Waits();
        }
        PlacementPolicy policy = policy(request, running);
        if (running.isEmpty() && lacks(request, policy, before.withComingMemory())) {
            return new Decision.NeverFits(tooSmall(request, request.knownTokens()));
        }
        if (place(request, running, policy)) {
            return new Decision.Admitted();
        }
        lastRefusal =
                new Refusal(request, before.device().freeBytes() + before.host().freeBytes());
        return new Decision.Waits();
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

    /** Gives the request a place if there is room. */
    private boolean place(ActiveRequest request, List<ActiveRequest> running, PlacementPolicy policy) {
        // Alone it may do without known blocks whose forms are too large to leave room for the rest.
        return place(request, request.prompt(cache), running, policy)
                || (running.isEmpty() && place(request, request.unnamedPrompt(), running, policy));
    }

    private boolean place(ActiveRequest request, Prompt prompt, List<ActiveRequest> running, PlacementPolicy policy) {
        Optional<CacheSequence> sequence = cache.admit(prompt, block -> policy.forms(block, request.promptTokens()));
        if (sequence.isEmpty()) {
            return false;
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
            return false;
        }
        request.admit(sequence.get(), policy);
        return true;
    }

    /** The forms that the blocks of a request may have, from {@code firstBlock} on, as far as tokens fill them. */
    private List<List<CacheForm>> forms(ActiveRequest request, PlacementPolicy policy, int firstBlock, int tokens) {
        return IntStream.range(
                        firstBlock,
                        Math.max(firstBlock, tokens / cache.geometry().blockTokens()))
                .mapToObj(block -> policy.forms(block, request.promptTokens()))
                .toList();
    }

    /** The most tokens that the cache may hold, all of them in their smallest form. */
    long cacheTokens() {
        CacheUsage usage = cache.usage();
        if (smallestBlockBytes() == 0) {
            return Long.MAX_VALUE;
        }
        long bytes = usage.device().totalBytes() + usage.host().totalBytes();
        return bytes / smallestBlockBytes() * cache.geometry().blockTokens()
                + usage.open().totalBytes()
                        / cache.geometry().openBlockBytes()
                        * cache.geometry().blockTokens();
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
        Map<CacheForm, Long> tokensByForm = new EnumMap<>(CacheForm.class);
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
        return planning.get().admission().policy(occupancy, Math.max(1, request.expectedTokens()));
    }

    /** The memory of the blocks that a request is to fill up to so many tokens, in the forms that it prefers. */
    private long planned(ActiveRequest request, int tokens, Place place) {
        return request.formsToCome(tokens).stream()
                .map(List::getFirst)
                .filter(form -> form.place() == place)
                .mapToLong(form -> cache.geometry().blockBytes(form.content()))
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
        return tokens(cache.held(scopes(owner, salt)));
    }

    /** Forgets it; returns what was forgotten. */
    HeldTokens forget(String owner, Optional<String> salt) {
        return tokens(cache.forget(scopes(owner, salt)));
    }

    private static Predicate<String> scopes(String owner, Optional<String> salt) {
        return salt.<Predicate<String>>map(one -> new CacheScope(owner, one).text()::equals)
                .orElse(text -> CacheScope.isOf(owner, text));
    }

    private HeldTokens tokens(HeldBlocks blocks) {
        long each = cache.geometry().blockTokens();
        return new HeldTokens(each * blocks.onDevice(), each * blocks.onHost(), each * blocks.idle());
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
            long bytes = cache.geometry().blockBytes(form.content());
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
