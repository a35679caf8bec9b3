package io.weft.api.http;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;

/** A field of the wrong type whose message names field, value and limit already: clients see it as it is. */
public final class FieldMismatchException extends MismatchedInputException {
    /** @param message for clients */
    public FieldMismatchException(JsonParser json, String message) {
        super(json, message);
    }
}
