package io.weft.engine;

import io.weft.cache.CacheSequence;
import io.weft.cache.CacheUsage;
import io.weft.cache.KvCache;
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
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Decides which request gets a place in the cache, and where its blocks go: at admission, and between two steps.
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
        /** There is memory for every block that the request may ever fill. */
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

    /** Admits a request if there is memory for all that it and the running ones may come to hold. */
    private Optional<CacheSequence> place(
            ActiveRequest request, List<ActiveRequest> running, CacheUsage withoutCopies) {
        if (missingBytes(request, withoutCopies) > 0) {
            return Optional.empty();
        }
        CacheUsage usage = cache.usage();
        // Copies give way only where that lets a request in.
        Optional<CacheSequence> besideCopies = placeIn(request, running, usage);
        return besideCopies.isEmpty() && usage.copyBytes() > 0
                ? placeIn(request, running, usage.withoutCopies())
                : besideCopies;
    }

    private Optional<CacheSequence> placeIn(ActiveRequest request, List<ActiveRequest> running, CacheUsage usage) {
        PlacementPolicy policy = policy(request, running, usage);
        Room room = new Room(
                cache.geometry(),
                usage.device().freeBytes() - cache.ringBytes(request.maxTokens()),
                usage.host().freeBytes());
        boolean fits = running.stream().allMatch(other -> fits(room, other, other.closedBlocks(), policy))
                && fits(room, request, 0, policy);
        return fits
                ? cache.admit(request.maxTokens(), block -> policy.forms(block, request.promptTokens()))
                : Optional.empty();
    }

    /** Whether there is room for the blocks of a request from {@code firstBlock} on. */
    private boolean fits(Room room, ActiveRequest request, int firstBlock, PlacementPolicy policy) {
        int blocks = request.maxTokens() / cache.geometry().blockTokens();
        return IntStream.range(firstBlock, blocks)
                .allMatch(block -> room.take(policy.forms(block, request.promptTokens())));
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

    /** Copies blocks of decoding sequences to the device where that pays. Called between two steps. */
    void moveBlocks(List<ActiveRequest> running) {
        try {
            planning.get().moves().ifPresent(planner -> moveBlocks(running, planner));
        } catch (RuntimeException e) {
            // Copies only save time.
            LOG.log(Level.ERROR, "blocks were not copied", e);
        }
    }

    private void moveBlocks(List<ActiveRequest> running, MovePlanner planner) {
        List<ActiveRequest> decoding =
                running.stream().filter(ActiveRequest::isDecoding).toList();
        planner.promotions(
                        decoding.stream().map(ActiveRequest::placed).toList(),
                        cache.usage().device().freeBytes())
                .forEach(blocks -> decoding.get(blocks.sequence()).promote(blocks));
    }

    /** The blocks to come of running sequences count as if they were there. */
    private PlacementPolicy policy(ActiveRequest request, List<ActiveRequest> running, CacheUsage usage) {
        Map<CacheForm, Long> tokensByForm = new EnumMap<>(CacheForm.class);
        long deviceBytes = usage.device().freeBytes() - spareBytes() - cache.ringBytes(request.maxTokens());
        long hostBytes = usage.host().freeBytes() - spareBytes();
        for (ActiveRequest other : running) {
            other.occupy(tokensByForm);
            for (CacheForm form : other.formsToCome()) {
                long bytes = cache.geometry().blockBytes(form.content());
                switch (form.place()) {
                    case DEVICE -> deviceBytes -= bytes;
                    case HOST -> hostBytes -= bytes;
                }
            }
        }
        Occupancy occupancy =
                new Occupancy(running.size(), tokensByForm, Math.max(0, deviceBytes), Math.max(0, hostBytes));
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
            List<CacheForm> forms = policy.forms(block, request.promptTokens());
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
