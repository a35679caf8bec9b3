package io.weft.app;

import io.quarkus.runtime.annotations.RegisterForReflection;
import io.weft.api.http.ApiSettings;
import io.weft.app.Setting.Kind;
import io.weft.app.Setting.Use;
import io.weft.device.ElementType;
import io.weft.engine.EngineOptions;
import io.weft.engine.Speculation;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.ModelDimensions;
import io.weft.plan.step.Schedule;
import io.weft.text.tools.OutputFormats;
import io.weft.text.tools.ReasoningFormat;
import io.weft.text.tools.ToolFormat;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import org.eclipse.microprofile.config.Config;
import org.eclipse.microprofile.config.ConfigProvider;

/**
 * The settings: from the command line, the environment or {@code application.properties}. Each is a component of one of
 * the records below, with a {@link Setting} that describes it. To add a setting, add a component.
 *
 * @param cacheTokens tokens of all sequences together, if known to be less than full contexts of all; not a setting
 */
public record Settings(
        Model model,
        Machine machine,
        Cache cache,
        Batch batch,
        RequestDefaults requests,
        Server server,
        Limits limits,
        Telemetry telemetry,
        OptionalLong cacheTokens) {

    /** The records of settings, in the order of flags and tables. */
    public static final List<Class<? extends Record>> GROUPS = List.of(
            Model.class,
            Machine.class,
            Cache.class,
            Batch.class,
            RequestDefaults.class,
            Server.class,
            Limits.class,
            Telemetry.class);

    /** All settings, in the order of flags and tables. */
    public static List<RecordComponent> all() {
        return GROUPS.stream()
                .flatMap(group -> Arrays.stream(group.getRecordComponents()))
                .toList();
    }

    /** The model to serve. */
    @RegisterForReflection
    public record Model(
            @Setting(
                    key = "weft.model",
                    kind = Kind.TEXT,
                    fallback = "demo",
                    flag = "--model",
                    label = "DIR|demo",
                    means = "Directory of a Hugging Face model, or the model that is built in.")
            String source,

            @Setting(
                    key = "weft.served-model-name",
                    kind = Kind.TEXTS,
                    use = Use.SPECIAL,
                    unset = "the directory's name",
                    flag = "--served-model-name",
                    label = "NAME",
                    means = "Name of the model in the API, or several; answers have the first.")
            List<String> servedNames,

            @Setting(
                    key = "weft.tool-format",
                    kind = Kind.CHOICE,
                    use = Use.SPECIAL,
                    fallback = "auto",
                    unset = "what the chat template shows",
                    means = "How the model writes calls of tools: auto, none, hermes, llama3, mistral, mistral-named,"
                            + " phi4, phi4-mini, granite, functionary, function-tags, deepseek or deepseek-v31.")
            ToolChoice toolFormat,

            @Setting(
                    key = "weft.reasoning",
                    kind = Kind.CHOICE,
                    use = Use.SPECIAL,
                    fallback = "auto",
                    unset = "what the chat template shows",
                    means = "How the model marks thoughts, which become `reasoning_content`: auto, none (they stay in"
                            + " the content), or think.")
            ReasoningChoice reasoning) {

        public Model {
            servedNames = List.copyOf(servedNames);
        }

        /**
         * How the model marks what is not its answer.
         *
         * @param template the text of its chat template
         */
        public OutputFormats formats(String template) {
            OutputFormats shown = OutputFormats.of(template);
            return new OutputFormats(toolFormat.format(shown), reasoning.format(shown));
        }
    }

    /** The device and its memory. */
    @RegisterForReflection
    public record Machine(
            @Setting(
                    key = "weft.device",
                    kind = Kind.CHOICE,
                    fallback = "auto",
                    unset = "CUDA if there is a GPU, else the CPU",
                    flag = "--device",
                    label = "auto|cpu|cuda",
                    means = "Device to run on.")
            DeviceChoice device,

            @Setting(
                    key = "weft.device-memory",
                    kind = Kind.SIZE,
                    unset = "90 % of the free GPU memory; on the CPU 25 % of the memory",
                    flag = "--device-memory",
                    label = "SIZE",
                    means = "Device memory for everything, weights included, such as 20GB.")
            OptionalLong deviceMemoryBytes,

            @Setting(
                    key = "weft.host-memory",
                    kind = Kind.SIZE,
                    unset = "25 % of the memory",
                    flag = "--host-memory",
                    label = "SIZE",
                    means = "Host memory for the cache, such as 64GiB.")
            OptionalLong hostMemoryBytes,

            @Setting(
                    key = "weft.element-type",
                    kind = Kind.CHOICE,
                    use = Use.SPECIAL,
                    fallback = "auto",
                    unset = "bf16 where the model is stored so, else f16",
                    means = "Type of weights, activations and the cache on a GPU.")
            ElementChoice elementType,

            @Setting(
                    key = "weft.cuda.device",
                    kind = Kind.WHOLE,
                    least = 0,
                    most = 1024,
                    use = Use.SPECIAL,
                    fallback = "0",
                    means = "Number of the GPU.")
            int cudaOrdinal,

            @Setting(
                    key = "weft.cuda.cublas-path",
                    kind = Kind.PATH,
                    unset = "the usual places",
                    means = "cuBLASLt, or its folder.")
            Optional<Path> cublasPath,

            @Setting(
                    key = "weft.cpu.threads",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = 1024,
                    use = Use.SPECIAL,
                    unset = "one for each processor",
                    means = "Threads of the CPU device's kernels.")
            OptionalInt cpuThreads,

            @Setting(
                    key = "weft.cpu.link-gbps",
                    kind = Kind.DECIMAL_ABOVE,
                    least = 0,
                    most = 10_000,
                    unset = "unlimited",
                    flag = "--link-gbps",
                    label = "RATE",
                    means =
                            "Bandwidth of the CPU device's link between host and device memory, 10^9 bytes a second each"
                                    + " way.")
            OptionalDouble cpuLinkGigabytesPerSecond,

            @Setting(
                    key = "weft.profile-directory",
                    kind = Kind.PATH,
                    use = Use.SPECIAL,
                    fallback = "~/.cache/weft/profiles",
                    means = "Folder of measured profiles.")
            Path profileDirectory) {

        /** The threads of the CPU device's kernels; the number of processors by default. */
        public int kernelThreads() {
            return cpuThreads.orElseGet(() -> Runtime.getRuntime().availableProcessors());
        }
    }

    /** The division of the cache, and the way in which cached tokens reach attention. */
    @RegisterForReflection
    public record Cache(
            @Setting(
                    key = "weft.schedule",
                    kind = Kind.CHOICE,
                    fallback = "auto",
                    unset = "what fits stays on the device, the rest crosses the link in chunks",
                    flag = "--schedule",
                    label = "NAME",
                    means = "How cached tokens reach attention: auto, resident, full-transfer, kvpr or" + " chunked.")
            ScheduleChoice schedule,

            @Setting(
                    key = "weft.cache-encoding",
                    kind = Kind.CHOICE,
                    fallback = "exact",
                    unset = "the text is the model's own",
                    flag = "--cache-encoding",
                    label = "exact|fp8|int8|int4",
                    means = "How full blocks of the cache are stored: as computed, or in fewer bits, which changes the"
                            + " text a little.")
            EncodingChoice encoding,

            @Setting(
                    key = "weft.staging-memory",
                    kind = Kind.SIZE,
                    use = Use.SPECIAL,
                    unset = "a share of the device memory",
                    means = "Device memory for chunks on their way.")
            OptionalLong stagingBytes,

            @Setting(
                    key = "weft.cache-directory",
                    kind = Kind.PATH,
                    unset = "none: blocks end with the process",
                    flag = "--cache-directory",
                    label = "DIR",
                    means = "Folder for blocks that leave host memory, on a fast disk and of this service alone; they"
                            + " are found again after a restart.")
            Optional<Path> directory,

            @Setting(
                    key = "weft.cache-directory-size",
                    kind = Kind.SIZE,
                    fallback = "64GiB",
                    flag = "--cache-directory-size",
                    label = "SIZE",
                    means = "Limit of all blocks in `weft.cache-directory`, also of other models; the least recently"
                            + " used ones go.")
            long directoryBytes,

            @Setting(
                    key = "weft.block-tokens",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = 4096,
                    use = Use.SPECIAL,
                    unset = "16, or 64 with a lossy `weft.cache-encoding`",
                    means = "Tokens of a cache block.")
            OptionalInt blockTokens,

            @Setting(
                    key = "weft.cell-tokens",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = Setting.TOKENS_MOST,
                    use = Use.SPECIAL,
                    unset = "the device's own choice",
                    means = "Tokens of a cell of attention's grid: whole blocks, or one with a lossy"
                            + " `weft.cache-encoding`.")
            OptionalInt cellTokens,

            @Setting(
                    key = "weft.chunk-tokens",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = Setting.TOKENS_MOST,
                    use = Use.SPECIAL,
                    unset = "chosen for each kind of step",
                    means = "Tokens of a chunk.")
            OptionalInt chunkTokens,

            @Setting(
                    key = "weft.prefix-cache",
                    kind = Kind.BOOLEAN,
                    fallback = "true",
                    flag = "--no-prefix-cache",
                    means = "Whether full blocks outlive their request, so that a prompt which begins like one before"
                            + " is computed from there.")
            boolean prefixCache) {

        private static final int EXACT_BLOCK_TOKENS = 16;

        public Cache {
            if (cellTokens.isPresent()) {
                int cell = cellTokens.getAsInt();
                CachePolicy policy = encoding.policy();
                if (policy.isLossy() && blockTokens.orElse(cell) != cell) {
                    throw new SettingException(
                            "weft.cell-tokens",
                            "" + cell,
                            "weft.block-tokens, " + blockTokens.getAsInt() + ", with weft.cache-encoding="
                                    + policy.label());
                }
                if (!policy.isLossy() && cell % blockTokens.orElse(EXACT_BLOCK_TOKENS) != 0) {
                    throw new SettingException(
                            "weft.cell-tokens",
                            "" + cell,
                            "a multiple of weft.block-tokens, " + blockTokens.orElse(EXACT_BLOCK_TOKENS));
                }
            }
        }

        /**
         * The geometry of a model's cache, as set.
         *
         * @param suitedTokens tokens of a cell that suit the device
         */
        public CacheGeometry geometry(ModelDimensions model, ElementType elementType, int suitedTokens) {
            CachePolicy policy = encoding.policy();
            if (policy.isLossy()) {
                int tokens = blockTokens.orElse(cellTokens.orElse(CachePolicy.LOSSY_BLOCK_TOKENS));
                return new CacheGeometry(model, elementType, tokens, tokens, policy);
            }
            int block = blockTokens.orElse(EXACT_BLOCK_TOKENS);
            int cell = cellTokens.orElse(block * Math.ceilDiv(suitedTokens, block));
            return new CacheGeometry(model, elementType, block, cell, policy);
        }
    }

    /** The limits of a batch. */
    @RegisterForReflection
    public record Batch(
            @Setting(
                    key = "weft.max-context-tokens",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = Setting.TOKENS_MOST,
                    unset = "the model's",
                    flag = "--max-model-len",
                    label = "N",
                    means = "Limit of prompt and completion together.")
            OptionalInt contextTokens,

            @Setting(
                    key = "weft.max-sequences",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = 4096,
                    fallback = "32",
                    means = "Requests that run at once.")
            int maxSequences,

            @Setting(
                    key = "weft.max-batch-tokens",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = BATCH_TOKENS_MOST,
                    unset = "512, or `weft.max-sequences` if that is more",
                    means = "New tokens of a step.")
            OptionalInt maxBatchTokens,

            @Setting(
                    key = "weft.speculation",
                    kind = Kind.CHOICE,
                    fallback = "auto",
                    flag = "--speculation",
                    label = "WAY",
                    means = "Whether steps check drafts of a text's next tokens, which changes no token: auto, as many"
                            + " as pay; ngram, all that repeat something of the text; or off.")
            SpeculationChoice speculation) {

        private static final int BATCH_TOKENS_MOST = 1 << 20;
        private static final int BATCH_TOKENS_USUAL = 512;

        public Batch {
            if (maxBatchTokens.isPresent() && maxBatchTokens.getAsInt() < maxSequences) {
                throw new SettingException(
                        "weft.max-batch-tokens",
                        "" + maxBatchTokens.getAsInt(),
                        "a whole number from %d to %d".formatted(maxSequences, BATCH_TOKENS_MOST));
            }
        }

        /** The most new tokens of a step: at least one for each sequence. */
        public int stepTokens() {
            return maxBatchTokens.orElse(Math.max(BATCH_TOKENS_USUAL, maxSequences));
        }
    }

    /** Defaults of requests. */
    @RegisterForReflection
    public record RequestDefaults(
            @Setting(
                    key = "weft.request.max-tokens",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = Setting.TOKENS_MOST,
                    use = Use.SPECIAL,
                    unset = "16 for a completion, the rest of the context for a chat; 128 for weft generate",
                    flag = "--max-tokens",
                    label = "N",
                    means = "Tokens to generate where a request does not say.")
            OptionalInt maxTokens,

            @Setting(
                    key = "weft.request.temperature",
                    kind = Kind.DECIMAL,
                    least = 0,
                    most = 2,
                    use = Use.SPECIAL,
                    unset = "the model's, else 1",
                    flag = "--temperature",
                    label = "T",
                    means = "Temperature where a request does not say; 0 is greedy.")
            OptionalDouble temperature,

            @Setting(
                    key = "weft.request.seed",
                    kind = Kind.WHOLE,
                    use = Use.SPECIAL,
                    unset = "a new one for each request",
                    flag = "--seed",
                    label = "N",
                    means = "Seed where a request does not say.")
            OptionalLong seed) {}

    /** Access to the server, and the queue. */
    @RegisterForReflection
    public record Server(
            // Quarkus reads these two, but its error messages are forty lines long.
            @Setting(
                    key = "quarkus.http.port",
                    kind = Kind.WHOLE,
                    least = 0,
                    most = Setting.PORT_MOST,
                    fallback = "8080",
                    flag = "--port",
                    label = "N",
                    means = "Port to listen on.")
            int port,

            @Setting(
                    key = "quarkus.http.host",
                    kind = Kind.TEXT,
                    fallback = "0.0.0.0",
                    flag = "--host",
                    label = "ADDRESS",
                    means = "Address to listen on.")
            String host,

            @Setting(
                    key = "weft.api-key",
                    kind = Kind.SECRET,
                    unset = "none",
                    flag = "--api-key",
                    label = "KEY",
                    means =
                            "Key that clients must send, or several, separated by commas; better given as WEFT_API_KEY.")
            Optional<String> apiKey,

            @Setting(
                    key = "weft.cache-isolation",
                    kind = Kind.CHOICE,
                    fallback = "none",
                    means = "Who shares cached blocks, and so can time what was asked before: none, for all clients; or"
                            + " api-key, for those with the same key.")
            IsolationChoice cacheIsolation,

            @Setting(
                    key = "weft.management-port",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = Setting.PORT_MOST,
                    unset = "none: they share the port",
                    means = "Second port, for probes and metrics.")
            OptionalInt managementPort,

            @Setting(
                    key = "weft.queue-limit",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = 1 << 20,
                    fallback = "256",
                    means = "Requests that may wait; one more gets 429.")
            int queueLimit,

            @Setting(
                    key = "weft.drain-timeout",
                    kind = Kind.DURATION,
                    fallback = "30s",
                    means = "How long running requests may take when the service stops.")
            Duration drainTimeout,

            @Setting(
                    key = "weft.scheduling",
                    kind = Kind.CHOICE,
                    use = Use.SPECIAL,
                    fallback = "fair",
                    means = "Which request runs next: fair, in turns of the clients; or priority, the lowest `priority`"
                            + " first, then in turns.")
            SchedulingChoice scheduling,

            @Setting(
                    key = "weft.step-timeout",
                    kind = Kind.DURATION,
                    use = Use.SPECIAL,
                    fallback = "60s",
                    means = "A step that takes longer than this, and than 20 times its prediction, counts as hung: the"
                            + " service fails.")
            Duration stepTimeout,

            @Setting(
                    key = "weft.page",
                    kind = Kind.BOOLEAN,
                    fallback = "true",
                    means = "Whether there is a page at `/`: a playground, the machine live, and plans.")
            boolean page,

            @Setting(
                    key = "weft.cors-origins",
                    kind = Kind.TEXTS,
                    use = Use.SPECIAL,
                    unset = "none",
                    means =
                            "Origins whose pages may use the API in a browser, such as https://app.example.com; * for all.")
            List<String> corsOrigins) {

        private static void requireOrigin(String origin) {
            if (!origin.matches("\\*|[a-z][a-z0-9+.-]*://[^\\s/,]+")) {
                throw new SettingException(
                        "weft.cors-origins", origin, "* or an origin such as https://app.example.com");
            }
        }

        /** The keys of which clients must send one; none if there is no key. */
        public List<String> apiKeys() {
            return apiKey.stream()
                    .flatMap(keys -> Arrays.stream(keys.split(",")))
                    .map(String::strip)
                    .filter(key -> !key.isEmpty())
                    .toList();
        }

        public Server {
            corsOrigins = List.copyOf(corsOrigins);
            corsOrigins.forEach(Server::requireOrigin);
            if (cacheIsolation == IsolationChoice.API_KEY
                    && apiKey.filter(keys -> !keys.isBlank()).isEmpty()) {
                throw new SettingException(
                        "weft.cache-isolation",
                        cacheIsolation.label(),
                        "none as long as there is no key (weft.api-key)");
            }
            if (managementPort.isPresent() && managementPort.getAsInt() == port) {
                // The server would open this port first, and it would be open when the other one fails.
                throw new SettingException(
                        "weft.management-port",
                        "" + managementPort.getAsInt(),
                        "another port than the API's (quarkus.http.port)");
            }
        }
    }

    /** Logs, traces and metrics. */
    @RegisterForReflection
    public record Telemetry(
            @Setting(
                    key = "weft.log-format",
                    kind = Kind.CHOICE,
                    use = Use.SPECIAL,
                    fallback = "text",
                    means = "Form of the log's lines: text or json.")
            LogFormat logFormat,

            @Setting(
                    key = "weft.otlp-endpoint",
                    kind = Kind.TEXT,
                    use = Use.SPECIAL,
                    unset = "none: no traces",
                    means = "Collector that gets the traces by OTLP over HTTP, such as http://collector:4318.")
            Optional<String> otlpEndpoint,

            @Setting(
                    key = "weft.metrics-prefix",
                    kind = Kind.CHOICE,
                    use = Use.SPECIAL,
                    fallback = "weft",
                    means = "Whose names metrics have that vLLM has too: weft, or vllm for dashboards that exist.")
            MetricsPrefix metricsPrefix) {

        public Telemetry {
            otlpEndpoint.ifPresent(Telemetry::requireAddress);
        }

        private static void requireAddress(String endpoint) {
            if (!endpoint.matches("https?://[^\\s/]+\\S*")) {
                throw new SettingException("weft.otlp-endpoint", endpoint, "an address such as http://collector:4318");
            }
        }
    }

    /** What clients may take of the server's connections, time and memory. */
    @RegisterForReflection
    public record Limits(
            @Setting(
                    key = "weft.max-connections",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = 1 << 20,
                    use = Use.SPECIAL,
                    unset = "4096, or fewer if the process may not open so many files",
                    means = "Open connections; a new one takes the place of the one that has been idle longest.")
            OptionalInt maxConnections,

            @Setting(
                    key = "weft.max-streams",
                    kind = Kind.WHOLE,
                    least = 1,
                    most = 1 << 20,
                    use = Use.SPECIAL,
                    fallback = "128",
                    means = "Requests at once on one connection (HTTP/2); one more gets 429.")
            int maxStreams,

            @Setting(
                    key = "weft.header-timeout",
                    kind = Kind.DURATION,
                    use = Use.SPECIAL,
                    fallback = "10s",
                    means = "How long the head of a request may take to arrive.")
            Duration headerTimeout,

            @Setting(
                    key = "weft.body-timeout",
                    kind = Kind.DURATION,
                    use = Use.SPECIAL,
                    fallback = "60s",
                    means = "How long the body of a request may take to arrive.")
            Duration bodyTimeout,

            @Setting(
                    key = "weft.body-memory",
                    kind = Kind.SIZE,
                    use = Use.SPECIAL,
                    unset = "an eighth of the Java heap",
                    means = "Memory for bodies that arrive or wait to be read; what does not fit gets 503.")
            OptionalLong bodyBytes,

            @Setting(
                    key = "weft.idle-timeout",
                    kind = Kind.DURATION,
                    use = Use.SPECIAL,
                    fallback = "75s",
                    means = "How long a connection may stay open without a request.")
            Duration idleTimeout,

            @Setting(
                    key = "weft.stream-buffer",
                    kind = Kind.SIZE,
                    use = Use.SPECIAL,
                    fallback = "1MiB",
                    means = "Bytes of a stream that may wait for its reader; one that falls behind by more is ended.")
            long streamBufferBytes,

            @Setting(
                    key = "weft.write-timeout",
                    kind = Kind.DURATION,
                    use = Use.SPECIAL,
                    fallback = "60s",
                    means = "How long a client may take to accept anything of what was sent to it.")
            Duration writeTimeout) {

        public Limits {
            requirePositive("weft.header-timeout", headerTimeout);
            requirePositive("weft.body-timeout", bodyTimeout);
            requirePositive("weft.idle-timeout", idleTimeout);
            requirePositive("weft.write-timeout", writeTimeout);
        }

        private static void requirePositive(String key, Duration value) {
            if (!value.isPositive()) {
                throw new SettingException(key, value.toString(), "a duration above 0 such as 30s");
            }
        }
    }

    /** Whose names metrics have. */
    public enum MetricsPrefix implements Labelled {
        WEFT,
        VLLM;

        @Override
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** The form of the log's lines. */
    public enum LogFormat implements Labelled {
        TEXT,
        JSON;

        @Override
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** A choice with a name. */
    interface Labelled {
        String label();
    }

    /** The device to run on. */
    public enum DeviceChoice implements Labelled {
        AUTO,
        CPU,
        CUDA;

        @Override
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** The element type of a GPU. */
    public enum ElementChoice implements Labelled {
        /** bf16 if the model is stored in it, else fp16. */
        AUTO,
        F16,
        BF16;

        @Override
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** How the model writes calls of tools. */
    public enum ToolChoice implements Labelled {
        AUTO(Optional.empty()),
        NONE(Optional.empty()),
        HERMES(Optional.of(ToolFormat.HERMES)),
        LLAMA3(Optional.of(ToolFormat.LLAMA3)),
        MISTRAL(Optional.of(ToolFormat.MISTRAL)),
        MISTRAL_NAMED(Optional.of(ToolFormat.MISTRAL_NAMED)),
        PHI4(Optional.of(ToolFormat.PHI4)),
        PHI4_MINI(Optional.of(ToolFormat.PHI4_MINI)),
        GRANITE(Optional.of(ToolFormat.GRANITE)),
        FUNCTIONARY(Optional.of(ToolFormat.FUNCTIONARY)),
        FUNCTION_TAGS(Optional.of(ToolFormat.FUNCTION_TAGS)),
        DEEPSEEK(Optional.of(ToolFormat.DEEPSEEK)),
        DEEPSEEK_V31(Optional.of(ToolFormat.DEEPSEEK_V31));

        private final Optional<ToolFormat> format;

        ToolChoice(Optional<ToolFormat> format) {
            this.format = format;
        }

        private Optional<ToolFormat> format(OutputFormats shown) {
            return this == AUTO ? shown.tools() : format;
        }

        @Override
        public String label() {
            return format.map(ToolFormat::label).orElse(name().toLowerCase(Locale.ROOT));
        }
    }

    /** How the model marks thoughts. */
    public enum ReasoningChoice implements Labelled {
        AUTO,
        NONE,
        THINK;

        private Optional<ReasoningFormat> format(OutputFormats shown) {
            return switch (this) {
                case AUTO -> shown.reasoning();
                case NONE -> Optional.empty();
                case THINK -> Optional.of(ReasoningFormat.THINK);
            };
        }

        @Override
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Whether steps check drafts. */
    public enum SpeculationChoice implements Labelled {
        AUTO,
        OFF,
        NGRAM;

        /** The choice, for the engine. */
        public Speculation speculation() {
            return switch (this) {
                case AUTO -> Speculation.ngrams(Speculation.Lengths.PLANNED);
                case OFF -> new Speculation.Off();
                case NGRAM -> Speculation.ngrams(Speculation.Lengths.ALL);
            };
        }

        @Override
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Which request runs next. */
    public enum SchedulingChoice implements Labelled {
        FAIR,
        PRIORITY;

        /** The choice, for the engine. */
        public EngineOptions.Scheduling scheduling() {
            return switch (this) {
                case FAIR -> EngineOptions.Scheduling.FAIR;
                case PRIORITY -> EngineOptions.Scheduling.PRIORITY;
            };
        }

        @Override
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Who shares cached blocks. */
    public enum IsolationChoice implements Labelled {
        NONE,
        API_KEY;

        /** The choice, for the API. */
        public ApiSettings.CacheIsolation isolation() {
            return switch (this) {
                case NONE -> ApiSettings.CacheIsolation.NONE;
                case API_KEY -> ApiSettings.CacheIsolation.API_KEY;
            };
        }

        @Override
        public String label() {
            return switch (this) {
                case NONE -> "none";
                case API_KEY -> "api-key";
            };
        }
    }

    /** The way in which cached tokens reach attention. */
    public enum ScheduleChoice implements Labelled {
        AUTO(Optional.empty()),
        RESIDENT(Optional.of(Schedule.RESIDENT)),
        FULL_TRANSFER(Optional.of(Schedule.FULL_TRANSFER)),
        KVPR(Optional.of(Schedule.KVPR)),
        CHUNKED(Optional.of(Schedule.CHUNKED));

        private final Optional<Schedule> schedule;

        ScheduleChoice(Optional<Schedule> schedule) {
            this.schedule = schedule;
        }

        /** The requested schedule; empty leaves the choice to the planner. */
        public Optional<Schedule> schedule() {
            return schedule;
        }

        /** Forms that full blocks may have. */
        public Set<CacheForm> forms() {
            return schedule.map(Schedule::forms).orElseGet(() -> new TreeSet<>(CacheForm.all()));
        }

        @Override
        public String label() {
            return schedule.map(Schedule::label).orElse("auto");
        }
    }

    /** How true the cache is. */
    public enum EncodingChoice implements Labelled {
        EXACT(CachePolicy.EXACT),
        FP8(CachePolicy.FP8),
        INT8(CachePolicy.INT8),
        INT4(CachePolicy.INT4);

        private final CachePolicy policy;

        EncodingChoice(CachePolicy policy) {
            this.policy = policy;
        }

        /** The chosen policy. */
        public CachePolicy policy() {
            return policy;
        }

        @Override
        public String label() {
            return policy.label();
        }
    }

    /** All settings of this process, flags included. */
    public static Settings current() {
        return read(ConfigProvider.getConfig());
    }

    /**
     * Reads and checks all settings.
     *
     * @throws SettingException for the first wrong setting
     */
    public static Settings read(Config config) {
        SettingReader reader = new SettingReader(config);
        return new Settings(
                reader.read(Model.class),
                reader.read(Machine.class),
                reader.read(Cache.class),
                reader.read(Batch.class),
                reader.read(RequestDefaults.class),
                reader.read(Server.class),
                reader.read(Limits.class),
                reader.read(Telemetry.class),
                OptionalLong.empty());
    }

    /**
     * These settings for batches of known size.
     *
     * @param sequences sequences of the largest batch
     * @param tokens tokens of the longest sequence; empty for as many as the model allows
     * @param allTokens the most tokens of all sequences of a batch together; empty for full contexts
     */
    public Settings forBatch(int sequences, OptionalInt tokens, OptionalLong allTokens) {
        Batch known = new Batch(
                tokens, sequences, OptionalInt.of(Math.max(batch.stepTokens(), sequences)), batch.speculation());
        return new Settings(model, machine, cache, known, requests, server, limits, telemetry, allTokens);
    }
}
