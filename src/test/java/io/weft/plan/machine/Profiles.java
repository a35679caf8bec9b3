package io.weft.plan.machine;

import io.weft.model.Encoding;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** Machines for the tests of planning. */
public final class Profiles {
    private static final long SIZE_MAX = 1L << 40;

    /** The most groups of layers that a geometry of the tests has; they cost the same. */
    private static final int GROUPS = 3;

    private Profiles() {}

    /** A machine whose every cost is a fixed part and a rate. */
    public static HardwareProfile machine(double linkNanosPerByte, double recomputeNanosPerToken, double otherFactor) {
        return new HardwareProfile(
                "test machine",
                Curve.linear(0, linkNanosPerByte, SIZE_MAX),
                Curve.linear(0, linkNanosPerByte, SIZE_MAX),
                Curve.linear(0, linkNanosPerByte / 20, SIZE_MAX),
                Curve.linear(0, 2 * otherFactor, SIZE_MAX),
                Collections.nCopies(
                        GROUPS,
                        new LayerCurves(
                                Curve.linear(0, 20 * otherFactor, SIZE_MAX),
                                Curve.linear(0, otherFactor, SIZE_MAX),
                                Curve.linear(0, otherFactor, SIZE_MAX),
                                Curve.linear(0, otherFactor / 2, SIZE_MAX),
                                Curve.linear(0, 50 * otherFactor, SIZE_MAX))),
                Curve.linear(0, recomputeNanosPerToken, SIZE_MAX),
                List.of(),
                0,
                Curve.linear(0, 30 * otherFactor, SIZE_MAX),
                0,
                0,
                0,
                0,
                1,
                Curve.linear(0, 0, SIZE_MAX));
    }

    /** The same machine with other figures of what its stages take in steps. */
    public static HardwareProfile inSteps(
            HardwareProfile plain,
            double shortSequenceNanos,
            double stageNanos,
            double linkContentionFactor,
            Curve graphGain) {
        return new HardwareProfile(
                plain.device(),
                plain.linkIn(),
                plain.linkOut(),
                plain.deviceCopy(),
                plain.embed(),
                plain.layers(),
                plain.keyValues(),
                plain.codes(),
                shortSequenceNanos,
                plain.head(),
                plain.launchNanos(),
                plain.handoffNanos(),
                plain.pauseNanos(),
                stageNanos,
                linkContentionFactor,
                graphGain);
    }

    /** The same machine with figures such as an H100's, which a data sheet does not tell. */
    public static HardwareProfile measured(HardwareProfile plain) {
        return inSteps(plain, 400, 3_000, 1.07, plain.graphGain());
    }

    /** The same machine with random hand-offs: what its lanes and stages wait for one another. */
    public static HardwareProfile withHandoffs(HardwareProfile plain, Random random) {
        HardwareProfile waiting = inSteps(
                plain,
                random.nextInt(2_000),
                random.nextInt(20_000),
                1 + random.nextDouble(),
                Curve.linear(random.nextInt(20_000), 0, SIZE_MAX));
        return new HardwareProfile(
                waiting.device(),
                waiting.linkIn(),
                waiting.linkOut(),
                waiting.deviceCopy(),
                waiting.embed(),
                waiting.layers(),
                waiting.keyValues(),
                waiting.codes(),
                waiting.shortSequenceNanos(),
                waiting.head(),
                random.nextInt(10_000),
                random.nextInt(20_000),
                random.nextInt(100_000),
                waiting.stageNanos(),
                waiting.linkContentionFactor(),
                waiting.graphGain());
    }

    /** A machine with random curves. */
    public static HardwareProfile random(Random random) {
        return new HardwareProfile(
                "random machine",
                CurveTest.random(random),
                CurveTest.random(random),
                CurveTest.random(random),
                CurveTest.random(random),
                Collections.nCopies(
                        GROUPS,
                        new LayerCurves(
                                CurveTest.random(random),
                                CurveTest.random(random),
                                CurveTest.random(random),
                                CurveTest.random(random),
                                CurveTest.random(random))),
                CurveTest.random(random),
                Stream.of(Encoding.values())
                        .filter(Encoding::isCoded)
                        .map(encoding -> new CodeCurves(encoding, CurveTest.random(random), CurveTest.random(random)))
                        .toList(),
                random.nextInt(100),
                CurveTest.random(random),
                random.nextInt(100),
                random.nextInt(100),
                random.nextInt(100),
                random.nextInt(10),
                1 + random.nextDouble(),
                Curve.linear(random.nextInt(10), 0, SIZE_MAX));
    }
}
