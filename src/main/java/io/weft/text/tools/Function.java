package io.weft.text.tools;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * A function that a model may call.
 *
 * @param parameters JSON schema of its arguments, an object
 */
public record Function(String name, JsonNode parameters) {}
