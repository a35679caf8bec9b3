package io.weft.architecture.broken.plan.step;

import io.weft.architecture.broken.model.Dimensions;
import java.nio.file.Path;

public record PlanReadsFiles(Dimensions dimensions, Path file) {}
