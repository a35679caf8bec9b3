package io.weft.architecture.broken.plan.step;

import io.weft.architecture.broken.model.Weights;

public record PlanOverWeights(Weights weights) {}
