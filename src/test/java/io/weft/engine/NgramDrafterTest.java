package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class NgramDrafterTest {
    private static final int[] LENGTHS = {8, 5, 3, 2};

    /** What the longest n-gram says whose newest occurrence before the end is found by looking everywhere. */
    private static List<Integer> expected(List<List<Integer>> texts, int most) {
        List<Integer> text = texts.getLast();
        for (int length : LENGTHS) {
            if (length > text.size()) {
                continue;
            }
            List<Integer> suffix = text.subList(text.size() - length, text.size());
            for (int t = texts.size() - 1; t >= 0; t--) {
                List<Integer> other = texts.get(t);
                int last = t == texts.size() - 1 ? other.size() - 1 : other.size();
                for (int end = last; end >= length; end--) {
                    if (other.subList(end - length, end).equals(suffix)) {
                        List<Integer> draft = new ArrayList<>();
                        while (draft.size() < most) {
                            int next = end + draft.size();
                            if (next >= other.size() && t < texts.size() - 1) {
                                break;
                            }
                            draft.add(next < other.size() ? other.get(next) : draft.get(next - other.size()));
                        }
                        return draft;
                    }
                }
            }
        }
        return List.of();
    }

    @Test
    void draftsWhatFollowedTheNewestOccurrenceOfTheLongestNgram() {
        Random random = new Random(5);
        for (int round = 0; round < 60; round++) {
            int vocabulary = random.nextInt(1, 12);
            List<Integer> text = random(random, random.nextInt(1, 60), vocabulary);
            NgramDrafter drafter = new NgramDrafter(text, List.of(), random.nextInt(4));
            for (int i = 0; i < 120; i++) {
                int most = random.nextInt(9);
                assertThat(drafter.draft(most)).as("round %d", round).isEqualTo(expected(List.of(text), most));
                int token = random.nextInt(vocabulary);
                drafter.append(token);
                text.add(token);
            }
        }
    }

    @Test
    void anAnswerIsLikelyToBeginAsExpected() {
        NgramDrafter drafter =
                new NgramDrafter(List.of(1, 2, 3, 50, 51, 52, 53, 54, 55, 56, 57, 58), List.of(7, 8, 9, 1, 2, 4), 100);
        assertThat(drafter.draft(3)).containsExactly(7, 8, 9);
        drafter.append(7);
        assertThat(drafter.draft(8)).as("one token says little").isEmpty();
        drafter.append(8);
        assertThat(drafter.draft(8)).as("ends with the expected text").containsExactly(9, 1, 2, 4);
        drafter.append(1);
        drafter.append(2);
        assertThat(drafter.draft(1)).as("newer than the prompt").containsExactly(4);
    }

    @Test
    void anExpectedTextIsOneOfTheTexts() {
        Random random = new Random(6);
        for (int round = 0; round < 40; round++) {
            int vocabulary = random.nextInt(2, 12);
            List<Integer> prompt = random(random, random.nextInt(1, 40), vocabulary);
            List<Integer> likely = random(random, random.nextInt(1, 40), vocabulary);
            NgramDrafter drafter = new NgramDrafter(prompt, likely, 100);
            List<Integer> answer = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                int token = random.nextInt(vocabulary);
                drafter.append(token);
                answer.add(token);
                List<Integer> joined = new ArrayList<>(prompt.subList(Math.max(0, prompt.size() - 8), prompt.size()));
                joined.addAll(answer);
                assertThat(drafter.draft(8))
                        .as("round %d", round)
                        .isEqualTo(expected(List.of(prompt, likely, joined), 8));
            }
        }
    }

    @Test
    void longPromptsTakeTimeInProportion() {
        Random random = new Random(7);
        List<Integer> prompt = random(random, 100_000, 50_000);
        NgramDrafter drafter = new NgramDrafter(prompt, List.of(), 100);
        for (int at : new int[] {0, 17, 50_000, 99_000}) {
            prompt.subList(at, at + 8).forEach(drafter::append);
            assertThat(drafter.draft(8)).isEqualTo(prompt.subList(at + 8, at + 16));
        }
    }

    private static List<Integer> random(Random random, int size, int vocabulary) {
        return new ArrayList<>(IntStream.range(0, size)
                .mapToObj(i -> random.nextInt(vocabulary))
                .toList());
    }
}
