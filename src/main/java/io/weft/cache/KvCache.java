package io.weft.cache;

import io.weft.device.BlockCode;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.HostRegion;
import io.weft.device.Stream;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The cache of all sequences: its pools, the blocks that are known by name, and which sequence uses what.
 *
 * <p>Memory is taken as it is needed. If there is none, what nobody uses gives way: copies, then idle blocks, the least
 * recently used first. From the device they go to the host, from the host they are forgotten.
 */
public final class KvCache {
    /** Slabs that are looked at for one that gives up much that is old. */
    private static final int SLABS_TRIED = 8;

    private static final long LINES_BYTES = 512;

    /** Before any block became idle. */
    private static final long NEVER = Long.MIN_VALUE;

    /** In the budget that is printed. */
    public static final String HOST_PURPOSE = "cache on the host";

    private static final System.Logger LOG = System.getLogger(KvCache.class.getName());

    private final Device owner;
    private final CacheGeometry geometry;
    private final int maxRows;
    private final DeviceBuffer openMemory;
    private final ExtentAllocator open;
    private final DevicePool device;
    private final HostPool host;
    private final Optional<BlockNaming> naming;
    private final BlockStore store;
    /** Blocks that have a copy; the last one's is given back first. */
    private final SequencedSet<Block> copies = new LinkedHashSet<>();
    /** What leaves the device before the next step. */
    private final Map<Evictable, Departure> departures = new LinkedHashMap<>();
    /** What rings are filled with before the next step. */
    private final Map<CacheSequence, List<RingFill>> ringFills = new LinkedHashMap<>();

    /** Forms of blocks on the host, the smallest first. */
    private final List<CacheForm> smallestOnHost;

    private final CodeFits fits = new CodeFits();
    private final LongAdder misfits = new LongAdder();
    private final HostPool.Cursors departed = new HostPool.Cursors();
    private Optional<DiskTier> disk = Optional.empty();
    private final LongAdder copyBytes = new LongAdder();
    private final LongAdder leftDevice = new LongAdder();
    private final LongAdder leftHost = new LongAdder();

    /**
     * What the largest step needs of the cache.
     *
     * @param openBlocks open blocks that are ever in use at once
     * @param rows new tokens of a step
     */
    public record StepNeeds(int openBlocks, int rows) {}

    /**
     * A copy to the host of what leaves its memory on the device, before anything else happens in the next step.
     *
     * @param from its layers; the memory may be somebody else's after that
     * @param to the same layers on the host
     */
    public record Departure(List<DeviceBuffer> from, List<HostBuffer> to) {
        /** Copies layer by layer. */
        public void issue(Stream stream) {
            for (int layer = 0; layer < to.size(); layer++) {
                stream.copyToHost(from.get(layer), to.get(layer));
            }
        }
    }

    /**
     * A copy to a ring, after all departures and before anything else happens in the next step.
     *
     * @param from what an earlier ring had of a block
     * @param to the block's place in the ring
     */
    public record RingFill(HostBuffer from, DeviceBuffer to) {}

    /**
     * Allocates the pools.
     *
     * @param needs of the largest step
     * @param deviceBytes device memory for full blocks and rings
     * @param hostBytes host memory for full blocks
     * @throws io.weft.device.OutOfMemoryBudgetException if they do not fit the device's budgets
     */
    public KvCache(Device device, CacheGeometry geometry, StepNeeds needs, long deviceBytes, long hostBytes) {
        this(device, geometry, needs, deviceBytes, HostRegion.of(device.allocateHost(HOST_PURPOSE, hostBytes)));
    }

    /**
     * Allocates the pools on the device. Blocks have no names.
     *
     * @param host host memory for full blocks, which is given out as far as the link reaches it
     */
    public KvCache(Device device, CacheGeometry geometry, StepNeeds needs, long deviceBytes, HostRegion host) {
        this(device, geometry, needs, deviceBytes, host, Optional.empty());
    }

    /**
     * Allocates the pools on the device.
     *
     * @param host host memory for full blocks, which is given out as far as the link reaches it
     * @param naming names blocks; without it, each block belongs to one sequence
     */
    public KvCache(
            Device device,
            CacheGeometry geometry,
            StepNeeds needs,
            long deviceBytes,
            HostRegion host,
            Optional<BlockNaming> naming) {
        this.owner = device;
        this.naming = naming;
        this.geometry = geometry;
        this.maxRows = needs.rows();
        this.smallestOnHost = geometry.encodings().stream()
                .map(encoding -> new CacheForm(encoding, Place.HOST))
                .filter(geometry::isUseful)
                .sorted(Comparator.comparingLong(form -> geometry.blockLayerBytes(form.encoding())))
                .toList();
        this.openMemory = device.allocate("open cache blocks", needs.openBlocks() * geometry.openBlockBytes());
        this.open = new ExtentAllocator(openMemory.bytes());
        this.store = new BlockStore(geometry);
        this.device = new DevicePool(device.allocate("cache on the device", deviceBytes), alignmentBytes(geometry));
        this.host = new HostPool(host, geometry);
    }

    /** Kernels read 16 bytes at once, and lines of memory best as a whole. */
    private static long alignmentBytes(CacheGeometry geometry) {
        long ofBlocks = Long.lowestOneBit(geometry.blockBytes(Content.KEY_VALUE));
        return Math.clamp(ofBlocks, BlockCode.ALIGNMENT_BYTES, LINES_BYTES);
    }

    /**
     * Keeps blocks on a disk, too. Called before the first sequence; {@link #closeDisk} closes it.
     *
     * @throws IllegalStateException if blocks have no names
     */
    public void keepOn(DiskStore store) {
        if (naming.isEmpty()) {
            throw new IllegalStateException("blocks without names cannot be found again on a disk");
        }
        disk = Optional.of(new DiskTier(this, store, departures::containsKey));
    }

    /** @param listener run by the disk's threads when {@link #settleDisk} has something to do */
    public void onDiskChange(Runnable listener) {
        disk.ifPresent(tier -> tier.onChange(listener));
    }

    /** Notes what the disk has done, and goes on writing. Called between two steps. */
    public void settleDisk() {
        disk.ifPresent(DiskTier::settle);
    }

    /**
     * Writes what can be written within {@code limit}, also of what is on the device alone, and gives the disk back. No
     * step runs any more. Memory has to be there until then.
     */
    public void closeDisk(Duration limit) {
        disk.ifPresent(tier -> tier.close(limit));
    }

    /** How full the disk is, and what it did, if there is one. Any thread may ask. */
    public Optional<DiskUsage> diskUsage() {
        return disk.map(tier -> tier.store().usage());
    }

    /** Named blocks that lost their memory before they were on the disk. Any thread may ask. */
    public long skippedWrites() {
        return disk.map(DiskTier::skippedBlocks).orElse(0L);
    }

    /** The named blocks on the disk, in memory or not. Any thread may ask. */
    public long heldOnDisk(String owner, Optional<String> salt) {
        return disk.map(tier -> tier.store().blocks(owner, salt)).orElse(0L);
    }

    /**
     * Forgets what the disk has for an owner: none of it is found any more. Any thread may call.
     *
     * @return once the files are gone; fails if some could not be deleted
     */
    public CompletableFuture<Long> forgetOnDisk(String owner, Optional<String> salt) {
        return disk.map(tier -> tier.store().forget(Optional.of(owner), salt))
                .orElseGet(() -> CompletableFuture.completedFuture(0L));
    }

    /**
     * Begins to read blocks that a prompt would be computed from otherwise: those after the ones in memory, as far as
     * memory can be had of what nobody uses. To be called when its sequence would be admitted, once a prompt.
     *
     * @param knownBlocks with which that sequence begins
     * @param computing if that is predicted to be quicker, nothing is read
     * @return empty if there is nothing to wait for; else to be closed after the sequence has been admitted, or to give
     *     up
     */
    public Optional<ReadAhead> readAhead(Prompt prompt, int knownBlocks, ReadAhead.ComputeTime computing) {
        return disk.flatMap(tier -> tier.readAhead(prompt, knownBlocks, computing));
    }

    /** Host memory in which {@code blocks} blocks of K and V always fit. */
    public static long hostBytes(CacheGeometry geometry, long blocks) {
        return blocks * geometry.blockBytes(Content.KEY_VALUE);
    }

    /** The host memory that the link does not reach now is not waited for any more. Any thread may call. */
    public void endHostGrowth() {
        host.endGrowth();
    }

    /** The geometry of the cache. */
    public CacheGeometry geometry() {
        return geometry;
    }

    /** The memory of all open blocks; an open block is a part of it. */
    public DeviceBuffer openMemory() {
        return openMemory;
    }

    /** The memory of full blocks on the device. */
    public DeviceBuffer deviceMemory() {
        return device.memory();
    }

    /** The address from which the offsets of full blocks on the device count. */
    public long deviceAddress() {
        return device.memory().address();
    }

    /** How full it is. Any thread may ask, approximately. */
    public CacheUsage usage() {
        long idleOnDevice = store.idleDeviceBytes();
        long idleOnHost = store.idleHostBytes();
        PoolUsage ofHost = host.usage();
        return new CacheUsage(
                new PoolUsage(open.usedBytes(), open.bytes()),
                new PoolUsage(device.usedBytes() - idleOnDevice, idleOnDevice, device.bytes(), 0),
                new PoolUsage(ofHost.usedBytes() - idleOnHost, idleOnHost, ofHost.totalBytes(), ofHost.comingBytes()),
                copyBytes.sum());
    }

    /**
     * What a sequence begins with.
     *
     * @param tokens of the prompt, at least one
     * @param maxTokens the most tokens that the sequence may have
     * @param salt sequences share blocks only with those of the same salt
     */
    public Prompt prompt(List<Integer> tokens, int maxTokens, String salt) {
        // Without cached layers there is nothing that would stay.
        return naming.filter(names -> geometry.cachedLayerCount() > 0)
                .map(names -> Prompt.named(tokens, maxTokens, salt, names, geometry.blockTokens()))
                .orElseGet(() -> Prompt.unnamed(tokens, maxTokens));
    }

    /** Blocks that gave up their memory. Any thread may ask, approximately. */
    public Evictions evictions() {
        return new Evictions(leftDevice.sum(), leftHost.sum());
    }

    /** The named blocks of some salts. */
    public HeldBlocks held(Predicate<String> salts) {
        return count(named(block -> salts.test(block.salt())));
    }

    /** Forgets the named blocks of some salts: those that sequences use lose their names. Returns them. */
    public HeldBlocks forget(Predicate<String> salts) {
        disk.ifPresent(tier -> tier.forget(salts));
        List<Block> forgotten = named(block -> salts.test(block.salt()));
        HeldBlocks counted = count(forgotten);
        forgotten.forEach(this::forget);
        return counted;
    }

    private static HeldBlocks count(List<Block> blocks) {
        int onDevice = (int) blocks.stream()
                .filter(block -> block.home() instanceof BlockHome.OnDevice)
                .count();
        int idle = (int) blocks.stream().filter(Block::isIdle).count();
        return new HeldBlocks(onDevice, blocks.size() - onDevice, idle);
    }

    List<Block> named(Predicate<Block> wanted) {
        return store.all(wanted);
    }

    private void forget(Block block) {
        boolean isIdle = block.isIdle();
        store.forget(block);
        if (isIdle) {
            free(block);
        } else {
            disk.ifPresent(tier -> tier.forgotten(block));
        }
    }

    /** Admits a sequence whose blocks have no names. */
    public Optional<CacheSequence> admit(int maxTokens, IntFunction<List<CacheForm>> preferences) {
        return admit(Prompt.unnamed(List.of(), maxTokens), preferences);
    }

    /**
     * Admits a sequence. It begins with the known blocks of its prompt, but for the last token, which has to run. Only
     * its ring takes memory now, for which copies and blocks give way that nobody uses.
     *
     * @param preferences forms that block i may have once it is full, the best first; asked when a step is about to
     *     fill it
     * @return the sequence, or empty if there is no room for its ring now
     */
    public Optional<CacheSequence> admit(Prompt prompt, IntFunction<List<CacheForm>> preferences) {
        List<Block> chain = known(prompt);
        int hit = longestHit(chain);
        List<Block> used = chain.subList(0, hit);
        List<WindowPiece> pieces = windowPieces(used);
        // Before anything gives way, so that they do not.
        used.forEach(store::use);
        pieces.forEach(store::use);
        int ringBlocks = geometry.ringBlocks(prompt.maxTokens(), maxRows);
        long ringBytes = ringBlocks * geometry.windowBlockBytes();
        Optional<DeviceBuffer> memory = onDevice(ringBytes, () -> device.allocateRing(ringBytes));
        if (memory.isEmpty()) {
            pieces.forEach(store::release);
            used.reversed().forEach(this::release);
            return Optional.empty();
        }
        IntFunction<List<CacheForm>> forms = block -> preferences.apply(block).stream()
                .map(geometry::stored)
                .distinct()
                .toList();
        WindowRing ring = new WindowRing(geometry, memory.get(), ringBlocks);
        CacheSequence sequence =
                new CacheSequence(this, prompt, forms, new CacheSequence.Beginning(used, pieces, chain.size()), ring);
        if (!pieces.isEmpty()) {
            ringFills.put(sequence, fills(pieces, ring, hit - pieces.size()));
        }
        return Optional.of(sequence);
    }

    /** The longest known beginning of a prompt. */
    private List<Block> known(Prompt prompt) {
        List<Block> known = new ArrayList<>();
        for (int block = 0; block < prompt.knowableBlocks(); block++) {
            Optional<Block> found = store.find(Objects.requireNonNull(prompt.nameBefore(block + 1)));
            if (found.isEmpty()) {
                break;
            }
            known.add(found.get());
        }
        return known;
    }

    /** The blocks of a known beginning after which a sequence may go on: of its last tokens, rings were kept. */
    private int longestHit(List<Block> chain) {
        return longestHit(chain.size(), block -> chain.get(block).windowPiece() != null);
    }

    /** The same for so many blocks, given whether what rings had of one is kept. */
    int longestHit(int known, IntPredicate isKept) {
        int hit = 0;
        int kept = 0;
        for (int blocks = 1; blocks <= known; blocks++) {
            // Without windows nobody needs to ask.
            kept = geometry.windowLayerCount() > 0 && isKept.test(blocks - 1) ? kept + 1 : 0;
            if (blocks - kept <= firstWindowBlock(blocks)) {
                hit = blocks;
            }
        }
        return hit;
    }

    /** The first block of which the token after {@code blocks} blocks sees some in a layer with a window. */
    int firstWindowBlock(int blocks) {
        if (geometry.windowLayerCount() == 0) {
            return blocks;
        }
        long firstToken = (long) blocks * geometry.blockTokens() + 1 - geometry.window();
        return (int) (Math.max(0, firstToken) / geometry.blockTokens());
    }

    private List<WindowPiece> windowPieces(List<Block> blocks) {
        return blocks.subList(firstWindowBlock(blocks.size()), blocks.size()).stream()
                .map(block -> Objects.requireNonNull(block.windowPiece()))
                .toList();
    }

    private static List<RingFill> fills(List<WindowPiece> pieces, WindowRing ring, int firstBlock) {
        List<RingFill> fills = new ArrayList<>();
        for (int i = 0; i < pieces.size(); i++) {
            fills.add(new RingFill(pieces.get(i).slot().layer(0, 1), ring.block(firstBlock + i)));
        }
        return fills;
    }

    /** A sequence needs these no more: its ring has them. */
    void release(CacheSequence sequence, List<WindowPiece> pieces) {
        ringFills.remove(sequence);
        pieces.forEach(store::release);
    }

    /** Keeps what a ring has of a block, if there is host memory, or something that is idle since before that. */
    boolean keep(Block block, DeviceBuffer ofRing, long idleBefore) {
        if (!block.hasName() || block.windowPiece() != null) {
            return true;
        }
        Optional<HostSlot> slot = onHost(BlockPart.WINDOW, departed, idleBefore);
        slot.ifPresent(to -> {
            if (block.hasName()) {
                WindowPiece piece = new WindowPiece(block, to);
                store.keep(piece);
                departures.put(piece, new Departure(List.of(ofRing), List.of(to.layer(0, 1))));
                disk.ifPresent(tier -> tier.departs(piece));
            } else {
                // It was idle, and gave way itself.
                host.free(to);
            }
        });
        return slot.isPresent();
    }

    /** What becomes idle from now on is younger. */
    long stamp() {
        return store.stamp();
    }

    /**
     * Memory for a block that the coming step fills, in the first of these forms for which there is some. Host memory
     * may be left for one encoding alone, since a slab holds one at a time; then a block on the host has that one.
     */
    Optional<Block> takeBlock(List<CacheForm> forms, HostPool.Cursors cursors) {
        Optional<Block> block = takeUnused(forms, cursors);
        while (block.isEmpty() && disk.map(DiskTier::giveUpReading).orElse(false)) {
            block = takeUnused(forms, cursors);
        }
        return block;
    }

    private Optional<Block> takeUnused(List<CacheForm> forms, HostPool.Cursors cursors) {
        for (CacheForm form : forms) {
            Optional<Block> block = takeBlock(offered(form), cursors);
            if (block.isPresent()) {
                return block;
            }
        }
        if (forms.stream().noneMatch(form -> form.place() == Place.HOST)) {
            return Optional.empty();
        }
        boolean mayBeCoded = forms.stream().anyMatch(form -> form.encoding().isCoded());
        for (CacheForm form : smallestOnHost) {
            Optional<Block> block =
                    form.encoding().isCoded() && !mayBeCoded ? Optional.empty() : takeBlock(offered(form), cursors);
            if (block.isPresent()) {
                return block;
            }
        }
        return Optional.empty();
    }

    /** Blocks whose codes have a fixed size are not coded any more if too many did not fit. */
    private CacheForm offered(CacheForm form) {
        return fits.areFew() ? form : new CacheForm(form.encoding().raw(), form.place());
    }

    /** Notes whether the codes of a block that a step has filled fit. */
    void noteFit(boolean isMisfit) {
        fits.note(isMisfit);
        if (isMisfit) {
            misfits.increment();
        }
    }

    /** From now on, blocks are stored as they are. */
    void codeNoMore() {
        fits.noteMany();
    }

    /** Blocks whose codes did not fit, so that they are stored as they are. Any thread may ask. */
    public long misfits() {
        return misfits.sum();
    }

    /**
     * Gives a block, whose codes did not fit, memory on the host for its content as it is. The next step copies it
     * there before anything else.
     *
     * @param open its open block
     * @return false if there is no memory, and then nothing has changed
     */
    boolean storeRaw(Block block, DeviceBuffer open, HostPool.Cursors cursors) {
        BlockHome before = block.home();
        Encoding wanted = before.form().encoding().raw();
        Optional<BlockHome.OnHost> home = homeOnHost(wanted, cursors, Long.MAX_VALUE);
        for (CacheForm form : smallestOnHost) {
            if (home.isEmpty() && !form.encoding().isCoded()) {
                home = homeOnHost(form.encoding(), cursors, Long.MAX_VALUE);
            }
        }
        home.ifPresent(raw -> {
            block.moveTo(raw);
            free(before);
            Encoding encoding = raw.form().encoding();
            long bytes = geometry.blockLayerBytes(encoding);
            List<DeviceBuffer> layers = new ArrayList<>();
            for (int layer = 0; layer < geometry.cachedLayerCount(); layer++) {
                layers.add(open.slice(layer * geometry.openLayerBytes() + geometry.openOffset(encoding), bytes));
            }
            departures.put(block, new Departure(layers, layers(raw)));
        });
        return home.isPresent();
    }

    private List<HostBuffer> layers(BlockHome.OnHost home) {
        List<HostBuffer> layers = new ArrayList<>();
        for (int layer = 0; layer < geometry.cachedLayerCount(); layer++) {
            layers.add(home.layer(layer, 1));
        }
        return layers;
    }

    private Optional<Block> takeBlock(CacheForm form, HostPool.Cursors cursors) {
        return switch (form.place()) {
            case DEVICE -> homeOnDevice(form).map(Block::new);
            case HOST -> homeOnHost(form.encoding(), cursors, Long.MAX_VALUE).map(Block::new);
        };
    }

    private Optional<BlockHome.OnDevice> homeOnDevice(CacheForm form) {
        long bytes = geometry.blockBytes(form.encoding());
        return onDevice(bytes, () -> device.allocate(bytes)).map(memory -> new BlockHome.OnDevice(form, memory));
    }

    /** Device memory; copies and idle blocks give way, as far as that helps. */
    private Optional<DeviceBuffer> onDevice(long bytes, Supplier<Optional<DeviceBuffer>> allocation) {
        Optional<DeviceBuffer> memory = allocation.get();
        while (memory.isEmpty() && bytes <= usage().withoutCopies().device().freeBytes() && givesWayOnDevice()) {
            memory = allocation.get();
        }
        return memory;
    }

    /** Copies first: giving one back loses nothing. */
    private boolean givesWayOnDevice() {
        if (!copies.isEmpty()) {
            giveBackCopy(copies.getLast());
            return true;
        }
        if (store.idleOnDevice().isEmpty()) {
            return false;
        }
        leaveDevice(store.idleOnDevice().first());
        return true;
    }

    /** An idle block goes to the host if there is memory, free or of a block that is idle for longer. */
    private void leaveDevice(Block block) {
        if (!moveToHost(block, block.idleSince())) {
            leftDevice.increment();
            forget(block);
        }
    }

    /** Moves an idle block to the host; what gives way there is idle since before that. */
    private boolean moveToHost(Block block, long idleBefore) {
        if (!(block.home() instanceof BlockHome.OnDevice(CacheForm form, DeviceBuffer memory))) {
            throw new IllegalArgumentException("block " + block.name() + " is not on the device");
        }
        Optional<BlockHome.OnHost> to = homeOnHost(form.encoding(), departed, idleBefore);
        to.ifPresent(home -> {
            leftDevice.increment();
            store.move(block, home);
            disk.ifPresent(tier -> tier.departs(block));
            long bytes = geometry.blockLayerBytes(form.encoding());
            List<DeviceBuffer> from = new ArrayList<>();
            for (int layer = 0; layer < geometry.cachedLayerCount(); layer++) {
                from.add(memory.slice(layer * bytes, bytes));
            }
            departures.put(block, new Departure(from, layers(home)));
            device.free(memory);
        });
        return to.isPresent();
    }

    private Optional<BlockHome.OnHost> homeOnHost(Encoding encoding, HostPool.Cursors cursors, long idleBefore) {
        return onHost(BlockPart.of(encoding), cursors, idleBefore).map(slot -> new BlockHome.OnHost(encoding, slot));
    }

    /** Host memory; what gives way is idle since before that. It does so before short runs of slots are used up. */
    private Optional<HostSlot> onHost(BlockPart part, HostPool.Cursors cursors, long idleBefore) {
        Optional<HostSlot> slot = host.allocate(part, cursors);
        if (slot.isEmpty() && givesWayOnHost(part, idleBefore)) {
            slot = host.allocate(part, cursors);
        }
        return slot.isPresent() ? slot : host.allocateAnywhere(part, cursors);
    }

    /**
     * The oldest goes whose slot helps: its slab holds the same, or nothing that is used. With it goes what is old
     * among its neighbours, since pieces should be long: of the first few slabs, the first that has room for some then.
     */
    private boolean givesWayOnHost(BlockPart part, long idleBefore) {
        Set<HostSlab> tried = new LinkedHashSet<>();
        for (Evictable oldest : store.idleOnHost()) {
            HostSlab slab = slab(oldest);
            if (oldest.idleSince() >= idleBefore || tried.size() == SLABS_TRIED) {
                break;
            }
            boolean helps = part.equals(slab.content()) || (slab.isIdle() && slab.slots(part) > 0);
            if (helps
                    && tried.add(slab)
                    && !slab.hasGrowers()
                    && slab.isRoomyWithout(old(slab, part, idleBefore).keySet())) {
                return evictFrom(slab, part, idleBefore);
            }
        }
        return !tried.isEmpty() && evictFrom(tried.iterator().next(), part, idleBefore);
    }

    private boolean evictFrom(HostSlab slab, BlockPart part, long idleBefore) {
        old(slab, part, idleBefore).values().forEach(this::evict);
        return true;
    }

    /** What may go of a slab, by slot: all if it is to hold something else, else the older half of all that is idle. */
    private Map<Integer, Evictable> old(HostSlab slab, BlockPart part, long idleBefore) {
        Map<Integer, Evictable> old = new HashMap<>(slab.evictable());
        if (part.equals(slab.content())) {
            long oldest = store.idleOnHost().first().idleSince();
            long middle = oldest + (store.stamp() - oldest) / 2;
            long oldestOfSlab =
                    old.values().stream().mapToLong(Evictable::idleSince).min().orElseThrow();
            old.values()
                    .removeIf(one -> one.idleSince() >= idleBefore
                            || (one.idleSince() > middle && one.idleSince() > oldestOfSlab));
        }
        return old;
    }

    private static HostSlab slab(Evictable what) {
        return switch (what) {
            case Block block -> ((BlockHome.OnHost) block.home()).slot().slab();
            case WindowPiece piece -> piece.slot().slab();
        };
    }

    private void evict(Evictable what) {
        switch (what) {
            case Block block -> {
                leftHost.increment();
                forget(block);
            }
            case WindowPiece piece -> forget(piece);
        }
    }

    private void forget(WindowPiece piece) {
        departures.remove(piece);
        disk.ifPresent(tier -> tier.freed(piece));
        store.forget(piece);
        host.free(piece.slot());
    }

    boolean isAnyIdleOnDevice() {
        return !store.idleOnDevice().isEmpty();
    }

    /**
     * At the end: moves idle blocks from the device to the host, in place of all that is idle there, those that a text
     * begins with before those that follow.
     *
     * @param isWanted which blocks, as far as there is host memory
     * @return whether any moved
     */
    boolean moveToHost(Predicate<Block> isWanted) {
        while (!store.idleOnHost().isEmpty()) {
            evict(store.idleOnHost().first());
        }
        boolean moved = false;
        for (Block block : List.copyOf(store.idleOnDevice().descendingSet())) {
            if (isWanted.test(block)) {
                if (!moveToHost(block, NEVER)) {
                    return moved;
                }
                moved = true;
            }
        }
        return moved;
    }

    /** At the end: copies what leaves the device, which the next step would have done. Returns whether it is there. */
    boolean depart(Duration limit) throws InterruptedException {
        if (departures.isEmpty()) {
            return true;
        }
        try {
            Stream stream = owner.stream("cache-departures");
            departures.values().forEach(departure -> departure.issue(stream));
            Event end = owner.event(Event.Timing.UNTIMED);
            stream.record(end);
            CompletableFuture<Boolean> ended = new CompletableFuture<>();
            end.onReached(error -> {
                if (error == null) {
                    ended.complete(true);
                } else {
                    ended.completeExceptionally(error);
                }
            });
            ended.get(limit.toNanos(), TimeUnit.NANOSECONDS);
            departures.clear();
            return true;
        } catch (TimeoutException e) {
            LOG.log(Level.WARNING, "blocks on the device are lost: no time is left to copy them");
        } catch (ExecutionException | RuntimeException e) {
            LOG.log(Level.WARNING, "blocks on the device are lost: {0}", e.toString());
        }
        return false;
    }

    /** What leaves the device, which is up to the caller from now on. */
    public List<Departure> takeDepartures() {
        List<Departure> all = List.copyOf(departures.values());
        departures.clear();
        return all;
    }

    /** What rings are filled with, which is up to the caller from now on. */
    public List<RingFill> takeRingFills() {
        List<RingFill> all = ringFills.values().stream().flatMap(List::stream).toList();
        ringFills.clear();
        return all;
    }

    void name(Block block, BlockName name, String salt) {
        store.name(block, name, salt);
        if (block.hasName() && block.home() instanceof BlockHome.OnHost) {
            disk.ifPresent(tier -> {
                if (departures.containsKey(block)) {
                    tier.departs(block);
                } else {
                    tier.filled(block);
                }
            });
        }
    }

    /** The block of a name, if it is in memory. */
    Optional<Block> find(@Nullable BlockName name) {
        return name == null ? Optional.empty() : store.find(name);
    }

    void use(Block block) {
        store.use(block);
    }

    void use(WindowPiece piece) {
        store.use(piece);
    }

    void release(WindowPiece piece) {
        store.release(piece);
    }

    /** Host memory for what is on the disk; what is idle gives way. */
    Optional<HostSlot> takeToReadTo(BlockPart part, HostPool.Cursors cursors) {
        return onHost(part, cursors, Long.MAX_VALUE);
    }

    void free(HostSlot slot) {
        host.free(slot);
    }

    /** Keeps what rings had of a block, as the disk had it; empty if that is known, or its block is not. */
    Optional<WindowPiece> keepRead(BlockName name, HostSlot slot) {
        Optional<WindowPiece> piece = store.find(name)
                .filter(block -> block.windowPiece() == null)
                .map(block -> new WindowPiece(block, slot));
        piece.ifPresent(store::keep);
        return piece;
    }

    /** A sequence uses a block no more. */
    void release(Block block) {
        if (!store.release(block)) {
            free(block);
        } else if (block.isIdle() && block.copy() != null) {
            copies.addLast(block);
        }
        if (block.isIdle() && block.hasName()) {
            disk.ifPresent(tier -> tier.becameIdle(block));
        }
    }

    private void free(Block block) {
        departures.remove(block);
        disk.ifPresent(tier -> tier.freed(block));
        if (block.copy() != null) {
            giveBackCopy(block);
        }
        if (block.windowPiece() != null) {
            forget(block.windowPiece());
        }
        free(block.home());
    }

    private void free(BlockHome home) {
        switch (home) {
            case BlockHome.OnDevice onDevice -> device.free(onDevice.memory());
            case BlockHome.OnHost onHost -> host.free(onHost.slot());
        }
    }

    /** Bytes of the ring of a sequence of up to {@code maxTokens} tokens. */
    public long ringBytes(int maxTokens) {
        return geometry.ringBytes(maxTokens, maxRows);
    }

    /** The sequence takes no more host memory. */
    void leave(HostPool.Cursors cursors) {
        host.leave(cursors);
    }

    void free(WindowRing ring) {
        device.free(ring.memory());
    }

    /** Device memory for the copy of a block, if there is some to spare. Nothing is forgotten for it. */
    Optional<BlockHome.OnDevice> takeCopy(Encoding encoding) {
        long bytes = geometry.blockBytes(encoding);
        Optional<DeviceBuffer> memory = device.allocate(bytes);
        while (memory.isEmpty()
                && !store.idleOnDevice().isEmpty()
                && moveToHost(store.idleOnDevice().first(), NEVER)) {
            memory = device.allocate(bytes);
        }
        copyBytes.add(memory.map(DeviceBuffer::bytes).orElse(0L));
        return memory.map(copy -> new BlockHome.OnDevice(new CacheForm(encoding, Place.DEVICE), copy));
    }

    /** A block is now read from its copy. */
    void copied(Block block, BlockHome.OnDevice copy) {
        block.setCopy(copy);
        copies.addLast(block);
    }

    private void giveBackCopy(Block block) {
        BlockHome.OnDevice copy = Objects.requireNonNull(block.copy());
        block.setCopy(null);
        copies.remove(block);
        giveBackCopy(copy);
    }

    void giveBackCopy(BlockHome.OnDevice copy) {
        copyBytes.add(-copy.memory().bytes());
        device.free(copy.memory());
    }

    /** Takes an open block. The pool is sized for the largest step, so running out of it is a bug. */
    DeviceBuffer takeOpen() {
        long bytes = geometry.openBlockBytes();
        if (bytes == 0) {
            return openMemory.slice(0, 0);
        }
        return openMemory.slice(
                open.allocate(bytes)
                        .orElseThrow(() -> new IllegalStateException("no open block is left: %d of %d bytes are used"
                                .formatted(open.usedBytes(), open.bytes()))),
                bytes);
    }

    void giveBackOpen(DeviceBuffer block) {
        if (block.bytes() > 0) {
            open.free(block.address() - openMemory.address(), block.bytes());
        }
    }
}
