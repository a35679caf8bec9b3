package io.weft.engine;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedSet;
import java.util.function.Predicate;

/**
 * The requests that wait, and whose turn it is. The lowest priority goes first, and of several clients the one that has
 * used the fewest tokens. So a client that asks for much waits for itself and not for others: the virtual token counter
 * of <a href="https://arxiv.org/abs/2401.00588">Fairness in Serving Large Language Models</a>. A client's own requests
 * go in turns, the shortest prompt and then the oldest: a short one soon overtakes many long ones, and none waits for
 * ever.
 *
 * <p>Guarded by the engine's lock.
 */
final class WaitingQueue {
    /** By name: clients with waiting or running requests, and others that have used more than one of these. */
    private final Map<String, Client> clients = new LinkedHashMap<>();

    /** Those that ran and have lost their places, the oldest first; they count as running with their clients. */
    private final SequencedSet<ActiveRequest> suspended = new LinkedHashSet<>();

    /** Of those that have not run yet. */
    private int size;

    private long turns;
    /** What the busy client that has used least has used; one that comes does not begin below it. */
    private long leastUsedTokens;

    private enum Turn {
        SHORTEST,
        OLDEST
    }

    private static final class Client {
        private final SequencedSet<ActiveRequest> waiting = new LinkedHashSet<>();
        private int running;
        private long usedTokens;
        private long lastTurn;
        private Turn turn = Turn.SHORTEST;

        boolean isBusy() {
            return running > 0 || !waiting.isEmpty();
        }

        Optional<ActiveRequest> next(Predicate<ActiveRequest> mayRun) {
            return switch (turn) {
                case SHORTEST ->
                    waiting.stream().filter(mayRun).min(Comparator.comparingInt(ActiveRequest::promptTokens));
                case OLDEST -> waiting.stream().filter(mayRun).findFirst();
            };
        }
    }

    /** All waiting requests, those that have lost their places included. */
    int size() {
        return size + suspended.size();
    }

    /** Those that have not run yet. */
    int newcomers() {
        return size;
    }

    boolean isEmpty() {
        return size() == 0;
    }

    /** All waiting requests. */
    List<ActiveRequest> all() {
        List<ActiveRequest> all = new ArrayList<>(suspended);
        clients.values().forEach(client -> all.addAll(client.waiting));
        return all;
    }

    boolean contains(ActiveRequest request) {
        Client client = clients.get(request.client());
        return suspended.contains(request) || (client != null && client.waiting.contains(request));
    }

    /** A running request waits for its place again. It is younger than those that run, and older than who waits so. */
    void suspend(ActiveRequest request) {
        suspended.addFirst(request);
    }

    /** The oldest of those that have lost their places; no other may run before it. */
    Optional<ActiveRequest> oldestSuspended() {
        return suspended.stream().findFirst();
    }

    /** Adds a request at the end. */
    void add(ActiveRequest request) {
        Client client = clients.computeIfAbsent(request.client(), name -> new Client());
        if (!client.isBusy()) {
            client.usedTokens = Math.max(client.usedTokens, leastUsedTokens);
        }
        client.waiting.addLast(request);
        size++;
    }

    /** Takes a request out that ends without running again. */
    void remove(ActiveRequest request) {
        if (suspended.remove(request)) {
            end(request);
            return;
        }
        Client client = clients.get(request.client());
        if (client != null && client.waiting.remove(request)) {
            size--;
            forgetIdle();
        }
    }

    /**
     * The request whose turn it is, among those that may run now.
     *
     * @return empty if none may
     */
    Optional<ActiveRequest> next(Predicate<ActiveRequest> mayRun) {
        int priority = clients.values().stream()
                .flatMap(client -> client.waiting.stream())
                .filter(mayRun)
                .mapToInt(ActiveRequest::priority)
                .min()
                .orElse(0);
        Predicate<ActiveRequest> isFirst = request -> request.priority() == priority && mayRun.test(request);
        return clients.values().stream()
                .filter(client -> client.waiting.stream().anyMatch(isFirst))
                .min(Comparator.<Client>comparingLong(client -> client.usedTokens)
                        .thenComparingLong(client -> client.lastTurn))
                .flatMap(client -> client.next(isFirst));
    }

    /** A waiting request begins to run. */
    void begin(ActiveRequest request) {
        if (suspended.remove(request)) {
            return;
        }
        Client client = client(request);
        client.waiting.remove(request);
        size--;
        client.running++;
        client.lastTurn = ++turns;
        client.turn = switch (client.turn) {
            case SHORTEST -> Turn.OLDEST;
            case OLDEST -> Turn.SHORTEST;
        };
    }

    /** A running request has ended. */
    void end(ActiveRequest request) {
        Client client = client(request);
        client.running--;
        forgetIdle();
    }

    /** Counts what running requests have used since the last time. */
    void count(Collection<ActiveRequest> running) {
        for (ActiveRequest request : running) {
            client(request).usedTokens += request.takeUsedTokens();
        }
        forgetIdle();
    }

    /** Forgets clients that would begin anew as they are. */
    private void forgetIdle() {
        clients.values().stream()
                .filter(Client::isBusy)
                .mapToLong(client -> client.usedTokens)
                .min()
                .ifPresentOrElse(
                        least -> leastUsedTokens = Math.max(leastUsedTokens, least),
                        // Nobody is left with whom to share.
                        clients::clear);
        clients.values().removeIf(client -> !client.isBusy() && client.usedTokens <= leastUsedTokens);
    }

    /**
     * The request that makes place for one of another client in a full queue: the last of the client with the most
     * waiting requests.
     *
     * @return empty if no client has more than the newcomer would have
     */
    Optional<ActiveRequest> displacedBy(String newcomer) {
        Client own = clients.get(newcomer);
        int ownWaiting = own == null ? 0 : own.waiting.size();
        return clients.values().stream()
                .max(Comparator.comparingInt(client -> client.waiting.size()))
                .filter(client -> client.waiting.size() > ownWaiting + 1)
                .map(client -> client.waiting.getLast());
    }

    private Client client(ActiveRequest request) {
        return Objects.requireNonNull(clients.get(request.client()));
    }
}
