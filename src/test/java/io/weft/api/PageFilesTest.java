package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.model.CacheForm;
import io.weft.model.CachePolicy;
import io.weft.model.ModelPreset;
import io.weft.plan.machine.HardwarePreset;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The files of the page, as they are sent and as they are written. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class PageFilesTest {
    private static final Path FOLDER = Path.of("src/main/resources/page");

    @TestHTTPResource("/")
    URI root;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    static List<String> paths() throws Exception {
        try (Stream<Path> files = Files.list(FOLDER)) {
            return files.map(file -> file.getFileName().toString())
                    .map(name -> name.equals("index.html") ? "/" : "/page/" + name)
                    .toList();
        }
    }

    private static Path file(String path) {
        return FOLDER.resolve(path.equals("/") ? "index.html" : path.substring("/page/".length()));
    }

    @ParameterizedTest
    @MethodSource("paths")
    void everyPartIsSentWithAStrictPolicy(String path) throws Exception {
        HttpResponse<String> response = api.get(path);

        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.body()).isEqualTo(Files.readString(file(path)));
        assertThat(response.headers().allValues("content-security-policy"))
                .containsExactly("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
                        + " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        assertThat(response.headers().firstValue("x-content-type-options")).hasValue("nosniff");
        assertThat(response.headers().firstValue("referrer-policy")).hasValue("no-referrer");
        assertThat(response.headers().firstValue("content-type").orElse("")).matches("(text|image)/.+");
    }

    @ParameterizedTest
    @MethodSource("paths")
    void whatHasNotChangedIsNotSentAgain(String path) throws Exception {
        String tag = api.get(path).headers().firstValue("etag").orElseThrow();

        HttpResponse<String> same = api.get(path, "If-None-Match", tag);
        HttpResponse<String> other = api.get(path, "If-None-Match", "\"other\"");

        assertThat(same.statusCode()).isEqualTo(304);
        assertThat(same.body()).isEmpty();
        assertThat(same.headers().firstValue("cache-control")).hasValue("no-cache");
        assertThat(other.statusCode()).isEqualTo(200);
    }

    @ParameterizedTest
    @CsvSource({
        "/page, not_found",
        "/page/, not_found",
        "/page/nope.js, not_found",
        "/page/index.html, not_found",
        "/page/..%2Fapplication.properties, not_found",
        "/index.html, not_found",
        "/favicon.ico, not_found"
    })
    void nothingElseIsThere(String path, String code) throws Exception {
        HttpResponse<String> response = api.get(path);

        assertThat(response.statusCode()).isEqualTo(404);
        assertThat(ApiClient.json(response.body()).at("/error/code").textValue())
                .isEqualTo(code);
    }

    @Test
    void thePageTakesNothing() throws Exception {
        HttpResponse<String> response = api.post("/", "{}");

        assertThat(response.statusCode()).isEqualTo(405);
        assertThat(ApiClient.json(response.body()).at("/error/code").textValue())
                .isEqualTo("method_not_allowed");
    }

    @ParameterizedTest
    @MethodSource("paths")
    void nothingIsInlineOrFromElsewhereAndNoTextBecomesHtml(String path) throws Exception {
        String text = Files.readString(file(path));

        assertThat(text.replace("http://www.w3.org/2000/svg", ""))
                .doesNotContainPattern("https?:|[\"'(]//")
                .doesNotContain("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(");
        if (path.equals("/")) {
            assertThat(text).doesNotContainPattern("<style|\\sstyle=|\\son\\w+=|<script(?![^>]*\\ssrc=)");
        }
    }

    @Test
    void theFormKnowsEveryPreset() throws Exception {
        String page = Files.readString(FOLDER.resolve("index.html"));

        assertThat(options(page, "q-preset")).containsExactlyElementsOf(ModelPreset.labels());
        assertThat(options(page, "q-hardware")).containsExactlyElementsOf(HardwarePreset.labels());
        assertThat(options(page, "q-cache_encoding"))
                .containsExactlyElementsOf(
                        Stream.of(CachePolicy.values()).map(CachePolicy::label).toList());
        assertThat(Files.readString(FOLDER.resolve("plan.js")))
                .contains(CacheForm.all().stream()
                        .map(form -> form.label() + ": \"")
                        .toList());
        assertThat(Files.readString(FOLDER.resolve("style.css")))
                .contains(CacheForm.all().stream()
                        .map(form -> ".c-" + form.label() + ",")
                        .toList());
        assertThat(Pattern.compile("type=\"checkbox\" value=\"(\\w+)\"")
                        .matcher(page)
                        .results())
                .extracting(found -> found.group(1))
                .containsExactlyElementsOf(CacheForm.all().stream()
                        .filter(form -> form.encoding().isExact())
                        .map(CacheForm::label)
                        .toList());
    }

    private static List<String> options(String page, String id) {
        int begin = page.indexOf("<select id=\"" + id + "\">");
        String select = page.substring(begin, page.indexOf("</select>", begin));
        return Pattern.compile("<option>([^<]+)</option>")
                .matcher(select)
                .results()
                .map(found -> found.group(1))
                .toList();
    }
}
