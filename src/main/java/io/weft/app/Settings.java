package io.weft.app;

import io.weft.app.SettingReader.Bound;
import io.weft.plan.step.Schedule;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.eclipse.microprofile.config.Config;
import org.eclipse.microprofile.config.ConfigProvider;

/**
 * The settings, {@code weft.*}: from the command line, the environment ({@code WEFT_MODEL}) or
 * {@code application.properties}.
 *
 * @param model directory of a Hugging Face model, or {@code demo}
 * @param servedModelName name in the API; the directory's name if empty
 * @param device which device to run on
 * @param schedule how cached tokens are brought to the attention
 * @param deviceMemoryBytes device memory for everything, weights included
 * @param hostMemoryBytes host memory for the cache
 * @param stagingBytes device memory for chunks on their way
 * @param contextTokens limit on prompt and completion together, below the model's own
 * @param cacheTokens tokens of all sequences together, where that is known to be less than full contexts of all
 * @param maxSequences requests in a batch
 * @param maxBatchTokens new tokens of a step
 * @param queueLimit requests that may wait
 * @param blockTokens tokens of a cache block
 * @param cellTokens tokens of a cell of attention's grid; the device's own choice if empty
 * @param chunkTokens tokens of a chunk; chosen by the planner for each kind of step if empty
 * @param cpuLinkGigabytesPerSecond rate of the CPU device's link, 10⁹ bytes a second each way; unlimited if empty
 * @param elementType of weights, activations and the cache on a GPU
 * @param cudaOrdinal which GPU
 * @param cublasPath cuBLASLt or its folder; the usual places if empty
 * @param cpuThreads threads of the CPU device's kernels
 * @param profileDirectory where measured profiles are kept
 * @param apiKey key that clients must send; none if empty
 * @param managementPort second port for probes and metrics; none if empty
 * @param drainTimeout how long requests may go on when the service stops
 * @param livenessStall time without a step or an idle tick after which the service counts as dead
 * @param requests what a request gets that does not say
 */
public record Settings(
        String model,
        Optional<String> servedModelName,
        DeviceChoice device,
        ScheduleChoice schedule,
        OptionalLong deviceMemoryBytes,
        OptionalLong hostMemoryBytes,
        OptionalLong stagingBytes,
        OptionalInt contextTokens,
        OptionalLong cacheTokens,
        int maxSequences,
        int maxBatchTokens,
        int queueLimit,
        int blockTokens,
        OptionalInt cellTokens,
        OptionalInt chunkTokens,
        OptionalDouble cpuLinkGigabytesPerSecond,
        ElementChoice elementType,
        int cudaOrdinal,
        Optional<Path> cublasPath,
        int cpuThreads,
        Path profileDirectory,
        Optional<String> apiKey,
        OptionalInt managementPort,
        Duration drainTimeout,
        Duration livenessStall,
        RequestDefaults requests) {

    private static final int TOKENS_MOST = 1 << 24;

    /** Which device to run on. */
    enum DeviceChoice {
        AUTO,
        CPU,
        CUDA;

        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** What a GPU computes with. */
    enum ElementChoice {
        /** bf16 where the model is stored so, else fp16. */
        AUTO,
        F16,
        BF16;

        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** How cached tokens are brought to the attention. */
    public enum ScheduleChoice {
        AUTO(Optional.empty()),
        RESIDENT(Optional.of(Schedule.RESIDENT)),
        FULL_TRANSFER(Optional.of(Schedule.FULL_TRANSFER)),
        KVPR(Optional.of(Schedule.KVPR)),
        CHUNKED(Optional.of(Schedule.CHUNKED));

        private final Optional<Schedule> schedule;

        ScheduleChoice(Optional<Schedule> schedule) {
            this.schedule = schedule;
        }

        /** The schedule that was asked for; empty leaves it to the planner. */
        Optional<Schedule> schedule() {
            return schedule;
        }

        public String label() {
            return schedule.map(Schedule::label).orElse("auto");
        }
    }

    /** The settings of this process, flags included. */
    public static Settings current() {
        return read(ConfigProvider.getConfig());
    }

    /**
     * Reads and checks all settings.
     *
     * @throws SettingException for the first that is wrong
     */
    static Settings read(Config config) {
        SettingReader reader = new SettingReader(config);
        // Quarkus reads it; but its complaints are forty lines long.
        int apiPort = reader.integer("quarkus.http.port", 8080, 0, 65_535);
        int processors = Runtime.getRuntime().availableProcessors();
        int blockTokens = reader.integer("weft.block-tokens", 16, 1, 4096);
        OptionalInt cellTokens = optional(reader, "weft.cell-tokens");
        if (cellTokens.isPresent() && cellTokens.getAsInt() % blockTokens != 0) {
            throw new SettingException(
                    "weft.cell-tokens", "" + cellTokens.getAsInt(), "a multiple of weft.block-tokens, " + blockTokens);
        }
        int maxSequences = reader.integer("weft.max-sequences", 32, 1, 4096);
        return new Settings(
                reader.text("weft.model", "demo"),
                reader.text("weft.served-model-name"),
                reader.choice("weft.device", DeviceChoice.AUTO, DeviceChoice.class, DeviceChoice::label),
                reader.choice("weft.schedule", ScheduleChoice.AUTO, ScheduleChoice.class, ScheduleChoice::label),
                reader.bytes("weft.device-memory"),
                reader.bytes("weft.host-memory"),
                reader.bytes("weft.staging-memory"),
                optional(reader, "weft.max-context-tokens"),
                OptionalLong.empty(),
                maxSequences,
                reader.integer("weft.max-batch-tokens", Math.max(512, maxSequences), maxSequences, 1 << 20),
                reader.integer("weft.queue-limit", 256, 1, 1 << 20),
                blockTokens,
                cellTokens,
                optional(reader, "weft.chunk-tokens"),
                reader.decimal("weft.cpu.link-gbps", Bound.EXCLUSIVE, 0, 10_000),
                reader.choice("weft.element-type", ElementChoice.AUTO, ElementChoice.class, ElementChoice::label),
                reader.integer("weft.cuda.device", 0, 0, 1024),
                reader.text("weft.cuda.cublas-path").map(Path::of),
                reader.integer("weft.cpu.threads", processors, 1, 1024),
                Path.of(reader.text(
                        "weft.profile-directory",
                        Path.of(System.getProperty("user.home"), ".cache", "weft", "profiles")
                                .toString())),
                reader.secret("weft.api-key"),
                managementPort(reader, apiPort),
                reader.duration("weft.drain-timeout", Duration.ofSeconds(30)),
                reader.duration("weft.liveness-stall", Duration.ofSeconds(60)),
                RequestDefaults.read(reader));
    }

    /**
     * The same for batches of known size.
     *
     * @param sequences of the largest batch
     * @param tokens of the longest sequence; as many as the model allows if empty
     * @param allTokens of all sequences of a batch together, at most; full contexts if empty
     */
    public Settings forBatch(int sequences, OptionalInt tokens, OptionalLong allTokens) {
        return new Settings(
                model,
                servedModelName,
                device,
                schedule,
                deviceMemoryBytes,
                hostMemoryBytes,
                stagingBytes,
                tokens,
                allTokens,
                sequences,
                Math.max(maxBatchTokens, sequences),
                queueLimit,
                blockTokens,
                cellTokens,
                chunkTokens,
                cpuLinkGigabytesPerSecond,
                elementType,
                cudaOrdinal,
                cublasPath,
                cpuThreads,
                profileDirectory,
                apiKey,
                managementPort,
                drainTimeout,
                livenessStall,
                requests);
    }

    /**
     * What a request gets that does not say.
     *
     * @param maxTokens tokens to generate
     * @param temperature of sampling; the model's if empty
     * @param seed a new one for each request if empty
     */
    public record RequestDefaults(OptionalInt maxTokens, OptionalDouble temperature, OptionalLong seed) {
        private static RequestDefaults read(SettingReader reader) {
            return new RequestDefaults(
                    optional(reader, "weft.request.max-tokens"),
                    reader.decimal("weft.request.temperature", Bound.INCLUSIVE, 0, 2),
                    reader.whole("weft.request.seed"));
        }
    }

    private static OptionalInt managementPort(SettingReader reader, int apiPort) {
        String key = "weft.management-port";
        int port = reader.integer(key, 0, 1, 65_535);
        if (port != 0 && port == apiPort) {
            // The server would open it first, and be open when the other fails.
            throw new SettingException(key, "" + port, "another port than the API's (quarkus.http.port)");
        }
        return port == 0 ? OptionalInt.empty() : OptionalInt.of(port);
    }

    private static OptionalInt optional(SettingReader reader, String key) {
        int value = reader.integer(key, 0, 1, TOKENS_MOST);
        return value == 0 ? OptionalInt.empty() : OptionalInt.of(value);
    }
}
