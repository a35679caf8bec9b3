package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.mutiny.Multi;
import io.weft.engine.GenerationRequest.EndTokens;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whose turn it is. */
class WaitingQueueTest {
    private static final int PROMPT_TOKENS_MOST = 300;
    private static final ServedModel MODEL =
            new ServedModel("m", Instant.EPOCH, 400, 384, Set.of(), new ServedModel.SamplingDefaults(1, 1, 0));

    private final WaitingQueue queue = new WaitingQueue();
    private final Map<ActiveRequest, Integer> costs = new HashMap<>();

    private ActiveRequest request(String client, int promptTokens, int priority) {
        AtomicReference<ActiveRequest> made = new AtomicReference<>();
        Multi.createFrom()
                .<GenerationEvent>emitter(emitter -> made.set(new ActiveRequest(
                        new GenerationRequest(
                                Collections.nCopies(promptTokens, 3),
                                1,
                                SamplingParameters.greedy(),
                                EndTokens.STOP,
                                OptionalInt.empty(),
                                OptionalInt.empty(),
                                new RequestTerms(client, priority, Optional.empty())),
                        MODEL,
                        emitter,
                        0,
                        Optional.empty(),
                        Runnable::run)))
                .subscribe()
                .with(event -> {});
        ActiveRequest request = made.get();
        costs.put(request, promptTokens);
        return request;
    }

    private ActiveRequest add(String client, int promptTokens) {
        ActiveRequest request = request(client, promptTokens, 0);
        queue.add(request);
        return request;
    }

    private ActiveRequest take() {
        ActiveRequest next = queue.next(request -> true).orElseThrow();
        queue.begin(next);
        return next;
    }

    /** A request that has run: its prompt counts. */
    private void run(ActiveRequest request) {
        request.use(costs.get(request));
        queue.count(List.of(request));
        queue.end(request);
    }

    @Test
    void aClientsShortestAndOldestTakeTurns() {
        ActiveRequest oldest = add("a", 300);
        ActiveRequest second = add("a", 200);
        ActiveRequest shortest = add("a", 10);
        ActiveRequest shorter = add("a", 20);
        assertThat(List.of(take(), take(), take(), take())).containsExactly(shortest, oldest, shorter, second);
        assertThat(queue.isEmpty()).isTrue();
    }

    /** The youngest loses its place first, so the one that lost it last is the oldest. */
    @Test
    void whoLostAPlaceComesBeforeAllWhoHadNone() {
        ActiveRequest older = add("a", 10);
        ActiveRequest younger = add("a", 20);
        queue.begin(older);
        queue.begin(younger);
        ActiveRequest newcomer = add("b", 5);
        queue.suspend(younger);
        queue.suspend(older);

        assertThat(queue.oldestSuspended()).containsSame(older);
        assertThat(queue.all()).containsExactly(older, younger, newcomer);
        assertThat(queue.size()).isEqualTo(3);
        assertThat(queue.newcomers()).isEqualTo(1);
        queue.begin(older);
        assertThat(queue.oldestSuspended()).containsSame(younger);
        queue.remove(younger);
        assertThat(queue.contains(younger)).isFalse();
        queue.end(older);
        assertThat(queue.oldestSuspended()).isEmpty();
        assertThat(queue.size()).isEqualTo(1);
    }

    @Test
    void aClientThatComesLaterIsNextAndHasNoCreditFromBefore() {
        for (int i = 0; i < 50; i++) {
            add("many", 100);
        }
        run(take());
        run(take());
        ActiveRequest other = add("one", 100);
        assertThat(take()).isSameAs(other);
        run(other);
        // It was away while the others used tokens: now they are equals again.
        for (int i = 0; i < 20; i++) {
            run(take());
        }
        ActiveRequest back = add("one", 100);
        ActiveRequest backToo = add("one", 100);
        assertThat(List.of(runNext(), runNext(), runNext()))
                .contains(back)
                .satisfies(taken -> assertThat(taken.contains(back) && taken.contains(backToo) && taken.size() == 2)
                        .isFalse());
    }

    private ActiveRequest runNext() {
        ActiveRequest next = take();
        run(next);
        return next;
    }

    /** Clients that always have something waiting get the same, up to one request: the bound of the counters. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void busyClientsGetTheSame(long seed) {
        Random random = new Random(seed);
        int clients = 2 + random.nextInt(4);
        Map<String, Integer> used = new HashMap<>();
        for (int i = 0; i < clients; i++) {
            // Some ask for long prompts only, others for short ones.
            used.put("client " + i, 0);
            refill("client " + i, i, random);
        }
        List<String> names = used.keySet().stream().sorted().toList();
        for (int step = 0; step < 400; step++) {
            ActiveRequest next = take();
            refill(next.client(), names.indexOf(next.client()), random);
            run(next);
            int all = used.merge(next.client(), costs.get(next), Integer::sum);
            assertThat(all - Collections.min(used.values())).isLessThanOrEqualTo(PROMPT_TOKENS_MOST);
        }
    }

    private void refill(String client, int kind, Random random) {
        add(client, 1 + random.nextInt(kind % 2 == 0 ? PROMPT_TOKENS_MOST : 30));
    }

    /** One request after the other is not cheaper than all at once. */
    @Test
    void aMomentWithoutRequestsForgivesNothing() {
        Map<String, Integer> used = new HashMap<>();
        add("one by one", PROMPT_TOKENS_MOST);
        for (int i = 0; i < 300; i++) {
            add("other", 10);
        }
        for (int i = 0; i < 200; i++) {
            ActiveRequest next = runNext();
            used.merge(next.client(), costs.get(next), Integer::sum);
            if (next.client().equals("one by one")) {
                add("one by one", PROMPT_TOKENS_MOST);
            }
        }
        assertThat(used.get("one by one") - used.get("other")).isLessThanOrEqualTo(PROMPT_TOKENS_MOST);
    }

    /** However many shorter ones come. */
    @Test
    void nobodyWaitsForEver() {
        ActiveRequest longest = add("a", PROMPT_TOKENS_MOST);
        add("a", 1);
        List<ActiveRequest> taken = new ArrayList<>();
        while (!taken.contains(longest)) {
            assertThat(taken).hasSizeLessThan(2);
            taken.add(runNext());
            add("a", 1);
            add("a", 1);
        }
    }

    @Test
    void theLowestPriorityGoesFirstWhoeverAsks() {
        ActiveRequest usual = add("a", 1);
        ActiveRequest late = request("b", 1, 3);
        ActiveRequest early = request("b", 200, -7);
        queue.add(late);
        queue.add(early);
        assertThat(List.of(take(), take(), take())).containsExactly(early, usual, late);
    }

    @Test
    void onlyWhatMayRunIsNext() {
        ActiveRequest long1 = add("a", 200);
        ActiveRequest short1 = add("b", 10);
        assertThat(queue.next(request -> request.promptTokens() > 100)).contains(long1);
        assertThat(queue.next(request -> request.promptTokens() < 100)).contains(short1);
        assertThat(queue.next(request -> false)).isEmpty();
    }

    @Test
    void theClientWithMostGivesWayToOneWithFewer() {
        add("a", 1);
        ActiveRequest last = add("a", 1);
        assertThat(queue.displacedBy("b")).contains(last);
        add("b", 1);
        // Else the two would displace each other in turn.
        assertThat(queue.displacedBy("b")).isEmpty();
        assertThat(queue.displacedBy("a")).isEmpty();
        assertThat(queue.displacedBy("c")).contains(last);
    }

    @Test
    void sizeAndContentsFollowWhatComesAndGoes() {
        Random random = new Random(11);
        List<ActiveRequest> waiting = new ArrayList<>();
        List<ActiveRequest> running = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
            switch (random.nextInt(4)) {
                case 0, 1 -> waiting.add(add("client " + random.nextInt(5), 1 + random.nextInt(50)));
                case 2 ->
                    queue.next(request -> true).ifPresent(next -> {
                        queue.begin(next);
                        assertThat(waiting.remove(next)).isTrue();
                        running.add(next);
                    });
                default -> {
                    if (!waiting.isEmpty() && random.nextBoolean()) {
                        queue.remove(waiting.remove(random.nextInt(waiting.size())));
                    } else if (!running.isEmpty()) {
                        queue.end(running.remove(random.nextInt(running.size())));
                    }
                }
            }
            assertThat(queue.size()).isEqualTo(waiting.size());
            assertThat(queue.all()).containsExactlyInAnyOrderElementsOf(waiting);
        }
    }
}
