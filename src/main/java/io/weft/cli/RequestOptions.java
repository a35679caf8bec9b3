package io.weft.cli;

import picocli.CommandLine.Option;

/** Flags for what a request does not say itself. */
final class RequestOptions {
    @Option(
            names = "--max-tokens",
            order = 7,
            paramLabel = "N",
            description = "Tokens to generate where a request does not say.")
    void maxTokens(String value) {
        CommonOptions.set("weft.request.max-tokens", value);
    }

    @Option(
            names = "--temperature",
            order = 8,
            paramLabel = "T",
            description = "Temperature where a request does not say; 0 is greedy. Default: the model's, else 1.")
    void temperature(String value) {
        CommonOptions.set("weft.request.temperature", value);
    }

    @Option(
            names = "--seed",
            order = 9,
            paramLabel = "N",
            description = "Seed where a request does not say. Default: a new one for each request.")
    void seed(String value) {
        CommonOptions.set("weft.request.seed", value);
    }
}
