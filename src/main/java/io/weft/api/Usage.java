package io.weft.api;

import com.fasterxml.jackson.annotation.JsonGetter;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;

/** Tokens of a response; a prompt counts once, however many choices it has. */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record Usage(int promptTokens, int completionTokens) {
    @JsonGetter
    int totalTokens() {
        return promptTokens + completionTokens;
    }
}
