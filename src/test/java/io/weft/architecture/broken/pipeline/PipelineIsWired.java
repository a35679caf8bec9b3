package io.weft.architecture.broken.pipeline;

import jakarta.validation.constraints.Positive;

public record PipelineIsWired(@Positive int slots) {}
