package io.weft.api.http;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonParser.NumberType;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.BeanDescription;
import com.fasterxml.jackson.databind.DeserializationConfig;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.deser.BeanDeserializerBase;
import com.fasterxml.jackson.databind.deser.BeanDeserializerModifier;
import com.fasterxml.jackson.databind.deser.DeserializationProblemHandler;
import com.fasterxml.jackson.databind.deser.std.DelegatingDeserializer;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.type.MapType;
import com.fasterxml.jackson.databind.util.NameTransformer;
import io.quarkus.jackson.ObjectMapperCustomizer;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.whatif.PlanExplanation;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.util.Set;

/** Reads JSON strictly: no number for a string, no string for a number. Unknown fields are ignored. */
@Singleton
class JsonRules implements ObjectMapperCustomizer {
    private static final Set<Class<?>> SCALARS =
            Set.of(Integer.class, Long.class, Double.class, Boolean.class, String.class);

    @Override
    public void customize(ObjectMapper json) {
        json.disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
        json.enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
        json.registerModule(new SimpleModule().setDeserializerModifier(new AsWrittenEverywhere()));
        json.addHandler(new NoLists());
        for (Class<?> type : new Class<?>[] {
            PlanExplanation.class,
            PlanExplanation.MemoryParts.class,
            PlanExplanation.MissingMemory.class,
            PlanExplanation.Alternative.class,
            HardwareProfile.class
        }) {
            json.addMixIn(type, SnakeCased.class);
        }
    }

    /** Names of records that know nothing of JSON. */
    @JsonNaming(SnakeCaseStrategy.class)
    private interface SnakeCased {}

    private static InvalidFormatException wrong(JsonParser json, Object found, Class<?> wanted) {
        return InvalidFormatException.from(json, "not written as its type", found, wanted);
    }

    /**
     * Reads a scalar or an object only if it is written as one. What was found instead goes into the exception, which
     * Jackson's own often have in their messages alone: the value of a string or a number, the token of anything else.
     */
    private static final class AsWritten extends DelegatingDeserializer {
        private static final long serialVersionUID = 1L;

        AsWritten(JsonDeserializer<?> reader) {
            super(reader);
        }

        @Override
        protected JsonDeserializer<?> newDelegatingInstance(JsonDeserializer<?> reader) {
            return new AsWritten(reader);
        }

        /** What is unwrapped is no object where it is read. */
        @Override
        @SuppressWarnings("unchecked") // as the overridden one has it
        public JsonDeserializer<Object> unwrappingDeserializer(NameTransformer names) {
            return (JsonDeserializer<Object>) getDelegatee().unwrappingDeserializer(names);
        }

        @Override
        public Object deserialize(JsonParser json, DeserializationContext context) throws IOException {
            if (!isAsWritten(json, handledType())) {
                throw wrong(json, found(json), handledType());
            }
            return super.deserialize(json, context);
        }

        private static boolean isAsWritten(JsonParser json, Class<?> type) throws IOException {
            return switch (json.currentToken()) {
                case VALUE_STRING -> type == String.class;
                case VALUE_NUMBER_FLOAT -> type == Double.class;
                case VALUE_NUMBER_INT ->
                    type == Double.class || ((type == Integer.class || type == Long.class) && fits(json, type));
                case VALUE_TRUE, VALUE_FALSE -> type == Boolean.class;
                case START_OBJECT, FIELD_NAME, END_OBJECT -> !SCALARS.contains(type);
                case START_ARRAY, END_ARRAY -> false;
                case VALUE_NULL, NOT_AVAILABLE, VALUE_EMBEDDED_OBJECT -> true;
            };
        }

        private static boolean fits(JsonParser json, Class<?> type) throws IOException {
            NumberType number = json.getNumberType();
            return number == NumberType.INT || (number == NumberType.LONG && type == Long.class);
        }

        private static Object found(JsonParser json) throws IOException {
            return switch (json.currentToken()) {
                case VALUE_STRING -> json.getText();
                case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> json.getNumberValue();
                case JsonToken other -> other;
            };
        }
    }

    private static final class AsWrittenEverywhere extends BeanDeserializerModifier {
        private static final long serialVersionUID = 1L;

        @Override
        public JsonDeserializer<?> modifyDeserializer(
                DeserializationConfig config, BeanDescription bean, JsonDeserializer<?> reader) {
            return reader instanceof BeanDeserializerBase || SCALARS.contains(reader.handledType())
                    ? new AsWritten(reader)
                    : reader;
        }

        @Override
        public JsonDeserializer<?> modifyMapDeserializer(
                DeserializationConfig config, MapType type, BeanDescription bean, JsonDeserializer<?> reader) {
            return new AsWritten(reader);
        }
    }

    /** The same for what should be a list. A single value may stand for one, so that Jackson has to find out. */
    private static final class NoLists extends DeserializationProblemHandler {
        @Override
        public Object handleUnexpectedToken(
                DeserializationContext context, JavaType wanted, JsonToken token, JsonParser json, String message)
                throws IOException {
            throw wrong(json, token, wanted.getRawClass());
        }
    }
}
