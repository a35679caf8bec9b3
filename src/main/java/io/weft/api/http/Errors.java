package io.weft.api.http;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.exc.InvalidNullException;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import io.weft.engine.EngineFailedException;
import io.weft.engine.NonFiniteLogitsException;
import io.weft.engine.RequestRejectedException;
import io.weft.text.ChatTemplateException;
import io.weft.text.constraint.ConstraintException;
import jakarta.validation.ConstraintViolation;
import jakarta.validation.ConstraintViolationException;
import jakarta.validation.ElementKind;
import jakarta.validation.Path;
import jakarta.ws.rs.WebApplicationException;
import java.io.CharConversionException;
import java.math.BigInteger;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jboss.logging.Logger;
import org.jboss.logging.MDC;
import org.jspecify.annotations.Nullable;

/** Describes failures in a client's words: fields by their JSON names, no names of classes. */
public final class Errors {
    private static final Logger LOG = Logger.getLogger(Errors.class);
    private static final String MDC_REQUEST_ID = "request_id";
    private static final int VIOLATIONS_MOST = 5;
    private static final String BEYOND_LIMITS =
            "The body is more than is read: at most %,d names and values, %d levels, %d digits of a number and %d characters of a name."
                    .formatted(
                            JsonRules.VALUES_MOST,
                            JsonRules.LEVELS_MOST,
                            JsonRules.DIGITS_MOST,
                            JsonRules.NAME_CHARACTERS_MOST);

    private Errors() {}

    /** The error of a failure for the client. Failures of Weft itself are logged with the request's id. */
    public static ApiError of(Throwable failure, String requestId) {
        return switch (failure) {
            case ApiException api -> api.error();
            case RequestRejectedException rejection -> ApiError.rejected(rejection);
            case EngineFailedException engineFailure -> {
                log(engineFailure, "request %s: the engine failed", requestId);
                yield ApiError.engineFailed(engineFailure);
            }
            case NonFiniteLogitsException nonFinite -> ApiError.nonFinite(nonFinite);
            case ConstraintException constraint ->
                ApiError.invalid(
                        400,
                        "The text cannot be kept to what the request asks for: %s.".formatted(constraint.getMessage()),
                        null,
                        "constraint_too_complex");
            case ChatTemplateException template -> ApiError.badField("messages", firstLine(template.getMessage()));
            case ConstraintViolationException violations -> violations(violations);
            // What fails while JSON is read comes wrapped: the limit on bodies, say.
            case JsonMappingException json when json.getCause() instanceof ApiException api -> api.error();
            case JsonProcessingException json -> json(json);
            case CharConversionException encoding -> ApiError.malformed("The body is not JSON in UTF-8.");
            case WebApplicationException web -> web(web, requestId);
            default -> ours(failure, requestId);
        };
    }

    /** The id is in the text, and a field of its own in JSON lines. */
    private static void log(Throwable failure, String text, String requestId) {
        MDC.put(MDC_REQUEST_ID, requestId);
        try {
            LOG.errorf(failure, text, requestId);
        } finally {
            MDC.remove(MDC_REQUEST_ID);
        }
    }

    private static ApiError ours(Throwable failure, String requestId) {
        log(failure, "request %s failed", requestId);
        endIfOutOfMemory(failure);
        return ApiError.ours(requestId);
    }

    /** Without memory nothing is sure any more: it is for those who handle what nobody catches. */
    static void endIfOutOfMemory(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof OutOfMemoryError) {
                Thread thread = Thread.currentThread();
                thread.getUncaughtExceptionHandler().uncaughtException(thread, cause);
                return;
            }
        }
    }

    private static ApiError web(WebApplicationException failure, String requestId) {
        if (failure.getCause() instanceof JsonProcessingException json) {
            return of(json, requestId);
        }
        int status = failure.getResponse().getStatus();
        return switch (status) {
            case 404 -> ApiError.nothingHere();
            case 405 -> ApiError.otherMethod();
            case 406 -> ApiError.invalid(406, "Accept leaves out what this path answers with.", null, "not_acceptable");
            case 415 -> ApiError.invalid(415, "Content-Type must be application/json.", null, "unsupported_media_type");
            default ->
                status < 500 ? ApiError.unreadable(status, "The request cannot be read") : ours(failure, requestId);
        };
    }

    private static ApiError violations(ConstraintViolationException failure) {
        List<ConstraintViolation<?>> violations = failure.getConstraintViolations().stream()
                .sorted(Comparator.comparing(violation -> field(violation.getPropertyPath())))
                .<ConstraintViolation<?>>map(violation -> violation)
                .toList();
        String message =
                violations.stream().limit(VIOLATIONS_MOST).map(Errors::describe).collect(Collectors.joining(" "));
        String field = field(violations.getFirst().getPropertyPath());
        return ApiError.invalid(400, message, field.isEmpty() ? null : field, null);
    }

    private static String describe(ConstraintViolation<?> violation) {
        String field = field(violation.getPropertyPath());
        Object value = violation.getInvalidValue();
        if (field.isEmpty()) {
            return "The body is empty, must be a JSON object.";
        }
        if (value == null) {
            return field + " is missing or null, must be given.";
        }
        return "%s is %s, %s.".formatted(field, shown(value), violation.getMessage());
    }

    private static String shown(Object value) {
        return switch (value) {
            case String text -> '"' + ApiError.shortened(text) + '"';
            case Collection<?> list -> "a list of " + list.size();
            case Map<?, ?> map -> "an object of " + map.size();
            case JsonToken token -> kind(token);
            default -> ApiError.shortened(value.toString());
        };
    }

    private static String kind(JsonToken token) {
        return switch (token) {
            case START_OBJECT, FIELD_NAME, END_OBJECT -> "an object";
            case START_ARRAY, END_ARRAY -> "a list";
            case VALUE_STRING -> "a string";
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "a number";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean";
            case VALUE_NULL -> "null";
            case NOT_AVAILABLE, VALUE_EMBEDDED_OBJECT -> "something else";
        };
    }

    /** Fields that belong together are a record here, but no object there. */
    private static final Set<String> UNWRAPPED = Set.of("fields", "toolFields");

    /** The field as the client wrote it; empty for the body. */
    private static String field(Path path) {
        StringBuilder field = new StringBuilder();
        for (Path.Node node : path) {
            if (node.isInIterable()) {
                field.append('[')
                        .append(node.getIndex() == null ? node.getKey() : node.getIndex())
                        .append(']');
            }
            if (node.getKind() == ElementKind.PROPERTY && !UNWRAPPED.contains(node.getName())) {
                field.append(field.isEmpty() ? "" : ".").append(snakeCase(node.getName()));
            }
        }
        return field.toString();
    }

    private static String snakeCase(String name) {
        return name.replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
    }

    private static ApiError json(JsonProcessingException failure) {
        // What is found while a field is read is not the field's fault.
        return switch (failure.getCause() instanceof JsonProcessingException inner ? inner : failure) {
            case StreamConstraintsException limit -> ApiError.malformed(BEYOND_LIMITS);
            case InvalidFormatException format -> wrongValue(format);
            case InvalidNullException missing -> {
                String field = field(missing.getPath());
                yield invalid(field, subject(field) + " is missing or null, must be given.");
            }
            // All other mismatches have a value (JsonRules): this is what follows a body that was read.
            case MismatchedInputException trailing
            when trailing.getPath().isEmpty() -> malformed("There is more after its end", trailing.getLocation());
            case JsonMappingException mapping -> unreadable(field(mapping.getPath()));
            case JsonProcessingException syntax ->
                malformed(firstLine(syntax.getOriginalMessage()), syntax.getLocation());
        };
    }

    private static ApiError wrongValue(InvalidFormatException failure) {
        String field = field(failure.getPath());
        if (failure.getValue() instanceof JsonRules.MoreThan(int most)) {
            return invalid(
                    field, "%s is a list of more than %d, must have at most %d.".formatted(subject(field), most, most));
        }
        return invalid(
                field, "%s is %s, must be %s.".formatted(subject(field), shown(failure.getValue()), expected(failure)));
    }

    private static ApiError unreadable(String field) {
        return invalid(field, subject(field) + " cannot be read.");
    }

    private static String subject(String field) {
        return field.isEmpty() ? "The body" : field;
    }

    private static ApiError invalid(String field, String message) {
        return ApiError.invalid(400, message, field.isEmpty() ? null : field, null);
    }

    private static String firstLine(@Nullable String text) {
        return text == null ? "it cannot be read" : text.lines().findFirst().orElse("it cannot be read");
    }

    /** After what it found, Jackson tells what it wanted, and names its own settings. */
    private static ApiError malformed(String message, @Nullable JsonLocation location) {
        int end = message.indexOf(": ");
        String found = end < 0 ? message : message.substring(0, end);
        String place = location == null || location.getLineNr() < 1
                ? ""
                : " at line %d, column %d".formatted(location.getLineNr(), location.getColumnNr());
        // Jackson has one exception for both.
        String what = found.startsWith("Invalid UTF-8") ? "UTF-8" : "JSON";
        return ApiError.malformed("The body is not " + what + ": " + found + place + ".");
    }

    private static String field(List<JsonMappingException.Reference> path) {
        StringBuilder field = new StringBuilder();
        for (JsonMappingException.Reference step : path) {
            if (step.getFieldName() == null) {
                field.append('[').append(step.getIndex()).append(']');
            } else {
                field.append(field.isEmpty() ? "" : ".").append(step.getFieldName());
            }
        }
        return field.toString();
    }

    private static String expected(InvalidFormatException failure) {
        Class<?> type = failure.getTargetType();
        if (type == Integer.class) {
            return isWhole(failure.getValue())
                    ? "from %d to %d".formatted(Integer.MIN_VALUE, Integer.MAX_VALUE)
                    : "a whole number";
        }
        if (type == Long.class) {
            return isWhole(failure.getValue())
                    ? "from %d to %d".formatted(Long.MIN_VALUE, Long.MAX_VALUE)
                    : "a whole number";
        }
        if (type == Double.class) {
            return "a number";
        }
        if (type == Boolean.class) {
            return "true or false";
        }
        if (type == String.class) {
            return "a string";
        }
        return type != null && Collection.class.isAssignableFrom(type) ? "a list" : "an object";
    }

    private static boolean isWhole(@Nullable Object value) {
        return value instanceof Integer || value instanceof Long || value instanceof BigInteger;
    }
}
