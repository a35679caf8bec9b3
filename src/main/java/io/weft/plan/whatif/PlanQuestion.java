package io.weft.plan.whatif;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.ModelDimensions;
import io.weft.model.WeightBits;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.HardwareSpec;
import io.weft.plan.machine.Machine;
import io.weft.plan.step.StagingLayout;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * A {@link WhatIf} in a user's words. Missing values are those of the machine.
 *
 * @param batch sequences
 * @param contextTokens cached tokens of each
 * @param deviceBytes device memory for everything
 * @param hostBytes host memory
 * @param linkBytesPerSecond rate of large copies, each way
 * @param flopsPerSecond rate of dense matrix products; only for a machine that is known by its data sheet
 * @param forms that may be used, by label; all of the policy if empty
 */
public record PlanQuestion(
        int batch,
        int contextTokens,
        OptionalLong deviceBytes,
        OptionalLong hostBytes,
        OptionalDouble linkBytesPerSecond,
        OptionalDouble flopsPerSecond,
        List<String> forms) {
    /** Bounds of a question. */
    public static final long MEMORY_BYTES_MOST = 1L << 50;

    public static final int LINK_GIGABYTES_PER_SECOND_MOST = 10_000;
    public static final int TERAFLOPS_MOST = 100_000;

    /** Cells of attention's grid on a GPU, unless set: such that one fills a block of threads. */
    public static final int GPU_CELL_TOKENS = 256;

    /** Blocks of the cache, unless set. */
    private static final int BLOCK_TOKENS = 16;

    private static final int ELEMENT_BYTES = 2;

    public PlanQuestion {
        forms = List.copyOf(forms);
    }

    /** The default geometry of a model's exact cache on a GPU, the same as the service's. */
    public static CacheGeometry usualGeometry(ModelDimensions model) {
        return new CacheGeometry(model, ELEMENT_BYTES, BLOCK_TOKENS, GPU_CELL_TOKENS);
    }

    /**
     * The forms with some names, which blocks may have under a policy.
     *
     * @throws IllegalArgumentException naming the first other name
     */
    public static Set<CacheForm> forms(List<String> labels, CachePolicy policy) {
        return labels.stream().map(label -> form(label, policy)).collect(Collectors.toCollection(TreeSet::new));
    }

    /**
     * The question about a model on a machine.
     *
     * @throws IllegalArgumentException naming what is wrong, and what would be right
     */
    public WhatIf about(CacheGeometry geometry, WeightBits weights, Machine machine) {
        long device = deviceBytes.orElse(machine.deviceBytes());
        return new WhatIf(
                changed(machine).profile(geometry, weights),
                machine instanceof Machine.Measured,
                geometry,
                weights,
                batch,
                contextTokens,
                device,
                hostBytes.orElse(machine.hostBytes()),
                StagingLayout.usualBytes(geometry, batch, contextTokens, device),
                chosenForms(geometry.policy()));
    }

    /**
     * The question beside a service.
     *
     * @param served what it runs: its machine is meant where none is named, its model likewise
     * @param other another model
     * @param hardware another machine
     * @param encoding another cache policy
     * @throws IllegalArgumentException naming what is wrong, and what would be right
     */
    public WhatIf beside(
            WhatIf served, Optional<ModelDimensions> other, Optional<String> hardware, Optional<String> encoding) {
        CachePolicy policy =
                encoding.map(CachePolicy::ofLabel).orElse(served.geometry().policy());
        WeightBits weights = other.isEmpty() ? served.weights() : WeightBits.PLAIN;
        if (hardware.isEmpty()) {
            CacheGeometry own = served.geometry();
            CacheGeometry geometry = other.map(own::of).orElse(own).under(policy);
            return about(
                    geometry,
                    weights,
                    new Machine.Measured(own, served.profile(), served.deviceBytes(), served.hostBytes()));
        }
        CacheGeometry geometry =
                usualGeometry(other.orElse(served.geometry().dimensions())).under(policy);
        return about(
                geometry,
                weights,
                new Machine.Specified(HardwarePreset.of(hardware.get()).spec()));
    }

    private Machine changed(Machine machine) {
        return switch (machine) {
            case Machine.Specified(HardwareSpec spec) -> {
                HardwareSpec link = linkBytesPerSecond.isPresent()
                        ? spec.withLinkBytesPerSecond(linkBytesPerSecond.getAsDouble())
                        : spec;
                yield new Machine.Specified(
                        flopsPerSecond.isPresent() ? link.withFlopsPerSecond(flopsPerSecond.getAsDouble()) : link);
            }
            case Machine.Measured measured -> {
                if (flopsPerSecond.isPresent()) {
                    throw new IllegalArgumentException(
                            "tflops is given, but the machine was measured and not taken from a data sheet: name hardware");
                }
                HardwareProfile profile = measured.profile();
                yield linkBytesPerSecond.isEmpty()
                        ? measured
                        : new Machine.Measured(
                                measured.geometry(),
                                profile.withLinkTimes(profile.linkBytesPerSecond() / linkBytesPerSecond.getAsDouble()),
                                measured.deviceBytes(),
                                measured.hostBytes());
            }
        };
    }

    private Set<CacheForm> chosenForms(CachePolicy policy) {
        return forms.isEmpty() ? new TreeSet<>(policy.forms()) : forms(forms, policy);
    }

    private static CacheForm form(String label, CachePolicy policy) {
        return policy.forms().stream()
                .filter(form -> form.label().equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("forms has \"%s\", must be of %s"
                        .formatted(
                                label,
                                policy.forms().stream().map(CacheForm::label).collect(Collectors.joining(", ")))));
    }
}
