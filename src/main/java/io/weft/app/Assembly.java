package io.weft.app;

import io.weft.cache.BlockNaming;
import io.weft.cache.DiskStore;
import io.weft.cache.KvCache;
import io.weft.device.Device;
import io.weft.device.Device.Allocation.Memory;
import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceInfo;
import io.weft.device.HostBuffer;
import io.weft.device.HostRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.engine.EngineRuntime;
import io.weft.engine.ServedModel;
import io.weft.engine.ServedModel.SamplingDefaults;
import io.weft.engine.StepObserver;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.GenerationConfig;
import io.weft.model.ModelDimensions;
import io.weft.model.ModelFiles;
import io.weft.model.ModelLoadException;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.model.ModelTensors;
import io.weft.model.ModelWeights;
import io.weft.model.PresetWeights;
import io.weft.model.RandomWeights;
import io.weft.observe.Observatory;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.Workspace;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.placement.Planning;
import io.weft.plan.placement.PlanningOptions;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepMemory;
import io.weft.plan.step.StepPlan;
import io.weft.plan.whatif.WhatIf;
import io.weft.profile.HardwareProfiler;
import io.weft.profile.ProfileStore.StoredProfile;
import io.weft.profile.ProfilingMemory;
import io.weft.text.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** Device, model, cache and pipeline, assembled according to the settings. */
public final class Assembly implements AutoCloseable {
    /** The subdirectory for profiles of the CPU device with a throttled link. */
    private static final String THROTTLED = "throttled";

    /** The most memory for measuring, which is the largest copy; the link's rate stops growing long before. */
    private static final long PROFILING_BYTES_MAX = 64L << 20;

    /** The most rows of a step with logits, unless the batch has more sequences. */
    private static final int LOGIT_ROWS = 64;

    /** For blocks that are not on the disk yet. */
    private static final Duration WRITING_AT_THE_END_MOST = Duration.ofSeconds(10);

    private final Settings settings;
    private final ModelTensors tensors;
    private final Device device;
    private final KvCache cache;
    private final HostRegion hostMemory;
    private final StepPipeline pipeline;
    private final Workspace workspace;
    private final CostModel costs;
    private final Supplier<UnaryOperator<HardwareProfile>> linkMeter;
    private final String budget;
    private final ServedModel served;

    private Assembly(
            Settings settings,
            ModelTensors tensors,
            Device device,
            KvCache cache,
            HostRegion hostMemory,
            Workspace workspace,
            StepPipeline pipeline,
            CostModel costs,
            Supplier<UnaryOperator<HardwareProfile>> linkMeter,
            String budget) {
        this.settings = settings;
        this.tensors = tensors;
        this.device = device;
        this.cache = cache;
        this.hostMemory = hostMemory;
        this.workspace = workspace;
        this.pipeline = pipeline;
        this.costs = costs;
        this.linkMeter = linkMeter;
        this.budget = budget;
        this.served = served(settings, tensors, workspace.limits());
    }

    public static ModelFiles open(Settings settings) {
        return open(settings.model().source());
    }

    /** Opens the files of a model. */
    public static ModelFiles open(String model) {
        return ModelFiles.open(ModelSource.parse(model));
    }

    private static ModelTensors tensors(Settings settings) {
        return switch (ModelSource.parse(settings.model().source())) {
            case ModelSource.Random(ModelPreset preset, PresetWeights weights) ->
                new RandomWeights(
                        preset, weights, settings.batch().contextTokens().orElse(1));
            case ModelSource.Directory directory -> open(settings);
            case ModelSource.Demo demo -> open(settings);
        };
    }

    /**
     * Opens the tokenizer of a model.
     *
     * @throws ModelLoadException if it has ids beyond those of the weights, which would index past the embedding
     * @throws io.weft.text.TokenizerException naming file and cause
     */
    public static Tokenizer tokenizer(ModelFiles files) {
        Tokenizer tokenizer = Tokenizer.open(files.directory());
        int vocabulary = files.architecture().dimensions().vocabularySize();
        if (tokenizer.size() > vocabulary) {
            int highest = tokenizer.size() - 1;
            tokenizer.close();
            throw new ModelLoadException(
                    files.directory().resolve("tokenizer.json"),
                    "has token ids up to %d, but the model's vocabulary has %d".formatted(highest, vocabulary));
        }
        return tokenizer;
    }

    /** How the cache gets its host memory. */
    private enum HostMemory {
        /** All of it before the first step. */
        AT_ONCE {
            @Override
            HostRegion take(Device device, long bytes) {
                return HostRegion.of(device.allocateHost(KvCache.HOST_PURPOSE, bytes));
            }
        },
        /** A first part, and the rest while steps run. */
        PART_BY_PART {
            @Override
            HostRegion take(Device device, long bytes) {
                return device.reserveHost(KvCache.HOST_PURPOSE, bytes);
            }
        };

        abstract HostRegion take(Device device, long bytes);
    }

    /**
     * Loads the model onto the device and takes memory for the cache.
     *
     * @param profiler provides the machine's profile
     * @param progress receives the current activity, for people
     */
    public static Assembly load(Settings settings, HardwareProfiler profiler, Consumer<String> progress) {
        progress.accept("opening model " + settings.model().source());
        return load(settings, tensors(settings), profiler, progress);
    }

    /** Loads an open model. The model is closed with the result, or if loading fails. */
    public static Assembly load(
            Settings settings, ModelTensors tensors, HardwareProfiler profiler, Consumer<String> progress) {
        return load(settings, tensors, HostMemory.AT_ONCE, profiler, progress);
    }

    /**
     * Loads an open model for a service that begins with the first part of the cache's host memory. The rest is for
     * {@link #hostGrowth}.
     */
    static Assembly loadFirstPart(
            Settings settings, ModelTensors tensors, HardwareProfiler profiler, Consumer<String> progress) {
        return load(settings, tensors, HostMemory.PART_BY_PART, profiler, progress);
    }

    private static Assembly load(
            Settings settings,
            ModelTensors tensors,
            HostMemory hostMemory,
            HardwareProfiler profiler,
            Consumer<String> progress) {
        try {
            settings.cache().directory().ifPresent(Assembly::requireUsable);
            Device device = Devices.open(settings, tensors.storedType());
            try {
                return load(settings, tensors, device, hostMemory, profiler, progress);
            } catch (RuntimeException | Error e) {
                device.close();
                throw e;
            }
        } catch (RuntimeException | Error e) {
            tensors.close();
            throw e;
        }
    }

    private static Assembly load(
            Settings settings,
            ModelTensors tensors,
            Device device,
            HostMemory hostMemory,
            HardwareProfiler profiler,
            Consumer<String> progress) {
        ModelDimensions dimensions = tensors.architecture().dimensions();
        int context =
                Math.min(settings.batch().contextTokens().orElse(dimensions.maxPositions()), dimensions.maxPositions());
        CacheGeometry geometry = settings.cache()
                .geometry(
                        dimensions.within(context),
                        device.elementType(),
                        device.info().cellTokens());
        StepLimits limits =
                limits(settings.batch(), geometry, context, device.info().deviceBudgetBytes());
        BudgetTable table = new BudgetTable(device);
        long startNanos = System.nanoTime();
        long bytesBefore = used(device, Memory.DEVICE);
        ModelWeights weights = ModelWeights.load(
                tensors, device, context, (layer, layers) -> progress.accept("layer " + layer + " of " + layers));
        double seconds = (System.nanoTime() - startNanos) / 1e9;
        double gigabytes = (used(device, Memory.DEVICE) - bytesBefore) / 1e9;
        table.part("weights", "loaded in %.1f s, %.1f GB/s".formatted(seconds, gigabytes / seconds));
        Workspace workspace =
                Workspace.allocate(device, geometry, limits, stagingBytes(settings, device, geometry, limits));
        HostBuffer copies = device.allocateHost(
                "copies to measure", Math.min(PROFILING_BYTES_MAX, device.info().hostBudgetBytes() / 8));
        table.part("workspace", "");
        progress.accept("taking memory for the cache");
        int openBlocks = limits.openBlocks(geometry.blockTokens());
        long usefulBlocks = settings.cacheTokens().isPresent()
                ? Math.ceilDiv(settings.cacheTokens().getAsLong(), geometry.blockTokens())
                : limits.sequences() * (long) geometry.blocks(context);
        // A service that keeps blocks for prompts to come has a use for all memory.
        boolean keeps = settings.cache().prefixCache() && hostMemory == HostMemory.PART_BY_PART;
        long hostBytes = keeps ? Long.MAX_VALUE : KvCache.hostBytes(geometry, usefulBlocks);
        long deviceBytes = keeps
                ? Long.MAX_VALUE
                : usefulBlocks * geometry.blockBytes(Content.KEY_VALUE)
                        + limits.sequences() * geometry.ringBytes(context, limits.rows());
        HostRegion host = hostMemory.take(device, Math.min(hostBytes, free(device, Memory.HOST)));
        KvCache cache = new KvCache(
                device,
                geometry,
                limits.cacheNeeds(geometry.blockTokens()),
                Math.min(deviceBytes, free(device, Memory.DEVICE) - openBlocks * geometry.openBlockBytes()),
                host,
                settings.cache().prefixCache()
                        ? Optional.of(naming(tensors, weights, device, geometry))
                        : Optional.empty());
        table.part("cache", "");
        progress.accept("measuring the hardware");
        ProfilingMemory memory = new ProfilingMemory(profilingMemory(workspace, cache), copies);
        HardwareProfile profile =
                profiler.profile(device, weights, geometry, memory, profileDirectory(settings, device.info()));
        StepPipeline pipeline = new StepPipeline(device, weights, cache, workspace);
        if (settings.cache().prefixCache()) {
            settings.cache()
                    .directory()
                    .ifPresent(directory -> cache.keepOn(new DiskStore(
                            directory, settings.cache().directoryBytes(), fingerprint(tensors, device, geometry))));
        }
        return new Assembly(
                settings,
                tensors,
                device,
                cache,
                host,
                workspace,
                pipeline,
                new CostModel(profile, geometry),
                () -> profiler.linkMeter(device, weights, geometry, memory),
                table.toString());
    }

    private static StepLimits limits(Settings.Batch batch, CacheGeometry geometry, int context, long deviceBytes) {
        int sequences = batch.maxSequences();
        int rows = batch.stepTokens();
        int draftRows = switch (batch.speculation()) {
            case AUTO, NGRAM -> StepMemory.usualDraftRows(geometry, sequences, rows, context, deviceBytes);
            case OFF -> 0;
        };
        int logitRows = Math.min(rows, Math.max(sequences + draftRows, LOGIT_ROWS));
        return new StepLimits(sequences, rows, logitRows, draftRows, context);
    }

    /** Says now what is wrong with the directory; later on, the cache would do without. */
    static void requireUsable(Path directory) {
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new SettingException("weft.cache-directory", directory.toString(), "a folder: " + e);
        }
        if (!Files.isWritable(directory)) {
            throw new SettingException("weft.cache-directory", directory.toString(), "a folder that can be written to");
        }
    }

    private static BlockNaming naming(
            ModelTensors tensors, ModelWeights weights, Device device, CacheGeometry geometry) {
        return new BlockNaming(
                fingerprint(tensors, device, geometry),
                maxTokens -> weights.longRows().map(rows -> rows.of(maxTokens)).orElse(0));
    }

    /**
     * Blocks of one name hold the same bits: of the same model, computed by the same kernels on the same kind of
     * device, with attention summed up in the same cells. Under a lossy policy they depend on the blocks before them as
     * these are stored.
     */
    private static byte[] fingerprint(ModelTensors tensors, Device device, CacheGeometry geometry) {
        String all = String.join(
                " ",
                HexFormat.of().formatHex(tensors.fingerprint()),
                Version.commit().orElse(""),
                device.info().kind(),
                device.info().name(),
                device.elementType().toString(),
                String.valueOf(geometry.blockTokens()),
                String.valueOf(geometry.cellTokens()),
                geometry.windowLayers().toString(),
                geometry.policy().label());
        return all.getBytes(StandardCharsets.UTF_8);
    }

    /**
     * The directory of the device's profile. A throttled link is not the machine's link: its measurements are for later
     * runs of that kind, not for a plan for this machine.
     */
    static Path profileDirectory(Settings settings, DeviceInfo device) {
        boolean isThrottled = settings.machine().cpuLinkGigabytesPerSecond().isPresent()
                && device.kind().equals(CpuDevice.KIND);
        return isThrottled
                ? settings.machine().profileDirectory().resolve(THROTTLED)
                : settings.machine().profileDirectory();
    }

    /**
     * Memory that is not in use yet: more than a processor's cache holds, in which kernels would be faster than in a
     * step.
     */
    private static DeviceBuffer profilingMemory(Workspace workspace, KvCache cache) {
        DeviceBuffer blocks = cache.deviceMemory();
        long bytes = Math.min(PROFILING_BYTES_MAX, blocks.bytes());
        return workspace.staging().bytes() < bytes ? blocks.slice(0, bytes) : workspace.staging();
    }

    private static long stagingBytes(Settings settings, Device device, CacheGeometry geometry, StepLimits limits) {
        return settings.cache()
                .stagingBytes()
                .orElse(StagingLayout.usualBytes(
                        geometry,
                        limits.sequences(),
                        limits.contextTokens(),
                        device.info().deviceBudgetBytes()));
    }

    private static long free(Device device, Memory memory) {
        long budget = switch (memory) {
            case DEVICE -> device.info().deviceBudgetBytes();
            case HOST -> device.info().hostBudgetBytes();
        };
        return budget - used(device, memory);
    }

    private static long used(Device device, Memory memory) {
        return device.allocations().stream()
                .filter(allocation -> allocation.memory() == memory)
                .mapToLong(Device.Allocation::bytes)
                .sum();
    }

    private static ServedModel served(Settings settings, ModelTensors tensors, StepLimits limits) {
        GenerationConfig generation = tensors instanceof ModelFiles files ? files.generation() : GenerationConfig.NONE;
        return new ServedModel(
                servedName(settings),
                Instant.now(),
                limits.contextTokens(),
                tensors.architecture().dimensions().vocabularySize(),
                tensors instanceof ModelFiles files ? endTokens(files) : Set.of(),
                new SamplingDefaults(
                        generation.temperature().orElse(1),
                        generation.topP().orElse(1),
                        generation.topK().orElse(0),
                        generation.minP().orElse(0),
                        generation.repetitionPenalty().orElse(1),
                        generation.newTokens(),
                        generation.allTokens()));
    }

    /**
     * The end tokens of a model: those of its configuration, else the tokenizer's, else its family's. With none, only a
     * length or a stop string ends a completion.
     */
    static Set<Integer> endTokens(ModelFiles files) {
        Set<Integer> named = files.generation().endTokens();
        if (!named.isEmpty()) {
            return named;
        }
        int vocabulary = files.architecture().dimensions().vocabularySize();
        return Tokenizer.endToken(files.directory()).map(List::of).orElseGet(files::familyEndTokens).stream()
                .filter(token -> token < vocabulary)
                .collect(Collectors.toSet());
    }

    /** What a model's configuration asks for and does not get, for the log; empty if there is nothing. */
    static Optional<String> ignored(ModelFiles files) {
        List<String> fields = files.generation().ignored();
        return fields.isEmpty()
                ? Optional.empty()
                : Optional.of("%s: these fields have no effect: %s"
                        .formatted(files.directory().resolve("generation_config.json"), String.join(", ", fields)));
    }

    /** The first of the model's names in the API. */
    static String servedName(Settings settings) {
        return servedNames(settings).getFirst();
    }

    /** The model's names in the API. */
    static List<String> servedNames(Settings settings) {
        List<String> names = settings.model().servedNames();
        return !names.isEmpty()
                ? names
                : List.of(
                        switch (ModelSource.parse(settings.model().source())) {
                            case ModelSource.Demo demo -> "demo";
                            case ModelSource.Random(ModelPreset preset, PresetWeights weights) -> preset.label();
                            case ModelSource.Directory(Path path) ->
                                path.toAbsolutePath().normalize().getFileName().toString();
                        });
    }

    /** The uses of memory, as a table for people. */
    public String budget() {
        return budget;
    }

    /** The bytes of host memory that the link reaches, which are pinned if there is a real link. */
    long pinnedBytes() {
        return used(device, Memory.HOST) - hostMemory.memory().bytes() + hostMemory.reachableBytes();
    }

    /**
     * The work of getting the rest of the cache's host memory.
     *
     * @param isWanted whether a part may be pinned now
     * @param changed called after each part
     */
    HostGrowth hostGrowth(BooleanSupplier isWanted, Runnable changed) {
        return new HostGrowth(hostMemory, cache, isWanted, changed);
    }

    public String deviceName() {
        return device.info().name();
    }

    /** The machine's profile from the start. */
    public StoredProfile profile() {
        return StoredProfile.of(device, cache.geometry(), costs.profile());
    }

    /** The costs of stages by the profile from the start. */
    public CostModel costs() {
        return costs;
    }

    /**
     * The costs of stages by the profile from the start, but with the link measured anew each time. The cache must be
     * empty then: its memory is overwritten.
     */
    public Supplier<CostModel> costsWithLinkNow() {
        UnaryOperator<HardwareProfile> meter = linkMeter.get();
        return () -> new CostModel(meter.apply(costs.profile()), cache.geometry());
    }

    /** The runtime of an engine under a schedule; closing it closes this assembly. */
    public EngineRuntime runtime(Settings.ScheduleChoice choice) {
        return runtime(choice, costs, workspace.limits());
    }

    /**
     * The runtime planned for a smaller load than memory allows, as by a service that is set up for that load.
     *
     * @param current the costs of stages
     * @param load within {@link #limits()}
     */
    public EngineRuntime runtime(Settings.ScheduleChoice choice, CostModel current, StepLimits load) {
        Planning planning = planning(choice, current, load);
        return runtime(() -> planning, StepObserver.NONE);
    }

    /** The limits of a step. */
    public StepLimits limits() {
        return workspace.limits();
    }

    /** The observed runtime: it plans anew if steps deviate from their predictions for long. */
    public EngineRuntime runtime(Settings.ScheduleChoice choice, Observatory observatory) {
        AtomicReference<Planning> planning = new AtomicReference<>(planning(choice, costs, workspace.limits()));
        observatory.begin(
                whatIf(choice),
                profile ->
                        planning.set(planning(choice, new CostModel(profile, cache.geometry()), workspace.limits())));
        return runtime(planning::get, new StepObserver() {
            @Override
            public boolean timesNextStep() {
                return observatory.timesNextStep();
            }

            @Override
            public void found(int tokens) {
                observatory.found(tokens);
            }

            @Override
            public void generated(int passes, int drafted, int accepted) {
                observatory.generated(passes, drafted, accepted);
            }

            @Override
            public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
                observatory.stepped(plan, nanos, measured);
            }
        });
    }

    private EngineRuntime runtime(Supplier<Planning> planning, StepObserver observer) {
        return new EngineRuntime(served, cache, pipeline, planning, observer, this::close);
    }

    private Planning planning(Settings.ScheduleChoice choice, CostModel current, StepLimits load) {
        long stagingBytes =
                Math.min(workspace.staging().bytes(), stagingBytes(settings, device, cache.geometry(), load));
        return new PlanningOptions(
                        choice.schedule(),
                        load.sequences(),
                        load.contextTokens(),
                        stagingBytes,
                        settings.cache().chunkTokens())
                .planning(current);
    }

    /** The plan for full batches of full contexts. */
    private WhatIf whatIf(Settings.ScheduleChoice choice) {
        StepLimits limits = workspace.limits();
        return new WhatIf(
                costs.profile(),
                true,
                cache.geometry(),
                tensors.weightBits(),
                Math.min(limits.sequences(), WhatIf.BATCH_MOST),
                Math.min(limits.contextTokens(), WhatIf.CONTEXT_MOST),
                device.info().deviceBudgetBytes(),
                device.info().hostBudgetBytes(),
                workspace.staging().bytes(),
                cache.geometry().policy().stored(choice.forms()));
    }

    @Override
    public void close() {
        cache.closeDisk(WRITING_AT_THE_END_MOST);
        device.close();
        tensors.close();
    }

    /** Sums up allocations by part. */
    private static final class BudgetTable {
        private final Device device;
        private final StringBuilder lines = new StringBuilder();
        private long deviceBytes;
        private long hostBytes;

        BudgetTable(Device device) {
            this.device = device;
            lines.append("%-12s %14s %14s%n".formatted("memory", "device", "host"));
            line("budget", device.info().deviceBudgetBytes(), device.info().hostBudgetBytes(), "");
        }

        /**
         * Ends a part, which has the allocations since the part before.
         *
         * @param note for people; may be empty
         */
        void part(String name, String note) {
            long deviceNow = used(device, Memory.DEVICE);
            long hostNow = used(device, Memory.HOST);
            line(name, deviceNow - deviceBytes, hostNow - hostBytes, note);
            deviceBytes = deviceNow;
            hostBytes = hostNow;
        }

        private void line(String name, long device, long host, String note) {
            lines.append("%-12s %11.1f MB %11.1f MB  %s"
                            .formatted(name, device / 1e6, host / 1e6, note)
                            .stripTrailing())
                    .append(System.lineSeparator());
        }

        @Override
        public String toString() {
            return lines.toString();
        }
    }
}
