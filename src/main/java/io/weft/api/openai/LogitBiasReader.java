package io.weft.api.openai;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;
import io.weft.engine.SamplingParameters;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** Reads {@code logit_bias}: token ids with a bias each. The first that is wrong, or too many, ends it. */
final class LogitBiasReader extends StdDeserializer<Map<Integer, Double>> {
    private static final long serialVersionUID = 1L;
    private static final String FIELD = "logit_bias";
    private static final double BIAS_MOST = 100;

    LogitBiasReader() {
        super(Map.class);
    }

    @Override
    public Map<Integer, Double> deserialize(JsonParser json, DeserializationContext context) throws IOException {
        if (json.currentToken() != JsonToken.START_OBJECT) {
            throw bad(FIELD, "%s is %s, must be an object.".formatted(FIELD, kind(json.currentToken())));
        }
        Map<Integer, Double> biases = new LinkedHashMap<>();
        for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
            if (biases.size() == SamplingParameters.LOGIT_BIASES_MOST) {
                throw bad(
                        FIELD,
                        "%s is an object of more than %d, must have at most %d."
                                .formatted(
                                        FIELD,
                                        SamplingParameters.LOGIT_BIASES_MOST,
                                        SamplingParameters.LOGIT_BIASES_MOST));
            }
            biases.put(token(name), bias(FIELD + "[" + ApiError.shortened(name) + "]", json));
        }
        return biases;
    }

    private static int token(String name) {
        int token;
        try {
            token = Integer.parseInt(name);
        } catch (NumberFormatException e) {
            throw bad(FIELD, "%s is \"%s\", must be a whole number.".formatted(FIELD, ApiError.shortened(name)));
        }
        if (token < 0) {
            String field = FIELD + "[" + name + "]";
            throw bad(field, "%s is %d, must be greater than or equal to 0.".formatted(field, token));
        }
        return token;
    }

    private static double bias(String field, JsonParser json) throws IOException {
        JsonToken token = json.nextToken();
        if (token == JsonToken.VALUE_NULL) {
            throw bad(field, field + " is missing or null, must be given.");
        }
        if (!token.isNumeric()) {
            throw bad(field, "%s is %s, must be a number.".formatted(field, kind(token)));
        }
        double bias = json.getDoubleValue();
        if (bias > BIAS_MOST) {
            throw bad(field, "%s is %s, must be less than or equal to 100.".formatted(field, bias));
        }
        if (bias < -BIAS_MOST) {
            throw bad(field, "%s is %s, must be greater than or equal to -100.".formatted(field, bias));
        }
        return bias;
    }

    private static String kind(JsonToken token) {
        return switch (token) {
            case START_ARRAY -> "a list";
            case START_OBJECT -> "an object";
            case VALUE_STRING -> "a string";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean";
            default -> "a number";
        };
    }

    private static ApiException bad(String field, String message) {
        return ApiError.badField(field, message).exception();
    }
}
