package io.weft.cache;

import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.HostRegion;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** The cache of all sequences: its pools, and which sequence holds which memory. */
public final class KvCache {
    /** In the budget that is printed. */
    public static final String HOST_PURPOSE = "cache on the host";

    private final CacheGeometry geometry;
    private final int maxRows;
    private final DevicePool open;
    private final DevicePool device;
    private final HostPool host;
    /** Copies in the order in which they were promoted. */
    private final Deque<Copy> copies = new ArrayDeque<>();

    private final Optional<BlockNaming> naming;

    private long copyBytes;

    /**
     * What the largest step needs of the cache.
     *
     * @param openBlocks open blocks that are ever in use at once
     * @param rows new tokens of a step
     */
    public record StepNeeds(int openBlocks, int rows) {}

    /** A block that has a copy on the device. */
    private record Copy(CacheSequence sequence, int block) {}

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
        this.naming = naming;
        this.geometry = geometry;
        this.maxRows = needs.rows();
        this.open =
                new DevicePool(device.allocate("open cache blocks", needs.openBlocks() * geometry.openBlockBytes()));
        this.device = new DevicePool(device.allocate("cache on the device", deviceBytes));
        this.host = new HostPool(host, geometry);
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
        return open.memory();
    }

    /** The memory of full blocks on the device. */
    public DeviceBuffer deviceMemory() {
        return device.memory();
    }

    /** The address from which the offsets of full blocks on the device count. */
    public long deviceAddress() {
        return device.memory().address();
    }

    public CacheUsage usage() {
        return new CacheUsage(open.usage(), device.usage(), host.usage(), copyBytes);
    }

    /**
     * What a sequence begins with.
     *
     * @param tokens of the prompt, at least one
     * @param maxTokens the most tokens that the sequence may have
     * @param salt sequences share blocks only with those of the same salt
     */
    public Prompt prompt(List<Integer> tokens, int maxTokens, String salt) {
        return naming.map(names -> Prompt.named(tokens, maxTokens, salt, names))
                .orElseGet(() -> Prompt.unnamed(tokens, maxTokens));
    }

    /** Blocks that gave up their memory. Any thread may ask, approximately. */
    public Evictions evictions() {
        return new Evictions(0, 0);
    }

    /** The named blocks. Any thread may ask, approximately. */
    public HeldBlocks held() {
        return new HeldBlocks(0, 0, 0);
    }

    /** Forgets all named blocks: those that sequences use lose their names. Returns their number. */
    public int forget() {
        return 0;
    }

    /** Forgets the named blocks of one salt. Returns their number. */
    public int forget(String salt) {
        return 0;
    }

    /** Admits a sequence whose blocks have no names. */
    public Optional<CacheSequence> admit(int maxTokens, IntFunction<List<CacheForm>> preferences) {
        return admit(Prompt.unnamed(List.of(), maxTokens), preferences);
    }

    /**
     * Admits a sequence. It begins with the known blocks of its prompt, but for the last token, which has to run.
     * Copies give way, the youngest first.
     *
     * @param preferences forms that block i may have, the best first; a form on the host ends the list, since whether
     *     host memory is left shows at the end
     * @return the sequence, or empty if there is no room now
     */
    public Optional<CacheSequence> admit(Prompt prompt, IntFunction<List<CacheForm>> preferences) {
        int maxTokens = prompt.maxTokens();
        int ringBlocks = geometry.ringBlocks(maxTokens, maxRows);
        Optional<DeviceBuffer> ring = allocateOnDevice(ringBlocks * geometry.windowBlockBytes());
        if (ring.isEmpty()) {
            return Optional.empty();
        }
        int blocks = maxTokens / geometry.blockTokens();
        BlockHome[] homes = new BlockHome[blocks];
        HostPool.Cursors cursors = new HostPool.Cursors();
        boolean fits = true;
        for (int block = 0; block < blocks && fits; block++) {
            // Blocks without cached layers are empty: they are where nothing moves them.
            List<CacheForm> forms =
                    geometry.cachedLayerCount() == 0 ? List.of(CacheForm.DEVICE_KV) : preferences.apply(block);
            Optional<BlockHome> home = home(forms, cursors);
            fits = home.isPresent();
            homes[block] = home.orElse(null);
        }
        if (!fits) {
            free(homes);
            host.leave(cursors);
            device.free(ring.get());
            return Optional.empty();
        }
        return Optional.of(
                new CacheSequence(this, maxTokens, homes, cursors, new WindowRing(geometry, ring.get(), ringBlocks)));
    }

    private Optional<DeviceBuffer> allocateOnDevice(long bytes) {
        Optional<DeviceBuffer> memory = device.allocate(bytes);
        while (memory.isEmpty() && !copies.isEmpty()) {
            Copy youngest = copies.removeLast();
            youngest.sequence().giveBackCopy(youngest.block());
            memory = device.allocate(bytes);
        }
        return memory;
    }

    /** A home in the first of these forms for which there is memory. */
    private Optional<BlockHome> home(List<CacheForm> forms, HostPool.Cursors cursors) {
        for (CacheForm form : forms) {
            Optional<? extends BlockHome> home = switch (form.place()) {
                case DEVICE ->
                    allocateOnDevice(geometry.blockBytes(form.content()))
                            .map(memory -> new BlockHome.OnDevice(form, memory));
                case HOST -> host.allocate(form.content(), cursors);
            };
            if (home.isPresent()) {
                return Optional.of(home.get());
            }
        }
        return Optional.empty();
    }

    /** Replaces homes on the device; false if there is no room, and then nothing has changed. */
    boolean rehome(@Nullable BlockHome[] homes, List<Integer> blocks, CacheForm form, HostPool.Cursors cursors) {
        return switch (form.place()) {
            case DEVICE -> shrink(homes, blocks, form);
            case HOST -> leaveDevice(homes, blocks, form.content(), cursors);
        };
    }

    /** One by one: a smaller home fits where the larger one was. */
    private boolean shrink(@Nullable BlockHome[] homes, List<Integer> blocks, CacheForm form) {
        long bytes = geometry.blockBytes(form.content());
        for (int block : blocks) {
            BlockHome.OnDevice home = onDevice(homes[block]);
            if (bytes > home.memory().bytes()) {
                throw new IllegalArgumentException(
                        "a home of " + home.memory().bytes() + " bytes cannot become one of " + bytes);
            }
            device.free(home.memory());
            homes[block] = new BlockHome.OnDevice(form, device.allocate(bytes).orElseThrow());
        }
        return true;
    }

    private boolean leaveDevice(
            @Nullable BlockHome[] homes, List<Integer> blocks, Content content, HostPool.Cursors cursors) {
        List<BlockHome.OnHost> onHost = new ArrayList<>();
        for (int i = 0; i < blocks.size(); i++) {
            Optional<BlockHome.OnHost> home = host.allocate(content, cursors);
            if (home.isEmpty()) {
                onHost.forEach(host::free);
                return false;
            }
            onHost.add(home.get());
        }
        for (int i = 0; i < blocks.size(); i++) {
            int block = blocks.get(i);
            device.free(onDevice(homes[block]).memory());
            homes[block] = onHost.get(i);
        }
        return true;
    }

    private static BlockHome.OnDevice onDevice(@Nullable BlockHome home) {
        if (home instanceof BlockHome.OnDevice onDevice) {
            return onDevice;
        }
        throw new IllegalArgumentException("the home is not on the device: " + home);
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

    /** Frees homes; entries that were never filled are null. */
    void free(@Nullable BlockHome[] homes) {
        for (BlockHome home : homes) {
            switch (home) {
                case null -> {}
                case BlockHome.OnDevice onDevice -> device.free(onDevice.memory());
                case BlockHome.OnHost onHost -> host.free(onHost);
            }
        }
    }

    /** Device memory for the copy of a block, if there is some to spare. */
    Optional<BlockHome.OnDevice> takeCopy(Content content) {
        Optional<DeviceBuffer> memory = device.allocate(geometry.blockBytes(content));
        copyBytes += memory.map(DeviceBuffer::bytes).orElse(0L);
        return memory.map(copy -> new BlockHome.OnDevice(CacheForm.of(content, Place.DEVICE), copy));
    }

    /** A block is now read from its copy. */
    void copied(CacheSequence sequence, int block) {
        copies.addLast(new Copy(sequence, block));
    }

    void giveBackCopy(BlockHome.OnDevice copy) {
        copyBytes -= copy.memory().bytes();
        device.free(copy.memory());
    }

    /** Forgets all copies of a sequence. */
    void giveBackCopies(CacheSequence sequence) {
        copies.removeIf(copy -> {
            boolean isOfSequence = copy.sequence() == sequence;
            if (isOfSequence) {
                sequence.giveBackCopy(copy.block());
            }
            return isOfSequence;
        });
    }

    /** Takes an open block. The pool is sized for the largest step, so running out of it is a bug. */
    DeviceBuffer takeOpen() {
        return open.allocate(geometry.openBlockBytes())
                .orElseThrow(() -> new IllegalStateException("no open block is left: " + open.usage()));
    }

    void giveBackOpen(DeviceBuffer block) {
        open.free(block);
    }
}
