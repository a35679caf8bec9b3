package io.weft.api.http;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.deser.DeserializationProblemHandler;
import com.fasterxml.jackson.databind.deser.ValueInstantiator;
import com.fasterxml.jackson.databind.deser.std.NumberDeserializers;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.type.LogicalType;
import io.quarkus.jackson.ObjectMapperCustomizer;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.whatif.PlanExplanation;
import jakarta.inject.Singleton;
import java.io.IOException;

/** JSON is read as it is written: no number for a string, no string for a number. Unknown fields are ignored. */
@Singleton
class JsonRules implements ObjectMapperCustomizer {
    @Override
    public void customize(ObjectMapper json) {
        json.disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, DeserializationFeature.ACCEPT_FLOAT_AS_INT);
        json.enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
        json.addHandler(new WrongValues());
        json.registerModule(new SimpleModule()
                .addDeserializer(Integer.class, new WholeNumbers<>(Integer.class))
                .addDeserializer(Long.class, new WholeNumbers<>(Long.class)));
        refuse(
                json,
                LogicalType.Textual,
                CoercionInputShape.Integer,
                CoercionInputShape.Float,
                CoercionInputShape.Boolean);
        for (LogicalType type : new LogicalType[] {LogicalType.Integer, LogicalType.Float, LogicalType.Boolean}) {
            refuse(json, type, CoercionInputShape.String, CoercionInputShape.EmptyString);
        }
        for (Class<?> type : new Class<?>[] {
            PlanExplanation.class,
            PlanExplanation.MemoryParts.class,
            PlanExplanation.MissingMemory.class,
            PlanExplanation.Alternative.class,
            HardwareProfile.class
        }) {
            json.addMixIn(type, SnakeCased.class);
        }
        refuse(json, LogicalType.Integer, CoercionInputShape.Boolean);
        refuse(json, LogicalType.Boolean, CoercionInputShape.Integer, CoercionInputShape.Float);
    }

    /** Names of records that know nothing of JSON. */
    @JsonNaming(SnakeCaseStrategy.class)
    private interface SnakeCased {}

    private static void refuse(ObjectMapper json, LogicalType type, CoercionInputShape... shapes) {
        for (CoercionInputShape shape : shapes) {
            json.coercionConfigFor(type).setCoercion(shape, CoercionAction.Fail);
        }
    }

    /**
     * Puts what was found in the place of something else into the exception, where Jackson has it in the message alone:
     * the value of a scalar, the token of anything else.
     */
    private static final class WrongValues extends DeserializationProblemHandler {
        @Override
        public Object handleUnexpectedToken(
                DeserializationContext context, JavaType wanted, JsonToken token, JsonParser json, String message)
                throws IOException {
            throw InvalidFormatException.from(json, message, token, wanted.getRawClass());
        }

        @Override
        public Object handleMissingInstantiator(
                DeserializationContext context,
                Class<?> wanted,
                ValueInstantiator instantiator,
                JsonParser json,
                String message)
                throws IOException {
            Object found = switch (json.currentToken()) {
                case VALUE_STRING -> json.getText();
                case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> json.getNumberValue();
                case JsonToken other -> other;
            };
            throw InvalidFormatException.from(json, message, found, wanted);
        }
    }

    /** Whole numbers of a type. The parser's own exception has one that does not fit in its message alone. */
    private static final class WholeNumbers<T extends Number> extends JsonDeserializer<T> {
        private final Class<T> type;
        private final JsonDeserializer<?> standard;

        WholeNumbers(Class<T> type) {
            this.type = type;
            this.standard = NumberDeserializers.find(type, type.getName());
        }

        @Override
        public T deserialize(JsonParser json, DeserializationContext context) throws IOException {
            if (json.hasToken(JsonToken.VALUE_NUMBER_INT) && !fits(json.getNumberType())) {
                throw InvalidFormatException.from(json, "out of range", json.getNumberValue(), type);
            }
            return type.cast(standard.deserialize(json, context));
        }

        private boolean fits(JsonParser.NumberType number) {
            return number == JsonParser.NumberType.INT
                    || (number == JsonParser.NumberType.LONG && type == Long.class);
        }
    }
}
