package io.weft.plan.machine;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.LongToDoubleFunction;

/**
 * The cost of work by its size, measured at a few sizes. Linear between the points; the first point's cost below it,
 * which is the cost of starting; the last point's rate beyond it. Never falls.
 *
 * @param points by ascending size
 */
public record Curve(List<Point> points) {
    /**
     * One measurement.
     *
     * @param size bytes, tokens, rows or pairs, at least 1
     * @param nanos its duration
     */
    public record Point(long size, double nanos) {
        public Point {
            if (size < 1) {
                throw new IllegalArgumentException("size is " + size + ", must be at least 1");
            }
            if (!(nanos >= 0) || Double.isInfinite(nanos)) {
                throw new IllegalArgumentException("nanos is " + nanos + ", must be finite and not negative");
            }
        }
    }

    public Curve {
        points = List.copyOf(points);
        if (points.isEmpty()) {
            throw new IllegalArgumentException("a curve needs at least one point");
        }
        for (int i = 1; i < points.size(); i++) {
            Point before = points.get(i - 1);
            Point point = points.get(i);
            if (point.size() <= before.size() || point.nanos() < before.nanos()) {
                throw new IllegalArgumentException("points must ascend, but " + point + " follows " + before);
            }
        }
    }

    /**
     * A curve through measurements in any order. More work never takes less time: a measurement that says so is noise,
     * and the cost of the larger size then holds for the smaller one (the running minimum from above).
     */
    public static Curve measured(List<Point> measurements) {
        List<Point> descending = new ArrayList<>(measurements);
        descending.sort(Comparator.comparingLong(Point::size).reversed());
        List<Point> points = new ArrayList<>();
        double least = Double.POSITIVE_INFINITY;
        for (Point point : descending) {
            least = Math.min(least, point.nanos());
            if (points.isEmpty() || points.getFirst().size() != point.size()) {
                points.addFirst(new Point(point.size(), least));
            } else {
                points.set(0, new Point(point.size(), least));
            }
        }
        return new Curve(points);
    }

    /** The curve of a fixed cost and a rate, exact at every size from 1 to {@code sizeMax}. */
    public static Curve linear(double fixedNanos, double nanosPerUnit, long sizeMax) {
        Point first = new Point(1, fixedNanos + nanosPerUnit);
        return sizeMax <= 1
                ? new Curve(List.of(first))
                : new Curve(List.of(first, new Point(sizeMax, fixedNanos + nanosPerUnit * sizeMax)));
    }

    /** The curve of a formula at the powers of two up to {@code sizeMax}. The formula must not fall. */
    public static Curve of(long sizeMax, LongToDoubleFunction nanos) {
        List<Point> points = new ArrayList<>();
        for (long size = 1; size <= sizeMax && size > 0; size *= 2) {
            points.add(new Point(size, nanos.applyAsDouble(size)));
        }
        return new Curve(points);
    }

    /** The cost of {@code size}; 0 for a size of 0. */
    public double nanos(long size) {
        if (size <= 0) {
            return 0;
        }
        Point first = points.getFirst();
        if (size <= first.size()) {
            return first.nanos();
        }
        Point last = points.getLast();
        if (size >= last.size()) {
            return last.nanos() * ((double) size / last.size());
        }
        int above = 1;
        while (points.get(above).size() < size) {
            above++;
        }
        Point from = points.get(above - 1);
        Point to = points.get(above);
        double part = (double) (size - from.size()) / (to.size() - from.size());
        return from.nanos() + part * (to.nanos() - from.nanos());
    }

    /** The least cost of one unit, in pieces of up to {@code sizeMost}; 0 if there is no such piece. */
    public double leastNanosPerUnit(long sizeMost) {
        if (sizeMost <= 0) {
            return 0;
        }
        // Between two points the cost of a unit only rises or only falls, so it is least at one of them.
        double least = nanos(sizeMost) / sizeMost;
        for (Point point : points) {
            if (point.size() < sizeMost) {
                least = Math.min(least, point.nanos() / point.size());
            }
        }
        return least;
    }

    /** The rate at the largest size, in units a second. */
    public double unitsPerSecond() {
        Point last = points.getLast();
        return 1e9 * last.size() / Math.max(last.nanos(), 1e-3);
    }

    /** The curve of the same work, {@code factor} times as slow. */
    public Curve times(double factor) {
        return new Curve(points.stream()
                .map(point -> new Point(point.size(), point.nanos() * factor))
                .toList());
    }
}
