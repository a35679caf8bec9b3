package io.weft.api.http;

import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonParser.NumberType;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.util.JsonParserDelegate;
import com.fasterxml.jackson.databind.BeanDescription;
import com.fasterxml.jackson.databind.BeanProperty;
import com.fasterxml.jackson.databind.DeserializationConfig;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.deser.BeanDeserializerBase;
import com.fasterxml.jackson.databind.deser.BeanDeserializerModifier;
import com.fasterxml.jackson.databind.deser.ContextualDeserializer;
import com.fasterxml.jackson.databind.deser.DeserializationProblemHandler;
import com.fasterxml.jackson.databind.deser.std.DelegatingDeserializer;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.exc.InvalidNullException;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.type.CollectionType;
import com.fasterxml.jackson.databind.type.MapType;
import com.fasterxml.jackson.databind.util.NameTransformer;
import io.quarkus.jackson.ObjectMapperCustomizer;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.whatif.PlanExplanation;
import jakarta.inject.Singleton;
import jakarta.validation.constraints.Size;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads JSON strictly: no number for a string, no string for a number, no null in a list. Unknown fields are ignored.
 * What is too much is refused while it is read, before it costs more: lists and objects that are longer than their
 * {@link Size}, and all that Jackson counts.
 */
@Singleton
class JsonRules implements ObjectMapperCustomizer {
    private static final Set<Class<?>> SCALARS =
            Set.of(Integer.class, Long.class, Double.class, Boolean.class, String.class);

    /** Names and values of a body. The smallest take 50 ns each, unknown ones too. */
    static final int VALUES_MOST = 1 << 19;

    /** Names of a body, which cost more than values: each is looked up among those before. */
    static final int NAMES_MOST = 1 << 16;

    /** Values of fields that have no type here: they are for a chat template, or refused. */
    static final int FREE_VALUES_MOST = 1 << 16;

    static final int LEVELS_MOST = 100;
    /** The time that reading a number takes grows with their square. */
    static final int DIGITS_MOST = 50;

    static final int NAME_CHARACTERS_MOST = 1000;

    /** Elements of a list that says nothing else. */
    private static final int ELEMENTS_MOST = 1024;

    private static final StreamReadConstraints CONSTRAINTS = StreamReadConstraints.builder()
            .maxTokenCount(VALUES_MOST)
            .maxNestingDepth(LEVELS_MOST)
            .maxNumberLength(DIGITS_MOST)
            .maxNameLength(NAME_CHARACTERS_MOST)
            .build();

    /** A length that is above a limit; how far is not known, because the rest is not read. */
    record MoreThan(int most) {}

    @Override
    @SuppressWarnings("deprecation") // the platform makes the factory, so that no builder can
    public void customize(ObjectMapper json) {
        json.disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
        json.enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
        // The JVM's table of strings would take most of the time of a body with many names, and keep them.
        json.getFactory().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).setStreamReadConstraints(CONSTRAINTS);
        json.registerModule(new SimpleModule()
                .setDeserializerModifier(new AsWrittenEverywhere())
                .addDeserializer(Object.class, new FreeValues()));
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
            boolean isBody = json.currentToken() == JsonToken.START_OBJECT
                    && json.getParsingContext().getParent().inRoot();
            return super.deserialize(isBody ? new CountedNames(json) : json, context);
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

    /** Reads an object, and refuses it once it has more names than a body may have. */
    private static final class CountedNames extends JsonParserDelegate {
        private int names;

        CountedNames(JsonParser json) {
            super(json);
        }

        @Override
        public @Nullable JsonToken nextToken() throws IOException {
            JsonToken token = super.nextToken();
            if (token == JsonToken.FIELD_NAME && ++names > NAMES_MOST) {
                throw ApiError.tooManyNames(NAMES_MOST).exception();
            }
            return token;
        }

        @Override
        public JsonParser skipChildren() throws IOException {
            if (currentToken() != null && currentToken().isStructStart()) {
                for (int open = 1; open > 0; ) {
                    JsonToken token = nextToken();
                    open += token == null ? -open : token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
                }
            }
            return this;
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
        public JsonDeserializer<?> modifyCollectionDeserializer(
                DeserializationConfig config, CollectionType type, BeanDescription bean, JsonDeserializer<?> reader) {
            return List.class.isAssignableFrom(type.getRawClass())
                    ? new Elements(type, null, false, ELEMENTS_MOST)
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

    /** Reads a list: no more elements than its {@link Size} allows, none of them null. */
    private static final class Elements extends StdDeserializer<List<Object>> implements ContextualDeserializer {
        private static final long serialVersionUID = 1L;

        private final JavaType type;
        private final transient @Nullable JsonDeserializer<Object> element;
        /** Whether a single value stands for a list of it. */
        private final boolean mayBeSingle;

        private final int most;

        Elements(JavaType type, @Nullable JsonDeserializer<Object> element, boolean mayBeSingle, int most) {
            super(type);
            this.type = type;
            this.element = element;
            this.mayBeSingle = mayBeSingle;
            this.most = most;
        }

        @Override
        public JsonDeserializer<?> createContextual(DeserializationContext context, @Nullable BeanProperty property)
                throws JsonMappingException {
            Size size = property == null ? null : property.getAnnotation(Size.class);
            return new Elements(
                    type,
                    context.findContextualValueDeserializer(type.getContentType(), property),
                    Boolean.TRUE.equals(findFormatFeature(
                            context, property, List.class, JsonFormat.Feature.ACCEPT_SINGLE_VALUE_AS_ARRAY)),
                    size == null ? ELEMENTS_MOST : size.max());
        }

        @Override
        public List<Object> deserialize(JsonParser json, DeserializationContext context) throws IOException {
            List<Object> list = new ArrayList<>();
            if (json.isExpectedStartArrayToken()) {
                while (json.nextToken() != JsonToken.END_ARRAY) {
                    if (list.size() == most) {
                        throw wrong(json, new MoreThan(most), List.class);
                    }
                    add(list, json, context);
                }
            } else if (mayBeSingle) {
                add(list, json, context);
            } else {
                throw wrong(json, json.currentToken(), List.class);
            }
            return list;
        }

        private void add(List<Object> list, JsonParser json, DeserializationContext context) throws IOException {
            try {
                if (json.currentToken() == JsonToken.VALUE_NULL) {
                    throw InvalidNullException.from(context, null, type.getContentType());
                }
                list.add(Objects.requireNonNull(element).deserialize(json, context));
            } catch (IOException | RuntimeException e) {
                throw JsonMappingException.wrapWithPath(e, list, list.size());
            }
        }
    }

    /**
     * Reads a value that may be anything: a text, number or boolean, a list or an object of such. A body may have only
     * so many of them in all.
     */
    private static final class FreeValues extends StdDeserializer<Object> {
        private static final long serialVersionUID = 1L;

        FreeValues() {
            super(Object.class);
        }

        @Override
        public @Nullable Object deserialize(JsonParser json, DeserializationContext context) throws IOException {
            count(context);
            return switch (json.currentToken()) {
                case VALUE_STRING -> json.getText();
                case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> json.getNumberValue();
                case VALUE_TRUE -> true;
                case VALUE_FALSE -> false;
                case START_ARRAY -> list(json, context);
                case START_OBJECT -> object(json, context);
                case VALUE_NULL, VALUE_EMBEDDED_OBJECT, NOT_AVAILABLE, END_ARRAY, END_OBJECT, FIELD_NAME -> null;
            };
        }

        private List<@Nullable Object> list(JsonParser json, DeserializationContext context) throws IOException {
            List<@Nullable Object> list = new ArrayList<>();
            while (json.nextToken() != JsonToken.END_ARRAY) {
                list.add(deserialize(json, context));
            }
            return list;
        }

        private Map<String, @Nullable Object> object(JsonParser json, DeserializationContext context)
                throws IOException {
            Map<String, @Nullable Object> object = new LinkedHashMap<>();
            for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
                json.nextToken();
                object.put(name, deserialize(json, context));
            }
            return object;
        }

        /** The context is that of one body. */
        private static void count(DeserializationContext context) {
            int[] count = (int[]) context.getAttribute(FreeValues.class);
            if (count == null) {
                count = new int[1];
                context.setAttribute(FreeValues.class, count);
            }
            if (++count[0] > FREE_VALUES_MOST) {
                throw ApiError.tooManyValues(FREE_VALUES_MOST).exception();
            }
        }
    }
}
