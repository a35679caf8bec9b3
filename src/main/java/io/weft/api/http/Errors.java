package io.weft.api.http;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DatabindException;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import io.weft.engine.EngineFailedException;
import io.weft.engine.RequestRejectedException;
import io.weft.text.ChatTemplateException;
import jakarta.validation.ConstraintViolation;
import jakarta.validation.ConstraintViolationException;
import jakarta.validation.ElementKind;
import jakarta.validation.Path;
import jakarta.ws.rs.WebApplicationException;
import java.io.CharConversionException;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Says in a client's words what went wrong: fields by their JSON names, no names of classes. */
public final class Errors {
    private static final Logger LOG = Logger.getLogger(Errors.class);
    private static final int VIOLATIONS_MOST = 5;
    private static final Pattern FOUND = Pattern.compile(
            "(?<kind>Object|Array|String|Boolean|Integer|Floating-point|Number) value(?: \\((?<value>(?!token).*?)\\))?");
    private static final Pattern RANGE =
            Pattern.compile("value \\((?<value>.*?)\\) out of range of \\w+ \\((?<least>\\S+) - (?<most>\\S+)\\)");

    private Errors() {}

    /** What a failure means to a client. One that is ours is logged, with the request's id. */
    public static ApiError of(Throwable failure, String requestId) {
        return switch (failure) {
            case ApiException api -> api.error();
            case RequestRejectedException rejection -> ApiError.rejected(rejection);
            case EngineFailedException engineFailure -> {
                LOG.errorf(engineFailure, "request %s: the engine failed", requestId);
                yield ApiError.engineFailed(engineFailure);
            }
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

    private static ApiError ours(Throwable failure, String requestId) {
        LOG.errorf(failure, "request %s failed", requestId);
        return ApiError.ours(requestId);
    }

    private static ApiError web(WebApplicationException failure, String requestId) {
        if (failure.getCause() instanceof JsonProcessingException json) {
            return of(json, requestId);
        }
        int status = failure.getResponse().getStatus();
        return switch (status) {
            case 404 -> ApiError.invalid(404, "There is nothing at this path.", null, "not_found");
            case 405 -> ApiError.invalid(405, "The method is not allowed at this path.", null, "method_not_allowed");
            case 406 -> ApiError.invalid(406, "Accept leaves out what this path answers with.", null, "not_acceptable");
            case 415 -> ApiError.invalid(415, "Content-Type must be application/json.", null, "unsupported_media_type");
            default ->
                status < 500
                        ? ApiError.invalid(status, "The request cannot be read.", null, "bad_request")
                        : ours(failure, requestId);
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
            default -> ApiError.shortened(value.toString());
        };
    }

    /** The field as the client wrote it; empty for the body. */
    private static String field(Path path) {
        StringBuilder field = new StringBuilder();
        for (Path.Node node : path) {
            if (node.isInIterable()) {
                field.append('[')
                        .append(node.getIndex() == null ? node.getKey() : node.getIndex())
                        .append(']');
            }
            // What chats and completions share is one record here, but no object there.
            if (node.getKind() == ElementKind.PROPERTY && !node.getName().equals("fields")) {
                field.append(field.isEmpty() ? "" : ".").append(snakeCase(node.getName()));
            }
        }
        return field.toString();
    }

    private static String snakeCase(String name) {
        return name.replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
    }

    private static ApiError json(JsonProcessingException failure) {
        if (failure.getCause() instanceof JsonParseException syntax) {
            // Found while a field was read, but it is not the field's fault.
            return json(syntax);
        }
        String message = firstLine(failure.getOriginalMessage());
        if (!(failure instanceof DatabindException databind)) {
            return malformed(message, failure.getLocation());
        }
        if (message.startsWith("Trailing token")) {
            return malformed("There is more after its end", failure.getLocation());
        }
        String field = databind instanceof JsonMappingException mapping ? field(mapping.getPath()) : "";
        return ApiError.invalid(400, mismatch(field, databind), field.isEmpty() ? null : field, null);
    }

    private static String firstLine(@Nullable String text) {
        return text == null ? "it cannot be read" : text.lines().findFirst().orElse("it cannot be read");
    }

    /** After what it found, Jackson tells what it wanted, and names its own settings. */
    private static ApiError malformed(String message, @Nullable JsonLocation location) {
        int end = message.indexOf(": ");
        String found = (end < 0 ? message : message.substring(0, end)).replaceAll(", from `[^`]*`", "");
        String place = location == null || location.getLineNr() < 1
                ? ""
                : " at line %d, column %d".formatted(location.getLineNr(), location.getColumnNr());
        return ApiError.malformed(
                (found.startsWith("Invalid UTF-8") ? "The body is not UTF-8: " : "The body is not JSON: ")
                        + found
                        + place
                        + ".");
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

    private static String mismatch(String field, DatabindException failure) {
        String subject = field.isEmpty() ? "The body" : field;
        return switch (failure) {
            case InvalidFormatException format
            when format.getValue() != null ->
                "%s is %s, must be %s.".formatted(subject, shown(format.getValue()), expected(format));
            case MismatchedInputException mismatch ->
                "%s%s must be %s."
                        .formatted(subject, found(firstLine(mismatch.getOriginalMessage())), expected(mismatch));
            case DatabindException other -> subject + outOfRange(firstLine(other.getOriginalMessage()));
        };
    }

    /** Jackson keeps what it found only in its message. */
    private static String found(String message) {
        Matcher found = FOUND.matcher(message);
        if (!found.find()) {
            return "";
        }
        return switch (found.group("kind")) {
            case "Object" -> " is an object,";
            case "Array" -> " is a list,";
            case String scalar ->
                found.group("value") == null
                        ? " is a " + scalar.toLowerCase(Locale.ROOT) + ","
                        : " is " + ApiError.shortened(found.group("value").replace('\'', '"')) + ",";
        };
    }

    private static String outOfRange(String message) {
        Matcher range = RANGE.matcher(message);
        return range.find()
                ? " is %s, must be from %s to %s."
                        .formatted(ApiError.shortened(range.group("value")), range.group("least"), range.group("most"))
                : " is out of range.";
    }

    private static String expected(MismatchedInputException failure) {
        Class<?> type = failure.getTargetType();
        if (type == Integer.class || type == Long.class || type == int.class || type == long.class) {
            return "a whole number";
        }
        if (type == Double.class || type == double.class) {
            return "a number";
        }
        if (type == Boolean.class || type == boolean.class) {
            return "true or false";
        }
        if (type == String.class) {
            return "a string";
        }
        return type != null && Collection.class.isAssignableFrom(type) ? "a list" : "an object";
    }
}
