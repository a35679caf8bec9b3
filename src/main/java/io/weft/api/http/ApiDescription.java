package io.weft.api.http;

import io.quarkus.smallrye.openapi.OpenApiFilter;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.OASFactory;
import org.eclipse.microprofile.openapi.OASFilter;
import org.eclipse.microprofile.openapi.models.OpenAPI;
import org.eclipse.microprofile.openapi.models.Operation;
import org.eclipse.microprofile.openapi.models.PathItem.HttpMethod;
import org.eclipse.microprofile.openapi.models.media.Schema;
import org.eclipse.microprofile.openapi.models.media.Schema.SchemaType;
import org.eclipse.microprofile.openapi.models.responses.APIResponse;
import org.eclipse.microprofile.openapi.models.security.SecurityScheme;

/** Adds to the OpenAPI document what all guarded paths have in common: the key, and errors. Runs in the build. */
@OpenApiFilter(stages = OpenApiFilter.RunStage.BUILD)
public final class ApiDescription implements OASFilter {
    private static final String KEY = "key";
    private static final String HEADER = "header";
    private static final String ERROR = "Error";
    private static final String MESSAGE_ERROR = "MessageError";

    /** What a request with a body may get, beside a path's own answer. */
    private static final Map<String, String> ERRORS = Map.of(
            "400", "A field is wrong, missing or not supported, or the body is not JSON",
            "401", "The key is missing or wrong",
            "404", "The model, or whatever else the path names, is not here",
            "408", "The body came too slowly, or the request's timeout is over",
            "413", "The body is too large",
            "415", "The body is of another type or encoding",
            "429", "The queue is full, or the connection has too many requests; Retry-After says when to try again",
            "500", "A fault of the service",
            "503", "The service is starting, stopping, overloaded or out of order; Retry-After says when to try again");

    /** Those for which there is no body. */
    private static final List<String> WITHOUT_BODY = List.of("401", "404", "429", "500", "503");

    @Override
    public void filterOpenAPI(OpenAPI document) {
        if (document.getComponents() == null) {
            document.setComponents(OASFactory.createComponents());
        }
        document.getComponents()
                .addSecurityScheme(
                        KEY,
                        OASFactory.createSecurityScheme()
                                .type(SecurityScheme.Type.HTTP)
                                .scheme("bearer")
                                .description("A key of the service (weft.api-key), if it has any"))
                .addSecurityScheme(
                        HEADER,
                        OASFactory.createSecurityScheme()
                                .type(SecurityScheme.Type.APIKEY)
                                .in(SecurityScheme.In.HEADER)
                                .name("x-api-key")
                                .description("The same, as Anthropic's clients send it"))
                .addSchema(ERROR, error())
                .addSchema(MESSAGE_ERROR, messageError());
        document.getPaths().getPathItems().forEach((path, item) -> {
            if (Intake.isGuarded(path)) {
                String error = ErrorForm.of(path) == ErrorForm.ANTHROPIC ? MESSAGE_ERROR : ERROR;
                item.getOperations().forEach((method, operation) -> describe(method, operation, error));
            }
        });
    }

    private static void describe(HttpMethod method, Operation operation, String error) {
        // The empty one: there may be no key.
        operation
                .addSecurityRequirement(OASFactory.createSecurityRequirement().addScheme(KEY))
                .addSecurityRequirement(OASFactory.createSecurityRequirement().addScheme(HEADER))
                .addSecurityRequirement(OASFactory.createSecurityRequirement());
        ERRORS.forEach((status, description) -> {
            if (method == HttpMethod.POST || WITHOUT_BODY.contains(status)) {
                operation.getResponses().addAPIResponse(status, response(description, error));
            }
        });
    }

    private static APIResponse response(String description, String error) {
        return OASFactory.createAPIResponse()
                .description(description)
                .content(OASFactory.createContent()
                        .addMediaType(
                                "application/json",
                                OASFactory.createMediaType()
                                        .schema(OASFactory.createSchema().ref("#/components/schemas/" + error))));
    }

    private static Schema error() {
        Schema fields = object().addProperty("message", text().description("Names the field, its value and the limit"))
                .addProperty("type", text())
                .addProperty("param", textOrNull().description("The field at fault, if there is exactly one"))
                .addProperty("code", textOrNull().description("For programs"))
                .required(List.of("message", "type", "param", "code"));
        return object().addProperty("error", fields).required(List.of("error"));
    }

    private static Schema messageError() {
        Schema fields = object().addProperty("type", text())
                .addProperty("message", text().description("Names the field, its value and the limit"))
                .addProperty("details", object().addProperty("error_code", text().description("For programs")))
                .required(List.of("type", "message"));
        return object().addProperty("type", text())
                .addProperty("error", fields)
                .addProperty("request_id", text())
                .required(List.of("type", "error"));
    }

    private static Schema object() {
        return OASFactory.createSchema().addType(SchemaType.OBJECT);
    }

    private static Schema text() {
        return OASFactory.createSchema().addType(SchemaType.STRING);
    }

    private static Schema textOrNull() {
        return text().addType(SchemaType.NULL);
    }
}
