package io.weft.architecture.broken.engine;

import io.weft.architecture.broken.pipeline.PipelineIsWired;
import jakarta.validation.constraints.Positive;

/** Allowed. */
public record EngineIsWired(@Positive int sequences, PipelineIsWired pipeline) {}
