package io.weft.check;

import io.weft.device.Device;
import io.weft.device.DeviceException;
import io.weft.device.ElementType;
import io.weft.device.Tensor;
import io.weft.device.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/** Shared by the checks of all families: the device, inputs that it holds exactly, and the destination of results. */
final class CheckBench {
    private static final int[] ALL_ROWS = {1, 7, 33, 257};
    /** One row, and tiles of 4 and 6 with 0, 1 and 4 rows over. */
    private static final int[] AWKWARD_ROWS = {1, 4, 6, 8, 10, 13, 25};

    private static final int[] SMALL_ROWS = {7, 33};

    private final Workbench tested;
    private final ElementType type;
    private final Extent extent;
    private final Consumer<CheckResult> results;
    private final SplittableRandom random = new SplittableRandom(20241127);

    CheckBench(Device tested, Extent extent, Consumer<CheckResult> results) {
        this.tested = new Workbench(tested);
        this.type = tested.elementType();
        this.extent = extent;
        this.results = results;
    }

    Workbench tested() {
        return tested;
    }

    Device device() {
        return tested.device();
    }

    /** The element type of the tested device. */
    ElementType type() {
        return type;
    }

    Extent extent() {
        return extent;
    }

    /** The numbers of rows to try. */
    int[] rowCounts() {
        return switch (extent) {
            case ALL -> ALL_ROWS;
            case AWKWARD -> AWKWARD_ROWS;
            case BRIEF, SMALL -> SMALL_ROWS;
        };
    }

    /** Runs a check. One that throws has failed; the others still run. */
    void attempt(String name, Runnable check) {
        try {
            check.run();
        } catch (DeviceException | IllegalArgumentException | IndexOutOfBoundsException e) {
            results.accept(new CheckResult(name + ": " + e, Double.NaN, 0));
        }
    }

    /** Checks a condition. */
    void holds(String name, boolean condition) {
        count(name, condition ? 0 : 1);
    }

    /** Checks that nothing is wrong. */
    void count(String name, int wrong) {
        results.accept(new CheckResult(name, wrong, 0));
    }

    /**
     * Checks values against a reference.
     *
     * @param bound bound of the error, relative to the sizes of the expected values
     */
    void within(String name, double bound, Expected expected, float[] actual) {
        within(name, bound, expected, actual, type);
    }

    /** Checks values of another element type. */
    void within(String name, double bound, Expected expected, float[] actual, ElementType of) {
        results.accept(new CheckResult(name, expected.error(actual, of), bound));
    }

    /** Checks an error that is given as a part of its bound. */
    void within(String name, double part) {
        results.accept(new CheckResult(name, part, 1));
    }

    void sameBits(String name, float[] expected, float[] actual) {
        int different = expected.length == actual.length ? 0 : Integer.MAX_VALUE;
        for (int i = 0; i < Math.min(expected.length, actual.length); i++) {
            if (Float.isNaN(actual[i])) {
                results.accept(new CheckResult(name, Double.NaN, 0));
                return;
            }
            if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(actual[i])) {
                different++;
            }
        }
        count(name, different);
    }

    void sameNumbers(String name, int[] expected, int[] actual) {
        int different = expected.length == actual.length ? 0 : Integer.MAX_VALUE;
        for (int i = 0; i < Math.min(expected.length, actual.length); i++) {
            if (expected[i] != actual[i]) {
                different++;
            }
        }
        count(name, different);
    }

    SplittableRandom random() {
        return random;
    }

    float[] values(int count, double scale) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = Workbench.round(type, (float) (random.nextDouble(-1, 1) * scale));
        }
        return values;
    }

    int[] integers(int count, int below) {
        return random.ints(count, 0, below).toArray();
    }

    int[] permutation(int count) {
        int[] order = new int[count];
        for (int i = 0; i < count; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }

    /** A tensor in the format of a file, in the tested device's element type. */
    Tensor tensor(Arena arena, String name, List<Integer> shape, float[] values) {
        return tensor(arena, name, type, shape, values);
    }

    /** A tensor in the format of a file, in an element type of files. */
    static Tensor tensor(Arena arena, String name, ElementType fileType, List<Integer> shape, float[] values) {
        MemorySegment data = arena.allocate((long) values.length * fileType.bytes(), Float.BYTES);
        for (int i = 0; i < values.length; i++) {
            Workbench.encode(fileType, data, i, values[i]);
        }
        return new TensorView(name, fileType, shape, data);
    }

    /** The elements of a tensor on the tested device: the nearest number of each. */
    float[] elements(Tensor tensor) {
        float[] elements = new float[Math.toIntExact(tensor.elements())];
        for (int i = 0; i < elements.length; i++) {
            elements[i] = Workbench.round(type, tensor.element(i));
        }
        return elements;
    }
}
