package io.weft.check;

import io.weft.device.Device;
import java.util.function.Consumer;

/**
 * Runs every kernel of a device, family by family: against the {@linkplain Reference formulas in double precision}, on
 * inputs that the device holds exactly, and against itself if bits must not depend on how work is divided.
 */
public final class KernelChecks {
    private KernelChecks() {}

    /**
     * Runs all checks. Takes 192 MiB of device and host memory of each device, and some for weights.
     *
     * @param reference a device that must choose the same tokens, and make the same codes of blocks, as the tested one
     * @param tested the device to check; may be of the same kind
     * @param extent the sizes to check
     * @param results receives the result of each check
     */
    public static void run(Device reference, Device tested, Extent extent, Consumer<CheckResult> results) {
        CheckBench bench = new CheckBench(tested, extent, results);
        Workbench referenceBench = new Workbench(reference);
        new CopyChecks(bench).run();
        new GraphChecks(bench).run();
        new EmbeddingChecks(bench).run();
        new PointwiseChecks(bench).run();
        new PositionChecks(bench).run();
        new ChoiceChecks(bench, referenceBench).run();
        new MatrixChecks(bench).run();
        new ExpertChecks(bench).run();
        new QuantisedChecks(bench).run();
        new AttentionChecks(bench).run();
        new BlockChecks(bench, referenceBench).run();
    }
}
