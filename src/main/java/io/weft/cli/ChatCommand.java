package io.weft.cli;

import io.weft.app.Assembly;
import io.weft.app.Settings;
import io.weft.engine.BatchingEngine;
import io.weft.engine.EngineOptions;
import io.weft.model.ModelFiles;
import io.weft.profile.HardwareProfiler;
import io.weft.text.ChatTemplate;
import io.weft.text.Tokenizer;
import java.io.BufferedReader;
import java.io.Console;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code weft chat}: a conversation in the terminal, or one whose lines come through a pipe. */
@Command(
        name = "chat",
        description = {
            "Talk to a model: each line is a message, and answers come as they are made.",
            "/clear begins anew, /exit or Ctrl-D ends, Ctrl-C stops an answer."
        },
        mixinStandardHelpOptions = true,
        modelTransformer = SettingFlags.Request.class,
        sortOptions = false)
final class ChatCommand implements Callable<Integer> {
    private static final String PROMPT = "> ";
    private static final String HINT = "/exit or Ctrl-D ends the conversation.";

    @Option(names = "--system", paramLabel = "TEXT", description = "What the model is told before the conversation.")
    private String system = "";

    @Parameters(arity = "0..1", paramLabel = "MODEL", description = "The model, as --model has it.")
    private String model = "";

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        ModelArgument.set(model, spec);
        Settings set = Settings.current();
        Settings settings = set.forBatch(1, set.batch().contextTokens(), OptionalLong.empty());
        ModelFiles files = Assembly.open(settings);
        try (Progress progress = new Progress(spec.commandLine().getErr());
                Tokenizer tokenizer = Assembly.tokenizer(files);
                BatchingEngine engine = new BatchingEngine(
                        phase -> Assembly.load(settings, files, new HardwareProfiler(), phase.andThen(progress::show))
                                .runtime(settings.cache().schedule()),
                        EngineOptions.queueing(1)
                                .with(settings.batch().speculation().speculation()))) {
            ChatTemplate template = tokenizer
                    .chatTemplate()
                    .orElseThrow(() -> new IllegalStateException(
                            "the model has no chat template; weft generate completes a prompt"));
            engine.awaitServing();
            progress.clear();
            return talk(new Conversation(
                    engine,
                    tokenizer,
                    template,
                    settings.requests(),
                    system.isEmpty() ? List.of() : List.of(Map.of("role", "system", "content", system)),
                    spec.commandLine().getOut()));
        }
    }

    /** Until the input ends or says so; 1 if there was no answer to something. */
    private int talk(Conversation conversation) throws IOException, InterruptedException {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        boolean terminal = Optional.ofNullable(System.console())
                .filter(Console::isTerminal)
                .isPresent();
        BufferedReader in = new BufferedReader(
                new InputStreamReader(System.in, Charset.forName(System.getProperty("stdin.encoding", "UTF-8"))));
        int status = 0;
        try (Interrupts _ = Interrupts.to(() -> {
            if (!conversation.interrupt()) {
                show(out, System.lineSeparator() + HINT + System.lineSeparator() + PROMPT);
            }
        })) {
            while (true) {
                if (terminal) {
                    show(out, PROMPT);
                }
                String line = in.readLine();
                if (line == null || line.strip().equals("/exit")) {
                    return status;
                }
                if (line.strip().equals("/clear")) {
                    conversation.clear();
                } else if (!line.isBlank()) {
                    status |= answer(conversation, line, err);
                    out.println();
                    out.println();
                    out.flush();
                }
            }
        }
    }

    private static int answer(Conversation conversation, String line, PrintWriter err) throws InterruptedException {
        try {
            conversation.say(line);
            return 0;
        } catch (RuntimeException e) {
            err.println("weft: " + WeftMain.oneLine(e));
            err.flush();
            return 1;
        }
    }

    private static void show(PrintWriter out, String text) {
        out.print(text);
        out.flush();
    }
}
