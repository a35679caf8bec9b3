package io.weft.api.http;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.type.LogicalType;
import io.quarkus.jackson.ObjectMapperCustomizer;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.whatif.PlanExplanation;
import jakarta.inject.Singleton;

/** JSON is read as it is written: no number for a string, no string for a number. Unknown fields are ignored. */
@Singleton
class JsonRules implements ObjectMapperCustomizer {
    @Override
    public void customize(ObjectMapper json) {
        json.disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, DeserializationFeature.ACCEPT_FLOAT_AS_INT);
        json.enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
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
}
