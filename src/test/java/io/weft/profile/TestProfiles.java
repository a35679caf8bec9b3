package io.weft.profile;

import io.weft.model.Encoding;
import io.weft.plan.machine.CodeCurves;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.Curve.Point;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.LayerCurves;
import java.util.List;

/** Profiles of no machine in particular. */
final class TestProfiles {
    private TestProfiles() {}

    static HardwareProfile small() {
        Curve curve = new Curve(List.of(new Point(1, 10.25), new Point(1 << 20, 1e6 / 3)));
        return new HardwareProfile(
                "small",
                curve,
                curve,
                curve,
                curve,
                List.of(new LayerCurves(curve, curve, curve, curve, curve)),
                curve,
                List.of(new CodeCurves(Encoding.PACKED_KEY_VALUE, curve, curve)),
                0.5,
                curve,
                1,
                2.5,
                3,
                4,
                1.5,
                curve);
    }
}
