package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.Keys;

/** The page of a service that asks for a key. */
@QuarkusTest
@TestProfile(ServiceProfile.Keyed.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PageKeyTest {
    @TestHTTPResource("/")
    URI root;

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

    @Test
    void aKeyIsAskedForAndKeptInTheTab() throws Exception {
        browser.open("playground");
        browser.awaitElement("#key-dialog[open]");
        assertThat(browser.focused()).isEqualTo("key");
        assertThat(browser.text("#key-error")).isEmpty();
        assertThat(browser.text("#state")).isEqualTo("needs a key");

        browser.press("a wrong key");
        browser.press(Keys.ENTER);
        browser.await("it says so", "#key-error", "The API key is wrong.");
        assertThat(browser.elements("#key-dialog[open]")).hasSize(1);

        browser.fill("key", ServiceProfile.Keyed.KEY);
        browser.element("key-use").click();
        browser.await("the service is there", "#state", "serving");
        assertThat(browser.elements("#key-dialog[open]")).isEmpty();
        browser.await("the model is there", "#set-model", TestService.MODEL_ID);
        browser.fill("set-max_tokens", "3");
        browser.element("send").click();
        browser.awaitElement(".cost");

        browser.reload();
        browser.await("the service is there again", "#state", "serving");
        assertThat(browser.elements("#key-dialog[open]")).isEmpty();
        assertThat(browser.script("return Object.values(sessionStorage)").toString())
                .contains(ServiceProfile.Keyed.KEY);
        assertThat(browser.script("return localStorage.length + document.cookie.length"))
                .isEqualTo(0L);
        assertThat(browser.script("return location.href").toString()).doesNotContain("key");
        assertThat(browser.script("return document.documentElement.outerHTML").toString())
                .doesNotContain(ServiceProfile.Keyed.KEY);

        browser.open("playground");
        browser.awaitElement("#key-dialog[open]");
        // Refused for want of a key, and for nothing else.
        assertThat(browser.log()).isNotEmpty().allMatch(line -> line.contains("401"));
    }
}
