package io.weft.api;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.openqa.selenium.By;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.interactions.Actions;
import org.openqa.selenium.logging.LogEntry;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;

/** A Chromium without a window, which reaches no other host than this one. */
final class Browser implements AutoCloseable {
    private static final List<String> NAMES = List.of("chromium", "chromium-browser", "google-chrome");

    /** Warns of every version of Chromium that is not its own; a reference keeps the level. */
    private static final Logger DEVTOOLS = Logger.getLogger("org.openqa.selenium.devtools.CdpVersionFinder");

    private final ChromeDriver driver;
    private final URI root;

    private Browser(ChromeDriver driver, URI root) {
        this.driver = driver;
        this.root = root;
    }

    /**
     * Starts a browser. Where there is none, the test is skipped; where {@code CI} is set, it fails.
     *
     * @param root address of the service
     * @param profile empty folder for what the browser keeps
     */
    static Browser start(URI root, Path profile) {
        Optional<File> browser = NAMES.stream().flatMap(Browser::onPath).findFirst();
        Optional<File> driver = onPath("chromedriver").findFirst();
        if (browser.isEmpty() || driver.isEmpty()) {
            String missing = "the page is tested in Chromium, which is not on the PATH together with chromedriver:"
                    + " apt-get install chromium chromium-driver";
            return System.getenv("CI") == null ? abort(missing) : fail(missing);
        }
        DEVTOOLS.setLevel(Level.SEVERE);
        LoggingPreferences logged = new LoggingPreferences();
        logged.enable(LogType.BROWSER, Level.ALL);
        ChromeOptions options = new ChromeOptions();
        options.setBinary(browser.get());
        options.setCapability(ChromeOptions.LOGGING_PREFS, logged);
        options.addArguments(
                "--headless=new",
                // Containers run as root and have a small /dev/shm.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
                "--window-size=1280,900",
                "--user-data-dir=" + profile);
        ChromeDriverService service = new ChromeDriverService.Builder()
                .usingDriverExecutable(driver.get())
                .usingAnyFreePort()
                .withTimeout(OperationsTest.HANG)
                .build();
        return new Browser(new ChromeDriver(service, options), root);
    }

    private static Stream<File> onPath(String name) {
        return Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .map(folder -> new File(folder, name))
                .filter(File::canExecute);
    }

    /** Loads the page in a tab that remembers nothing. */
    void open(String tab) {
        driver.get("about:blank");
        driver.get(root.toString().replaceAll("/$", "") + "/");
        script("sessionStorage.clear(); localStorage.clear()");
        log();
        driver.get(root.toString().replaceAll("/$", "") + "/?#" + tab);
    }

    void reload() {
        driver.navigate().refresh();
    }

    /** Width and height in CSS pixels; below 500 pixels it is a phone. */
    void size(int width, int height) {
        driver.executeCdpCommand(
                "Emulation.setDeviceMetricsOverride",
                Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", width < 500));
    }

    void colours(String scheme) {
        driver.executeCdpCommand(
                "Emulation.setEmulatedMedia",
                Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", scheme))));
    }

    Object script(String text, Object... arguments) {
        return driver.executeScript(text, arguments);
    }

    WebElement element(String id) {
        return driver.findElement(By.id(id));
    }

    List<WebElement> elements(String selector) {
        return driver.findElements(By.cssSelector(selector));
    }

    /** The text of an element as it lies in the page, whether it is visible or not. */
    String text(String selector) {
        return (String) script(
                "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent).join('\\n')",
                selector);
    }

    void await(String what, String selector, String part) throws InterruptedException {
        OperationsTest.await(what, () -> text(selector).contains(part));
    }

    void awaitElement(String selector) throws InterruptedException {
        OperationsTest.await(selector, () -> !elements(selector).isEmpty());
    }

    /** Replaces what a field holds. */
    void fill(String id, String value) {
        WebElement field = element(id);
        field.clear();
        field.sendKeys(value);
    }

    /** Presses the last key, or types the text, where the focus is, while the ones before are held. */
    void press(CharSequence... keys) {
        List<CharSequence> held = List.of(keys).subList(0, keys.length - 1);
        Actions actions = new Actions(driver);
        held.forEach(actions::keyDown);
        actions.sendKeys(keys[keys.length - 1]);
        held.forEach(actions::keyUp);
        actions.perform();
    }

    String focused() {
        return driver.switchTo().activeElement().getDomAttribute("id");
    }

    /** What the browser had to say since it was asked last: errors, refusals of the policy, failed requests. */
    List<String> log() {
        return driver.manage().logs().get(LogType.BROWSER).getAll().stream()
                .map(LogEntry::getMessage)
                .toList();
    }

    void picture(Path file) throws IOException {
        Files.write(file, driver.getScreenshotAs(OutputType.BYTES));
    }

    @Override
    public void close() {
        driver.quit();
    }
}
