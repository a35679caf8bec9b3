package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.plan.placement.PlacementProgramme.Row;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PlacementProgrammeTest {
    /** What the numbers of a programme are like. */
    private enum Numbers {
        /** Small integers: many ties, and many budgets that are used up to the last byte. */
        SMALL {
            @Override
            double amount(Random random) {
                return random.nextInt(7);
            }

            @Override
            double budget(Random random, double all) {
                return random.nextInt(1 + (int) all);
            }
        },
        /** As they are: microseconds and megabytes of a token, terabytes of memory. */
        LARGE {
            @Override
            double amount(Random random) {
                return random.nextDouble() * 1e6;
            }

            @Override
            double budget(Random random, double all) {
                return random.nextInt(3) == 0 ? 1e15 : random.nextDouble() * all;
            }
        },
        /** Of any size: routes, lanes and memories that differ by four orders of magnitude. */
        ANY {
            @Override
            double amount(Random random) {
                return random.nextInt(8) == 0 ? 0 : Math.pow(10, random.nextDouble(0, 4));
            }

            @Override
            double budget(Random random, double all) {
                return random.nextInt(4) == 0 ? 1e18 : all * Math.pow(10, random.nextDouble(-4, 0));
            }
        };

        /** Of a token. */
        abstract double amount(Random random);

        /** Of all tokens, if each took the {@code all}th part of it. */
        abstract double budget(Random random, double all);
    }

    /** Routes use one of two memories each, a few of them both. */
    private static PlacementProgramme random(Random random, Numbers numbers, int routes, int lanes) {
        long tokens = numbers == Numbers.SMALL ? 1 + random.nextInt(8) : 1 + random.nextInt(1 << 20);
        boolean[] onFirst = new boolean[routes];
        for (int i = 0; i < routes; i++) {
            onFirst[i] = random.nextBoolean();
        }
        double[] first = amounts(random, numbers, routes);
        double[] second = amounts(random, numbers, routes);
        for (int i = 0; i < routes; i++) {
            boolean both = random.nextInt(10) == 0;
            first[i] = onFirst[i] || both ? first[i] : 0;
            second[i] = onFirst[i] && !both ? 0 : second[i];
        }
        return new PlacementProgramme(
                tokens,
                IntStream.range(0, lanes)
                        .mapToObj(lane -> new Row(
                                amounts(random, numbers, routes), tokens * numbers.amount(random) * random.nextInt(2)))
                        .toList(),
                List.of(
                        new Row(first, numbers.budget(random, tokens * mean(first))),
                        new Row(second, numbers.budget(random, tokens * mean(second)))));
    }

    private static double[] amounts(Random random, Numbers numbers, int routes) {
        return IntStream.range(0, routes)
                .mapToDouble(route -> numbers.amount(random))
                .toArray();
    }

    private static double mean(double[] values) {
        return Arrays.stream(values).average().orElseThrow();
    }

    private static void requireBest(PlacementProgramme programme, Numbers numbers) {
        double[] expected = Corners.best(programme);
        double[] actual = programme.best();
        if (expected == null || actual == null) {
            assertThat(actual).as("%s", programme).isEqualTo(expected);
            return;
        }
        double nanos = programme.nanos(expected);
        assertThat(programme.nanos(actual)).as("%s", programme).isCloseTo(nanos, within(5e-7 * nanos));
        assertThat(programme.leastNanos().orElseThrow()).isCloseTo(nanos, within(5e-7 * nanos));
        assertThat(Arrays.stream(actual).sum()).isCloseTo(programme.tokens(), within(1e-7 * programme.tokens()));
        for (Row memory : programme.memories()) {
            // Where routes differ by four orders of magnitude, steps within a ten-millionth differ much in memory.
            double tolerance = numbers == Numbers.ANY ? 1 : 1e-5;
            assertThat(memory.sum(actual))
                    .as("%s, %s", Arrays.toString(actual), Arrays.toString(expected))
                    .isCloseTo(memory.sum(expected), within(tolerance * programme.tokens() * memory.largest()));
            assertThat(memory.sum(actual))
                    .isLessThanOrEqualTo(memory.constant() + 1e-9 * programme.tokens() * memory.largest());
        }
    }

    @ParameterizedTest
    @EnumSource
    void theBestOfEightRoutesAndFourLanesIsTheBestOfAllCorners(Numbers numbers) {
        Random random = new Random(1);
        int fitting = 0;
        int placements = 150;
        for (int i = 0; i < placements; i++) {
            PlacementProgramme programme = random(random, numbers, 8, 4);
            requireBest(programme, numbers);
            fitting += programme.best() == null ? 0 : 1;
        }
        assertThat(fitting).isBetween(placements / 10, placements);
    }

    @ParameterizedTest
    @EnumSource
    void theBestOfAFewRoutesAndLanesIsTheBestOfAllCorners(Numbers numbers) {
        Random random = new Random(2);
        for (int i = 0; i < 1000; i++) {
            requireBest(random(random, numbers, 1 + random.nextInt(5), 1 + random.nextInt(4)), numbers);
        }
    }

    /** Whole tokens: of all ways to divide a few tokens among the routes, the best, however it ties with others. */
    @Test
    void theBestWholePlacementOfEightRoutesAndFourLanesIsTheBestOfAll() {
        Random random = new Random(3);
        int fitting = 0;
        int placements = 150;
        for (int i = 0; i < placements; i++) {
            PlacementProgramme programme = random(random, Numbers.SMALL, 8, 4);
            double[] expected = bruteForce(programme, new double[8], 0, programme.tokens(), null);
            double[] actual = programme.bestWhole();
            assertThat(actual == null).as("%s", programme).isEqualTo(expected == null);
            if (actual != null) {
                fitting++;
                assertThat(actual)
                        .containsOnly(Arrays.stream(actual).map(Math::rint).toArray());
                assertThat(Arrays.stream(actual).sum()).isEqualTo(programme.tokens());
                assertThat(programme.nanos(actual)).as("%s", programme).isEqualTo(programme.nanos(expected));
                for (Row memory : programme.memories()) {
                    assertThat(memory.sum(actual)).as("%s", programme).isEqualTo(memory.sum(expected));
                    assertThat(memory.sum(actual)).isLessThanOrEqualTo(memory.constant());
                }
            }
        }
        assertThat(fitting).isBetween(placements / 10, placements);
    }

    /** The best of all x that begin like {@code x}, with {@code left} tokens on the routes from {@code route} on. */
    private static double[] bruteForce(PlacementProgramme programme, double[] x, int route, long left, double[] best) {
        if (route == x.length - 1) {
            x[route] = left;
            boolean fits = programme.memories().stream().allMatch(memory -> memory.sum(x) <= memory.constant());
            return fits && (best == null || Corners.compare(programme, x, best) < 0) ? x.clone() : best;
        }
        double[] found = best;
        for (long tokens = 0; tokens <= left; tokens++) {
            x[route] = tokens;
            found = bruteForce(programme, x, route + 1, left - tokens, found);
        }
        return found;
    }
}
