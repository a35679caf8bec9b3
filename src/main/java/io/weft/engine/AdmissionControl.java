package io.weft.engine;

import io.weft.cache.CacheSequence;
import io.weft.cache.CacheUsage;
import io.weft.cache.KvCache;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.plan.placement.Move;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.Occupancy;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.placement.Planning;
import java.lang.System.Logger.Level;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Decides which request gets a place in the cache, and where its blocks go: at admission, when running sequences make
 * room for another, and between two steps.
 *
 * <p>Queue and batch belong to the engine; this class keeps only the request that was refused last. Everything except
 * {@link #refusedLast} runs on the engine's thread.
 */
final class AdmissionControl {
    private static final System.Logger LOG = System.getLogger(AdmissionControl.class.getName());

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
        /** The request has a home for every block that it may ever fill. */
        record Admitted(CacheSequence cache) implements Decision {}

        /** The request does not fit next to the running ones, or into the host memory that is already there. */
        record Waits() implements Decision {}

        /** The request does not even fit an empty cache. */
        record NeverFits(Reason.CacheTooSmall reason) implements Decision {}
    }

    /** @param usage usage of the cache, without copies, when the request did not fit */
    private record Refusal(ActiveRequest request, CacheUsage usage) {}

    /** The request that was refused last; it may have ended since. */
    Optional<ActiveRequest> refusedLast() {
        return Optional.ofNullable(lastRefusal).map(Refusal::request);
    }

    /**
     * Decides on the request that has waited longest. A refused request is not tried again until the cache's usage has
     * changed.
     *
     * @param running the sequences in the cache
     */
    Decision decide(ActiveRequest request, List<ActiveRequest> running) {
        if (!running.isEmpty() && isStillRefused(request)) {
            return new Decision.Waits();
        }
        // Before, since memory may come meanwhile, in which the request was not tried.
        CacheUsage before = usageWithoutCopies();
        Optional<CacheSequence> sequence = place(request, running, before);
        if (sequence.isPresent()) {
            return new Decision.Admitted(sequence.get());
        }
        if (running.isEmpty() && !fitsWhatIsToCome(request, before)) {
            return new Decision.NeverFits(tooSmall(request));
        }
        CacheUsage now = usageWithoutCopies();
        boolean memoryCame = now.host().comingBytes() != before.host().comingBytes();
        lastRefusal = new Refusal(request, memoryCame ? before : now);
        return new Decision.Waits();
    }

    private boolean fitsWhatIsToCome(ActiveRequest request, CacheUsage usage) {
        return usage.host().comingBytes() > 0 && missingBytes(request, usage.withComingMemory()) <= 0;
    }

    private boolean isStillRefused(ActiveRequest request) {
        Refusal refusal = lastRefusal;
        return refusal != null
                && refusal.request() == request
                && refusal.usage().equals(usageWithoutCopies());
    }

    private CacheUsage usageWithoutCopies() {
        return cache.usage().withoutCopies();
    }

    /** Finds homes in free memory, else in the memory of copies, which are given back. */
    private Optional<CacheSequence> place(
            ActiveRequest request, List<ActiveRequest> running, CacheUsage withoutCopies) {
        // What is to come is there in seconds: not worth moving the blocks of others.
        if (missingBytes(request, withoutCopies) > 0
                && (fitsWhatIsToCome(request, withoutCopies) || !makeRoom(request, running))) {
            return Optional.empty();
        }
        CacheUsage usage = cache.usage();
        Optional<CacheSequence> besideCopies =
                missingBytes(request, usage) > 0 ? Optional.empty() : placeIn(request, running, usage);
        return besideCopies.isEmpty() && usage.copyBytes() > 0
                ? placeIn(request, running, usage.withoutCopies())
                : besideCopies;
    }

    private Optional<CacheSequence> placeIn(ActiveRequest request, List<ActiveRequest> running, CacheUsage usage) {
        PlacementPolicy policy = policy(request, running, usage);
        return cache.admit(request.maxTokens(), block -> policy.forms(block, request.promptTokens()));
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

    /** The bytes that a request lacks for its blocks in their smallest form; not positive if it may fit. */
    private long missingBytes(ActiveRequest request, CacheUsage usage) {
        return request.maxTokens() / cache.geometry().blockTokens() * smallestBlockBytes()
                + cache.ringBytes(request.maxTokens())
                - usage.device().freeBytes()
                - usage.host().freeBytes();
    }

    /** Makes room; returns whether running sequences have given up enough. */
    private boolean makeRoom(ActiveRequest request, List<ActiveRequest> running) {
        Optional<MovePlanner> planner = planning.get().moves();
        if (planner.isEmpty()) {
            return false;
        }
        long missingBytes = missingBytes(request, usageWithoutCopies()) + 2 * spareBytes();
        List<Move> moves = planner.get()
                .makeRoom(running.stream().map(ActiveRequest::placed).toList(), missingBytes);
        moves.forEach(move -> running.get(move.sequence()).move(move));
        return !moves.isEmpty();
    }

    /** Moves blocks of decoding sequences where that pays. Called between two steps. */
    void moveBlocks(List<ActiveRequest> running) {
        try {
            planning.get().moves().ifPresent(planner -> moveBlocks(running, planner));
        } catch (RuntimeException e) {
            // Moves only save time. The cache changes block by block, so what was not moved stays where it is.
            LOG.log(Level.ERROR, "blocks were not moved", e);
        }
    }

    private void moveBlocks(List<ActiveRequest> running, MovePlanner planner) {
        List<ActiveRequest> decoding =
                running.stream().filter(ActiveRequest::isDecoding).toList();
        CacheUsage usage = cache.usage();
        List<Move> moves = planner.moves(
                decoding.stream().map(ActiveRequest::placed).toList(),
                usage.device().freeBytes(),
                usage.host().freeBytes());
        moves.forEach(move -> decoding.get(move.sequence()).move(move));
    }

    private PlacementPolicy policy(ActiveRequest request, List<ActiveRequest> running, CacheUsage usage) {
        Map<CacheForm, Long> tokensByForm = new EnumMap<>(CacheForm.class);
        running.forEach(other -> other.occupy(tokensByForm));
        Occupancy occupancy = new Occupancy(
                running.size(),
                tokensByForm,
                Math.max(0, usage.device().freeBytes() - spareBytes() - cache.ringBytes(request.maxTokens())),
                Math.max(0, usage.host().freeBytes() - spareBytes()));
        return planning.get().admission().policy(occupancy, Math.max(1, request.maxTokens()));
    }

    /** Rounding shares of tokens to whole blocks may add one block of every form. */
    private long spareBytes() {
        return 2 * cache.geometry().blockBytes(Content.KEY_VALUE);
    }

    /** The memory into which a request does not fit, even in an empty cache. */
    private Reason.CacheTooSmall tooSmall(ActiveRequest request) {
        CacheUsage usage = cache.usage().withComingMemory();
        PlacementPolicy policy = policy(request, List.of(), usage);
        long deviceBytes = cache.ringBytes(request.maxTokens());
        long hostBytes = 0;
        int blocks = request.maxTokens() / cache.geometry().blockTokens();
        for (int block = 0; block < blocks; block++) {
            CacheForm form = policy.forms(block, request.promptTokens()).getLast();
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
