package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;

/** Reads fields of free form, and says what is wrong with them. */
public final class JsonFields {
    private JsonFields() {}

    /** The error for a field of which something holds: {@code what} begins with a verb and has no full stop. */
    public static ApiException bad(String field, String what) {
        return ApiError.badField(field, field + " " + what + ".").exception();
    }

    /** The error for a field that is missing, or is something else than what is wanted. */
    public static ApiException wrong(String field, JsonNode found, String wanted) {
        String is = found.isMissingNode() ? "missing" : ApiError.shortened(found.toString());
        return bad(field, "is " + is + ", must be " + wanted);
    }

    /** Refuses a field, unless it is null or empty. */
    public static void refuse(String field, JsonNode value, String why) {
        if (!value.isNull() && !(value.isContainerNode() && value.isEmpty())) {
            throw bad(field, "is given, must be left out: " + why);
        }
    }

    /** A text that must be there. */
    public static String string(JsonNode object, String member, String field) {
        JsonNode value = object.path(member);
        if (!value.isTextual()) {
            throw wrong(field + "." + member, value, "a string");
        }
        return value.asText();
    }
}
