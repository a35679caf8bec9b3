package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/** Pictures of the page of a service that is busy, for people; {@code tools/page/pictures.sh} runs it. */
@EnabledIfSystemProperty(named = "weft.page.address", matches = "http.*")
class PagePicturesTest {
    private static final Path FOLDER = Path.of(System.getProperty("weft.page.pictures", "target/pictures"));

    @Test
    void pictures(@TempDir Path profile) throws Exception {
        Files.createDirectories(FOLDER);
        try (Browser browser = Browser.start(URI.create(System.getProperty("weft.page.address")), profile)) {
            browser.size(1280, 860);
            browser.open("machine");
            browser.await("the plan", "#plan", "What binds");
            // The curves fill while time goes by.
            Thread.sleep(100_000);
            OperationsTest.await("a step", () -> browser.text("#step-words").startsWith("Step "));
            picture(browser, "page");
            browser.colours("dark");
            picture(browser, "page-dark");
            browser.colours("light");
            browser.size(390, 844);
            picture(browser, "page-phone");

            browser.size(1280, 860);
            browser.element("tab-playground").click();
            browser.element("send").click();
            browser.awaitElement(".cost");
            picture(browser, "page-playground");
            browser.element("tab-whatif").click();
            browser.element("q-preset").sendKeys("opt-30b");
            browser.element("q-hardware").sendKeys("h100");
            browser.fill("q-batch", "16");
            browser.fill("q-context_tokens", "4096");
            browser.fill("q-host_memory_bytes", "256");
            browser.element("q-ask").click();
            browser.await("the answer", "#answer", "What binds");
            picture(browser, "page-whatif");
            assertThat(browser.log()).isEmpty();
        }
    }

    private static void picture(Browser browser, String name) throws Exception {
        // The page draws anew after a change of size or colours.
        Thread.sleep(500);
        browser.picture(FOLDER.resolve(name + ".png"));
    }
}
