package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.app.Settings;
import io.weft.engine.DrivenEngine;
import io.weft.engine.ServedModel;
import io.weft.engine.ServedModel.SamplingDefaults;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A conversation whose answers the test makes, token by token. */
class ConversationTest {
    private final Tokenizer tokenizer = Tokenizer.open(Path.of("src/main/resources/models/demo"));
    private final DrivenEngine engine = new DrivenEngine(
            new ServedModel("m", Instant.EPOCH, 100, tokenizer.size(), Set.of(2), new SamplingDefaults(0, 1, 0)));
    private final int word = tokenizer.encode(" the", SpecialTokens.WITHOUT).getFirst();
    private final StringWriter out = new StringWriter();
    private Runnable onText = () -> {};

    private final Conversation conversation = new Conversation(
            engine,
            tokenizer,
            tokenizer.chatTemplate().orElseThrow(),
            new Settings.RequestDefaults(OptionalInt.of(9), OptionalDouble.empty(), OptionalLong.of(1)),
            List.of(Map.of("role", "system", "content", "Be short.")),
            new PrintWriter(out) {
                @Override
                public void print(String text) {
                    super.print(text);
                    onText.run();
                }
            });

    @AfterEach
    void close() {
        tokenizer.close();
    }

    /** Has the engine make an answer once it is asked for one. */
    private Thread answering(int tokens, boolean ends) {
        return Thread.ofPlatform().start(() -> {
            while (engine.running().isEmpty()) {
                Thread.onSpinWait();
            }
            for (int i = 0; i < tokens; i++) {
                engine.step(word);
            }
            if (ends) {
                engine.finish();
            }
        });
    }

    @Test
    void anInterruptStopsTheAnswerWhereItIs() throws InterruptedException {
        assertThat(conversation.interrupt()).isFalse();
        onText = () -> assertThat(conversation.interrupt()).isTrue();
        Thread engineThread = answering(5, false);
        conversation.say("Go on");
        engineThread.join();

        // The others wait behind the interrupt.
        String once = out.toString();
        assertThat(once).isEqualTo(tokenizer.decode(List.of(word), SpecialTokens.WITHOUT));
        assertThat(engine.running()).isEmpty();
        assertThat(conversation.messages()).hasSize(3).last().isEqualTo(Map.of("role", "assistant", "content", once));

        onText = () -> {};
        engineThread = answering(9, false);
        conversation.say("And on");
        engineThread.join();
        assertThat(out.toString()).hasSizeGreaterThan(9 * once.length());
        assertThat(conversation.messages()).hasSize(5);
        conversation.clear();
        assertThat(conversation.messages()).hasSize(1);
    }

    @Test
    void whatHasNoAnswerWasNotSaid() throws InterruptedException {
        Thread failing = Thread.ofPlatform().start(() -> {
            while (engine.running().isEmpty()) {
                Thread.onSpinWait();
            }
            engine.fail(new IllegalStateException("no more"));
        });
        assertThatThrownBy(() -> conversation.say("Go on")).hasMessage("no more");
        failing.join();
        assertThatThrownBy(() -> conversation.say("Go on and on ".repeat(100)))
                .hasMessageContaining("the model's context 100");
        assertThat(conversation.messages()).hasSize(1);
    }

    @Test
    void ctrlCRunsTheHandlerAndNoLongerEndsTheProgram() throws Exception {
        CountDownLatch handled = new CountDownLatch(1);
        try (Interrupts _ = Interrupts.to(handled::countDown)) {
            Class<?> signal = Class.forName("sun.misc.Signal");
            signal.getMethod("raise", signal)
                    .invoke(null, signal.getConstructor(String.class).newInstance("INT"));
            assertThat(handled.await(1, TimeUnit.MINUTES)).isTrue();
        }
    }
}
