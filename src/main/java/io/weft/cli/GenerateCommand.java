package io.weft.cli;

import io.weft.app.Assembly;
import io.weft.app.Settings;
import io.weft.engine.BatchingEngine;
import io.weft.engine.EngineOptions;
import io.weft.engine.GenerationEvent;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.ServedModel;
import io.weft.model.ModelFiles;
import io.weft.profile.HardwareProfiler;
import io.weft.text.TextAssembler;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code weft generate}: completes one prompt. */
@Command(
        name = "generate",
        description = "Complete a prompt on the command line: prints the prompt and what the model adds to it.",
        mixinStandardHelpOptions = true,
        modelTransformer = SettingFlags.Request.class,
        sortOptions = false)
final class GenerateCommand implements Callable<Integer> {
    private static final int MAX_TOKENS_DEFAULT = 128;

    @Option(names = "--ignore-eos", description = "Go on after the model's end token.")
    private boolean ignoreEndToken;

    @Option(names = "--no-echo", description = "Print what the model adds only, without the prompt.")
    private boolean continuationOnly;

    @Parameters(paramLabel = "PROMPT", description = "The text to complete.")
    private String prompt = "";

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        Settings set = Settings.current();
        Settings settings = set.forBatch(1, set.batch().contextTokens(), OptionalLong.empty());
        PrintWriter out = spec.commandLine().getOut();
        ModelFiles files = Assembly.open(settings);
        try (Progress progress = new Progress(spec.commandLine().getErr());
                Tokenizer tokenizer = Assembly.tokenizer(files);
                BatchingEngine engine = new BatchingEngine(
                        phase -> Assembly.load(settings, files, new HardwareProfiler(), phase.andThen(progress::show))
                                .runtime(settings.cache().schedule()),
                        EngineOptions.queueing(1)
                                .with(settings.batch().speculation().speculation()))) {
            engine.awaitServing();
            progress.clear();
            List<Long> arrivals = new ArrayList<>();
            GenerationRequest asked = request(settings, tokenizer, engine.model());
            TextAssembler text =
                    new TextAssembler(tokenizer, asked.promptTokens(), List.of(), SpecialTokens.WITHOUT, Set.of());
            if (!continuationOnly) {
                out.print(prompt);
                out.flush();
            }
            engine.generate(asked)
                    .onItem()
                    .invoke(event -> {
                        if (event instanceof GenerationEvent.Generated(int token, var _, var _)) {
                            arrivals.add(System.nanoTime());
                            out.print(text.add(token).text());
                            out.flush();
                        }
                    })
                    .collect()
                    .last()
                    .await()
                    .indefinitely();
            out.println(text.finish());
            out.flush();
            report(arrivals);
        }
        return 0;
    }

    private GenerationRequest request(Settings settings, Tokenizer tokenizer, ServedModel model) {
        List<Integer> tokens = tokenizer.encode(prompt, SpecialTokens.WITH);
        Settings.RequestDefaults defaults = settings.requests();
        int room = Math.max(1, model.contextTokens() - tokens.size());
        return new GenerationRequest(
                tokens,
                defaults.maxTokens().orElse(Math.min(MAX_TOKENS_DEFAULT, room)),
                model.defaults()
                        .sampling(defaults.temperature(), defaults.seed().orElseGet(() -> new Random().nextLong())),
                ignoreEndToken ? EndTokens.IGNORE : EndTokens.STOP,
                OptionalInt.empty(),
                OptionalInt.empty());
    }

    /** The rate between the first token and the last; the first waits for the prompt. */
    private void report(List<Long> arrivals) {
        if (arrivals.size() > 1) {
            double seconds = (arrivals.getLast() - arrivals.getFirst()) / 1e9;
            spec.commandLine()
                    .getErr()
                    .printf(
                            "%d tokens, %.0f tokens/s after the first%n",
                            arrivals.size(), (arrivals.size() - 1) / seconds);
            spec.commandLine().getErr().flush();
        }
    }
}
