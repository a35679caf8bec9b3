package io.weft.api.weft;

import io.smallrye.common.annotation.NonBlocking;
import io.weft.api.http.ApiSettings;
import jakarta.inject.Singleton;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.NotFoundException;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.EntityTag;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.Request;
import jakarta.ws.rs.core.Response;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.microprofile.openapi.annotations.Operation;

/**
 * The page at {@code /} and its parts: files of the class path, without a key, since it has no secrets and has to ask
 * for the key. Browsers ask each time whether a part has changed, so that no two versions mix.
 */
@Path("/")
@Singleton
class PageResource {
    /**
     * The page runs its own scripts and styles and talks to this service, nothing else. So even a text that was taken
     * for HTML by mistake could neither run nor load anything.
     */
    static final String POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
            + " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static final String FOLDER = "/page/";
    private static final String INDEX = "index.html";
    private static final Map<String, String> TYPES = Map.of(
            "html", "text/html; charset=utf-8",
            "css", "text/css; charset=utf-8",
            "js", "text/javascript; charset=utf-8",
            "svg", "image/svg+xml");

    private final ApiSettings settings;
    private final Map<String, Optional<Part>> parts = new ConcurrentHashMap<>();

    PageResource(ApiSettings settings) {
        this.settings = settings;
    }

    /** A file of the page. */
    private record Part(String text, String type, EntityTag tag) {}

    @GET
    @NonBlocking
    @Operation(hidden = true)
    public Response index(@Context Request request) {
        return answer(INDEX, request);
    }

    @GET
    @Path("page/{name:[a-z]+\\.(css|js|svg)}")
    @NonBlocking
    @Operation(hidden = true)
    public Response part(String name, @Context Request request) {
        return answer(name, request);
    }

    private Response answer(String name, Request request) {
        Part part = settings.page() ? part(name) : notFound();
        Response.ResponseBuilder unchanged = request.evaluatePreconditions(part.tag());
        return (unchanged == null ? Response.ok(part.text(), part.type()) : unchanged)
                .tag(part.tag())
                .header(HttpHeaders.CACHE_CONTROL, "no-cache")
                .header("Content-Security-Policy", POLICY)
                .header("X-Content-Type-Options", "nosniff")
                .header("Referrer-Policy", "no-referrer")
                .build();
    }

    private Part part(String name) {
        return parts.computeIfAbsent(name, PageResource::read).orElseGet(PageResource::notFound);
    }

    private static Part notFound() {
        throw new NotFoundException();
    }

    private static Optional<Part> read(String name) {
        try (InputStream in = PageResource.class.getResourceAsStream(FOLDER + name)) {
            if (in == null) {
                return Optional.empty();
            }
            byte[] bytes = in.readAllBytes();
            String digest = HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(bytes), 0, 8);
            String type = TYPES.getOrDefault(name.substring(name.lastIndexOf('.') + 1), "");
            return Optional.of(new Part(new String(bytes, StandardCharsets.UTF_8), type, new EntityTag(digest)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
