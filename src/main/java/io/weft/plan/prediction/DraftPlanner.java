package io.weft.plan.prediction;

import io.weft.model.CacheForm;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.IntToDoubleFunction;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * How much of their drafts the sequences of a decode step check: as much as gives most tokens in a step's time. While a
 * step waits for the link, rows are free. Where the device decides, each costs something, and the first one also what a
 * captured graph gains. Belongs to the thread that plans.
 *
 * <p>Nothing is spent on finding out whether drafts pay: {@link DraftAcceptance} also counts those that were not
 * checked.
 */
public final class DraftPlanner {
    /** What drafts gain at least: predictions are no better, and a draft costs the host something. */
    private static final double GAIN_LEAST = 1.02;
    /** A row that is right more seldom is not run, even if it were free. */
    private static final double PROBABILITY_LEAST = 1.0 / 32;
    /** The most kinds of steps whose times are kept. */
    private static final int KINDS_MOST = 64;

    private final CostModel costs;
    private final Function<StepShape, StepPlanner> planners;
    /** The least recently used kind comes first. */
    private final Map<Kind, Times> times = new LinkedHashMap<>(16, 0.75f, true);

    /**
     * @param costs of stages
     * @param planners gives the planner of steps like one
     */
    public DraftPlanner(CostModel costs, Function<StepShape, StepPlanner> planners) {
        this.costs = costs;
        this.planners = planners;
    }

    /**
     * The draft of a sequence.
     *
     * @param tokens of it, from 0 to {@value DraftAcceptance#TOKENS_MOST}
     * @param acceptance what is known of drafts of the sequence
     */
    public record Offer(int tokens, DraftAcceptance acceptance) {
        public Offer {
            if (tokens < 0 || tokens > DraftAcceptance.TOKENS_MOST) {
                throw new IllegalArgumentException(
                        "a draft has " + tokens + " tokens, must have from 0 to " + DraftAcceptance.TOKENS_MOST);
            }
        }
    }

    /**
     * Steps whose figures are about equal, up to half an octave: the time of their rows is about equal too.
     *
     * @param blocks full blocks, by form
     */
    private record Kind(int sequences, int tokens, Map<CacheForm, Integer> blocks) {
        static Kind of(StepShape shape, int blockTokens) {
            long tokens = 0;
            Map<CacheForm, Integer> blocks = new TreeMap<>();
            for (SequenceShape sequence : shape.sequences()) {
                tokens += sequence.cachedTokens(blockTokens);
                sequence.closed().forEach(form -> blocks.merge(form, 1, Integer::sum));
            }
            blocks.replaceAll((form, count) -> halfOctave(count));
            return new Kind(halfOctave(shape.sequences().size()), halfOctave(tokens), blocks);
        }

        private static int halfOctave(long value) {
            return value == 0 ? 0 : 1 + (int) Math.round(2 * Math.log((double) value) / Math.log(2));
        }
    }

    /**
     * How many tokens of their drafts the sequences check.
     *
     * @param decode the step without drafts, if it matters
     * @param offers of its sequences
     * @param most tokens of all together
     * @return for each sequence, at most what it offers
     */
    public List<Integer> lengths(Supplier<StepShape> decode, List<Offer> offers, int most) {
        return lengths(offers, most, new IntToDoubleFunction() {
            private @Nullable Times known;

            @Override
            public double applyAsDouble(int drafted) {
                Times ofKind = known == null ? times(decode.get()) : known;
                known = ofKind;
                return ofKind.nanos(drafted);
            }
        });
    }

    /**
     * The same for known times. The likeliest tokens come first, so for each number of them these are the best, and the
     * number with most tokens a time is chosen.
     *
     * @param nanos the time of a step with so many drafted tokens
     */
    static List<Integer> lengths(List<Offer> offers, int most, IntToDoubleFunction nanos) {
        List<Token> likeliest = likeliest(offers, most);
        double expectedTokens = offers.size();
        double all = expectedTokens
                + likeliest.stream().mapToDouble(Token::probability).sum();
        int[] lengths = new int[offers.size()];
        // Even if they were free. Then nothing need be simulated.
        if (all >= GAIN_LEAST * expectedTokens) {
            double best = GAIN_LEAST * expectedTokens / nanos.applyAsDouble(0);
            int chosen = 0;
            for (int drafted = 1; drafted <= likeliest.size(); drafted++) {
                expectedTokens += likeliest.get(drafted - 1).probability();
                double rate = expectedTokens / nanos.applyAsDouble(drafted);
                if (rate > best) {
                    best = rate;
                    chosen = drafted;
                }
            }
            likeliest.subList(0, chosen).forEach(token -> lengths[token.sequence()]++);
        }
        return Arrays.stream(lengths).boxed().toList();
    }

    /**
     * A token of a draft.
     *
     * @param place in the draft
     * @param probability that it and all before it are right
     */
    private record Token(int sequence, int place, double probability) {
        static Token of(List<Offer> offers, int sequence, int place) {
            return new Token(sequence, place, offers.get(sequence).acceptance().probability(place));
        }
    }

    /** The likeliest first; of one draft, each after the one before it. */
    private static List<Token> likeliest(List<Offer> offers, int most) {
        PriorityQueue<Token> next = new PriorityQueue<>(
                Comparator.comparingDouble(Token::probability).reversed().thenComparingInt(Token::sequence));
        for (int i = 0; i < offers.size(); i++) {
            if (offers.get(i).tokens() > 0) {
                next.add(Token.of(offers, i, 0));
            }
        }
        List<Token> likeliest = new ArrayList<>();
        while (likeliest.size() < most && !next.isEmpty() && next.element().probability() >= PROBABILITY_LEAST) {
            Token token = next.remove();
            likeliest.add(token);
            if (token.place() + 1 < offers.get(token.sequence()).tokens()) {
                next.add(Token.of(offers, token.sequence(), token.place() + 1));
            }
        }
        return likeliest;
    }

    private Times times(StepShape decode) {
        Times known = times.computeIfAbsent(Kind.of(decode, costs.geometry().blockTokens()), kind -> new Times(decode));
        if (times.size() > KINDS_MOST) {
            times.remove(times.keySet().iterator().next());
        }
        return known;
    }

    /** The times of steps of one kind by their drafted rows: simulated for a few numbers of them, when asked for. */
    private final class Times {
        private final StepShape decode;
        private final StepPlanner planner;
        private final TreeMap<Integer, Double> simulated = new TreeMap<>();

        Times(StepShape decode) {
            this.decode = decode;
            this.planner = planners.apply(decode);
        }

        /** Between two numbers that are simulated, the time is linear. */
        double nanos(int drafted) {
            int below = simulatedAtMost(drafted);
            if (below == drafted) {
                return at(below);
            }
            int above = next(below);
            return at(below) + (at(above) - at(below)) * (drafted - below) / (above - below);
        }

        /** The largest of 0, 1, 2, 3, 4, 6, 8, 12, 16 and so on. */
        private static int simulatedAtMost(int drafted) {
            int power = Integer.highestOneBit(drafted);
            return drafted >= power + power / 2 ? power + power / 2 : power;
        }

        /** The next of these numbers; {@code number} is one of them. */
        private static int next(int number) {
            int power = Integer.highestOneBit(number);
            return number > power ? 2 * power : power + Math.max(1, power / 2);
        }

        private double at(int drafted) {
            return simulated.computeIfAbsent(drafted, this::simulate);
        }

        private double simulate(int drafted) {
            return costs.stepNanos(planner.plan(drafting(decode, drafted)));
        }
    }

    /** The step with that many drafted tokens, spread evenly. It fills no block, as most steps do not. */
    private StepShape drafting(StepShape decode, int drafted) {
        int blockTokens = costs.geometry().blockTokens();
        List<SequenceShape> sequences = new ArrayList<>();
        int left = drafted;
        for (int i = 0; i < decode.sequences().size(); i++) {
            SequenceShape sequence = decode.sequences().get(i);
            int own = Math.ceilDiv(left, decode.sequences().size() - i);
            left -= own;
            List<CacheForm> closing = sequence.closing().subList(0, 1 / blockTokens);
            sequences.add(new SequenceShape(sequence.closed(), 0, 1 + own, own, closing, List.of()));
        }
        return new StepShape(sequences, HeadShape.tokens(decode.sequences().size() + drafted));
    }
}
