package io.weft.cli;

import picocli.CommandLine.Option;

/** Flags of every command. Each stands for a setting and wins over the environment and the properties file. */
final class CommonOptions {
    @Option(
            names = "--model",
            order = 1,
            paramLabel = "DIR|demo",
            description = "Directory of a Hugging Face model, or the model that is built in. Default: demo.")
    void model(String value) {
        set("weft.model", value);
    }

    @Option(
            names = "--device",
            order = 2,
            paramLabel = "auto|cpu|cuda",
            description = "Device to run on. Default: auto.")
    void device(String value) {
        set("weft.device", value);
    }

    @Option(
            names = "--schedule",
            order = 3,
            paramLabel = "NAME",
            description = "auto, resident, full-transfer, kvpr or chunked: how cached tokens are brought to the"
                    + " attention. Default: auto, which keeps what fits on the device and brings the rest in chunks.")
    void schedule(String value) {
        set("weft.schedule", value);
    }

    @Option(
            names = "--device-memory",
            order = 4,
            paramLabel = "SIZE",
            description = "Device memory for everything, weights included, such as 20GB.")
    void deviceMemory(String value) {
        set("weft.device-memory", value);
    }

    @Option(
            names = "--host-memory",
            order = 5,
            paramLabel = "SIZE",
            description = "Host memory for the cache, such as 64GiB.")
    void hostMemory(String value) {
        set("weft.host-memory", value);
    }

    @Option(
            names = "--link-gbps",
            order = 6,
            paramLabel = "RATE",
            description = "CPU device only: bandwidth of the link between host and device memory, 10^9 bytes a second"
                    + " each way. Default: unlimited.")
    void linkGigabytesPerSecond(String value) {
        set("weft.cpu.link-gbps", value);
    }

    /** A flag is a setting under another name: what reads the settings needs no other source. */
    static void set(String key, String value) {
        System.setProperty(key, value);
    }
}
