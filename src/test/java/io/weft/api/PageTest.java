package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.engine.EngineStatus;
import jakarta.inject.Inject;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.openqa.selenium.By;
import org.openqa.selenium.Keys;
import org.openqa.selenium.WebElement;

/** The page in a browser, over a real engine. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PageTest {
    private static final String ANSWER = ".turn .text";
    private static final String PROMPT = "It was a dark night, and";

    @TestHTTPResource("/")
    URI root;

    @Inject
    TestService service;

    private Browser browser;

    @BeforeAll
    void startBrowser(@TempDir Path profile) {
        browser = Browser.start(root, profile);
    }

    @AfterAll
    void closeBrowser() {
        if (browser != null) {
            browser.close();
        }
    }

    @BeforeEach
    void open() throws Exception {
        browser.size(1280, 900);
        browser.colours("light");
        browser.open("playground");
        browser.await("the service is there", "#state", "serving");
        browser.await("the model is there", "#set-model", TestService.MODEL_ID);
    }

    @AfterEach
    void letStepsRun() {
        service.letStepsRun();
    }

    private void ask(String prompt, int tokens) {
        browser.fill("prompt", prompt);
        browser.fill("set-max_tokens", "" + tokens);
        browser.fill("set-temperature", "0");
        browser.element("send").click();
    }

    private int running() {
        return service.batchingEngine().status() instanceof EngineStatus.Serving serving ? serving.running() : 0;
    }

    private JsonNode answerOfTheApi(String more) throws Exception {
        return new ApiClient(root)
                .answer("/v1/completions", "{\"prompt\":\"" + PROMPT + "\",\"temperature\":0" + more + "}");
    }

    @Test
    void aCompletionStreamsAndSaysWhatItCost() throws Exception {
        String expected =
                answerOfTheApi(",\"max_tokens\":40").at("/choices/0/text").textValue();

        service.holdStepsAfter(8);
        ask(PROMPT, 40);
        OperationsTest.await("a part of the answer", () -> browser.text(ANSWER).length() > PROMPT.length());
        String part = browser.text(ANSWER).substring(PROMPT.length());
        assertThat(expected).startsWith(part).hasSizeGreaterThan(part.length());
        assertThat(browser.element("send").isEnabled()).isFalse();
        service.letStepsRun();
        browser.awaitElement(".cost");

        assertThat(browser.text(ANSWER)).isEqualTo(PROMPT + expected);
        assertThat(browser.text(".cost"))
                .containsPattern("Answer40 tokens.*First token[\\d.,]+ (µs|ms|s).*tokens/s")
                .containsPattern("Over the link as K and V 16, \\d+ %")
                .containsPattern("Recomputed from activations 16, \\d+ %");
        assertThat(browser.element("send").isEnabled()).isTrue();
        assertThat(browser.log()).isEmpty();
    }

    @Test
    void theSettingsReachTheService() throws Exception {
        String more = ",\"max_tokens\":9,\"temperature\":1.5,\"top_p\":0.9,\"top_k\":50,\"seed\":7";
        String expected = new ApiClient(root)
                .answer("/v1/completions", "{\"prompt\":\"" + PROMPT + "\"" + more + "}")
                .at("/choices/0/text")
                .textValue();

        browser.fill("set-top_p", "0.9");
        browser.fill("set-top_k", "50");
        browser.fill("set-seed", "7");
        browser.fill("prompt", PROMPT);
        browser.fill("set-max_tokens", "9");
        browser.fill("set-temperature", "1.5");
        browser.element("send").click();
        browser.awaitElement(".cost");

        assertThat(browser.text(ANSWER)).isEqualTo(PROMPT + expected);
    }

    @Test
    void aStopTextEndsTheAnswer() throws Exception {
        String whole =
                answerOfTheApi(",\"max_tokens\":24").at("/choices/0/text").textValue();
        String stop = whole.substring(8, 12).strip();

        browser.fill("set-stop", stop);
        ask(PROMPT, 24);
        browser.awaitElement(".cost");

        assertThat(browser.text(ANSWER)).isEqualTo(PROMPT + whole.substring(0, whole.indexOf(stop)));
        assertThat(browser.text(".cost")).contains("by itself");
    }

    @ParameterizedTest
    @ValueSource(strings = {"button", "escape"})
    void stopEndsTheRequest(String how) throws Exception {
        service.holdStepsAfter(4);
        ask(PROMPT, 400);
        OperationsTest.await("a part of the answer", () -> browser.text(ANSWER).length() > PROMPT.length());
        assertThat(running()).isOne();

        if (how.equals("button")) {
            browser.element("stop").click();
        } else {
            browser.press(Keys.ESCAPE);
        }
        browser.await("it says so", "#progress", "Stopped.");
        service.letStepsRun();

        OperationsTest.await("the service has ended it", this::running, 0);
        assertThat(browser.text(".cost")).contains("stopped by you").doesNotContain("400 tokens");
        assertThat(browser.element("send").isEnabled()).isTrue();
        assertThat(browser.element("stop").isEnabled()).isFalse();
    }

    @Test
    void aChatGoesOn() throws Exception {
        browser.script("document.querySelector('input[name=mode][value=chat]').click()");
        browser.fill("set-max_tokens", "6");
        browser.fill("prompt", "One");
        browser.press(Keys.SHIFT, Keys.ENTER);
        browser.element("prompt").sendKeys("line");
        assertThat(browser.elements(".turn")).isEmpty();
        browser.press(Keys.ENTER);
        browser.awaitElement(".cost");
        browser.element("prompt").sendKeys("Two", Keys.ENTER);
        OperationsTest.await(
                "the second answer", () -> browser.elements(".cost").size(), 2);

        assertThat(browser.text(".turn .asked")).isEqualTo("One\nline\nTwo");
        List<Integer> prompts = new ArrayList<>();
        for (var cost : browser.elements(".cost dl div:first-child dd")) {
            prompts.add(Integer.parseInt(cost.getText().replaceAll("\\D", "")));
        }
        // The second prompt has the first question and its answer in it.
        assertThat(prompts.get(1)).isGreaterThan(prompts.get(0) + 6);
        assertThat(browser.log()).isEmpty();
    }

    @Test
    void mistakesAreShownWhereTheyAre() throws Exception {
        browser.fill("set-temperature", "3");
        browser.element("send").click();
        browser.await("the service's words", ".turn .error", "temperature is 3.0, must be less than or equal to 2");

        assertThat(browser.element("set-temperature").getDomAttribute("aria-invalid"))
                .isEqualTo("true");
        assertThat(browser.element("send").isEnabled()).isTrue();
        // A refused request is logged by every browser.
        assertThat(browser.log()).allMatch(line -> line.contains("400"));
    }

    @Test
    void whatIsWrittenIsText() throws Exception {
        String hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>";
        ask(hostile, 2);
        browser.awaitElement(".cost");

        assertThat(browser.text(ANSWER)).startsWith(hostile);
        assertThat(browser.elements("#thread img, #thread script")).isEmpty();
        assertThat(browser.log()).isEmpty();
    }

    @Test
    void theMachineIsShownAfterSteps() throws Exception {
        // From the first question for timelines on, every step is timed.
        browser.element("tab-machine").click();
        browser.await("the plan", "#plan", "8 sequences of 512 tokens");
        browser.element("tab-playground").click();
        ask(PROMPT, 40);
        browser.awaitElement(".cost");
        browser.element("tab-machine").click();
        OperationsTest.await(
                "a step", () -> browser.text("#step-words").matches("Step [\\d,]+: 1 sequence, .* predicted .*busy.*"));

        assertThat(browser.text("#plan")).contains("What binds", "full-transfer", "kvpr", "At most");
        assertThat(browser.text("#forms")).contains("K and V in host memory", "Activations in host memory");
        assertThat(coloursIn("timeline")).isGreaterThan(4);
        assertThat(browser.script("return document.querySelector('#curve-rate canvas').getAttribute('aria-label')")
                        .toString())
                .matches("Generated tokens a second, .* now .* tokens/s.*");
        String whole = picture("timeline");
        browser.element("zoom-in").click();
        String part = picture("timeline");
        assertThat(part).isNotEqualTo(whole);
        browser.script("document.getElementById('timeline').focus()");
        browser.press(Keys.ARROW_RIGHT);
        assertThat(picture("timeline")).isNotEqualTo(part);
        browser.press("0");
        assertThat(browser.log()).isEmpty();
    }

    private String picture(String canvas) {
        return (String) browser.script("return document.getElementById(arguments[0]).toDataURL()", canvas);
    }

    /** The number of different colours that cover more than a few pixels. */
    private long coloursIn(String canvas) {
        return (long) browser.script("""
                const canvas = document.getElementById(arguments[0]);
                const pixels = new Uint32Array(
                    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
                const counts = new Map();
                for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
                return [...counts.values()].filter(count => count > 20).length;
                """, canvas);
    }

    @Test
    void aPausedMachineIsNotAskedAbout() throws Exception {
        browser.element("tab-machine").click();
        browser.await("the plan", "#plan", "8 sequences");
        browser.element("live").click();
        assertThat(browser.text("#live-note")).isEqualTo("Paused.");
        browser.script("performance.clearResourceTimings()");
        OperationsTest.await("two more polls", () -> asked("status") >= 2);

        assertThat(asked("timeline")).isZero();
    }

    private long asked(String path) {
        return (long) browser.script(
                "return performance.getEntriesByType('resource').filter(one => one.name.includes(arguments[0])).length",
                "weft/v1/" + path);
    }

    @Test
    void aWhatIfIsAnswered() throws Exception {
        JsonNode plan = new ApiClient(root)
                .answer(
                        "/weft/v1/plan",
                        "{\"preset\":\"opt-6.7b\",\"hardware\":\"a100-40g\",\"batch\":64,\"context_tokens\":1024,"
                                + "\"host_memory_bytes\":200000000000,\"forms\":[\"host_kv\",\"host_act\"]}");
        browser.element("tab-whatif").click();
        browser.element("q-preset").sendKeys("opt-6.7b");
        browser.element("q-hardware").sendKeys("a100-40g");
        browser.fill("q-batch", "64");
        browser.fill("q-context_tokens", "1024");
        browser.fill("q-host_memory_bytes", "200");
        browser.element("q-forms").findElements(By.tagName("input")).stream()
                .filter(form -> !List.of("host_kv", "host_act").contains(form.getDomAttribute("value")))
                .forEach(WebElement::click);
        browser.element("q-batch").sendKeys(Keys.ENTER);
        browser.await("the answer", "#answer", "64 sequences of 1,024 tokens on A100 40 GB");

        double millis = plan.path("predicted_step_millis").doubleValue();
        assertThat(millis).isBetween(100.0, 999.0);
        assertThat(browser.text("#answer"))
                .contains(String.format(Locale.ROOT, "A step%.0f ms", millis))
                .contains("K and V on the device 0, 0 %", "Host memory: 200 GB", "Link", "Compute");
        assertThat(browser.log()).isEmpty();
    }

    @Test
    void aWrongQuestionSaysWhatIsWrong() throws Exception {
        browser.element("tab-whatif").click();
        browser.fill("q-batch", "129");
        browser.element("q-ask").click();
        browser.await("the service's words", "#answer .error", "batch is 129, must be less than or equal to 128");

        assertThat(browser.element("q-batch").getDomAttribute("aria-invalid")).isEqualTo("true");
    }

    @Test
    void theKeyboardReachesEverything() throws Exception {
        browser.script("document.getElementById('tab-playground').focus()");
        List<String> order = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            browser.press(Keys.TAB);
            order.add(browser.focused());
        }
        assertThat(order).containsSubsequence("prompt", "send", "clear", "set-model", "set-seed");

        browser.fill("set-max_tokens", "3");
        browser.fill("prompt", PROMPT);
        browser.press(Keys.CONTROL, Keys.ENTER);
        browser.awaitElement(".cost");

        browser.script("document.getElementById('tab-playground').focus()");
        browser.press(Keys.ARROW_RIGHT);
        assertThat(browser.focused()).isEqualTo("tab-machine");
        assertThat(browser.element("view-machine").isDisplayed()).isTrue();
        browser.press(Keys.END);
        assertThat(browser.element("view-whatif").isDisplayed()).isTrue();
        assertThat(browser.elements("[role=tabpanel]:not([hidden])")).hasSize(1);
    }

    @Test
    void everyFieldHasANameAndEveryButtonToo() {
        assertThat(browser.script("""
                return [...document.querySelectorAll('input, select, textarea, button, canvas, [role=meter]')]
                    .filter(one => !(one.labels?.length || one.getAttribute('aria-label')
                        || (one.tagName === 'BUTTON' && one.textContent.trim())))
                    .map(one => one.outerHTML);
                """)).isEqualTo(List.of());
    }

    @ParameterizedTest
    @ValueSource(ints = {320, 390})
    void aPhoneNeedsNoScrollingSideways(int width) throws Exception {
        browser.size(width, 844);
        ask("https://example.org/" + "without-a-space".repeat(20), 4);
        browser.awaitElement(".cost");
        browser.element("tab-whatif").click();
        browser.element("q-ask").click();
        browser.await("the answer", "#answer", "At most");
        browser.element("tab-machine").click();
        browser.await("the plan", "#plan", "At most");

        for (String tab : List.of("playground", "machine", "whatif")) {
            browser.element("tab-" + tab).click();
            assertThat((long) browser.script("return document.documentElement.scrollWidth"))
                    .as(tab)
                    .isLessThanOrEqualTo(width);
        }
    }

    /** The contrast of text by WCAG 2: at least 4.5 to 1. */
    @Test
    void bothColourSchemesAreReadableAndDiffer() {
        List<String> grounds = new ArrayList<>();
        for (String scheme : List.of("light", "dark")) {
            browser.colours(scheme);
            grounds.add((String) browser.script("return getComputedStyle(document.body).backgroundColor"));
            for (String selector : List.of("h1", ".pulse .name", "#state", ".hint", "#send", "#clear", "#prompt")) {
                assertThat(((Number) browser.script("""
                        const luminance = colour => {
                          const [r, g, b] = colour.match(/[\\d.]+/g).map(Number)
                              .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                        };
                        const element = document.querySelector(arguments[0]);
                        let ground = element;
                        while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
                        const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
                            .map(luminance).sort((x, y) => y - x);
                        return (a + 0.05) / (b + 0.05);
                        """, selector)).doubleValue())
                        .as(scheme + " " + selector)
                        .isGreaterThanOrEqualTo(4.5);
            }
        }
        assertThat(grounds.get(0)).isNotEqualTo(grounds.get(1));
    }
}
