package io.weft.cli;

import io.weft.app.Settings;
import io.weft.device.ElementType;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelDimensions;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.Machine;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.profile.ProfileStore;
import io.weft.profile.ProfileStore.StoredProfile;
import java.nio.file.Path;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The machine of a question.
 *
 * @param geometry of the model's cache there
 * @param machine its memory and times
 * @param source whence it is known, and since when
 * @param remarks on what is assumed
 */
record KnownMachine(CacheGeometry geometry, Machine machine, String source, List<String> remarks) {
    /** The machine if none is named and this one was not measured. */
    private static final HardwarePreset DEFAULT = HardwarePreset.H200;

    private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm z", Locale.ROOT);

    KnownMachine {
        remarks = List.copyOf(remarks);
    }

    /** This machine as it was measured with the model; if it was not, one by its public figures. */
    static KnownMachine here(ModelDimensions model) {
        return new ProfileStore(Settings.current().machine().profileDirectory())
                .newest(model)
                .map(stored -> new KnownMachine(
                        asSet(stored.geometry(), model),
                        measured(stored),
                        "measured here " + date(stored) + " (weft profile measures again)",
                        List.of()))
                .orElseGet(() -> named(
                        model,
                        DEFAULT,
                        List.of("no machine was named, and none was measured here with this model (weft profile does):"
                                + " the figures are those of " + DEFAULT.label())));
    }

    /** A machine by its public figures. */
    static KnownMachine named(ModelDimensions model, HardwarePreset preset) {
        return named(model, preset, List.of());
    }

    private static KnownMachine named(ModelDimensions model, HardwarePreset preset, List<String> remarks) {
        Settings.Cache cache = Settings.current().cache();
        CacheGeometry geometry = cache.geometry(model, ElementType.BF16, PlanQuestion.GPU_CELL_TOKENS);
        return new KnownMachine(
                geometry, new Machine.Specified(preset.spec()), "public figures of " + preset.label(), remarks);
    }

    /** The machine of a file. */
    static KnownMachine ofFile(Path file, StoredProfile stored, ModelDimensions model) {
        return new KnownMachine(
                asSet(stored.geometry(), model),
                measured(stored),
                "file " + file + ", measured " + date(stored),
                List.of());
    }

    /** The measured geometry for a model; if it was measured under another policy than is set, that of the settings. */
    private static CacheGeometry asSet(CacheGeometry measured, ModelDimensions model) {
        Settings.Cache cache = Settings.current().cache();
        return measured.policy() == cache.encoding().policy()
                ? measured.of(model)
                : cache.geometry(model, measured.elementType(), PlanQuestion.GPU_CELL_TOKENS);
    }

    /**
     * The remarks of a question that leaves host memory to the machine.
     *
     * @param before what is put before the remark on it
     */
    List<String> remarks(String before) {
        List<String> all = new ArrayList<>(remarks);
        if (machine instanceof Machine.Specified) {
            all.add(before + Machine.USUAL_HOST_BYTES / 1_000_000_000L + " GB are assumed");
        }
        return all;
    }

    private static Machine measured(StoredProfile stored) {
        return new Machine.Measured(stored.geometry(), stored.profile(), stored.deviceBytes(), stored.hostBytes());
    }

    /** In the time of this machine, where people know when they did what. */
    private static String date(StoredProfile stored) {
        return DATE.format(stored.measuredAt().atZone(ZoneId.systemDefault()));
    }
}
