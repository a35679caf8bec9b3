package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.api.http.ServerLimits;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.Comparator;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** No body costs much before it is refused. */
@QuarkusTest
@TestProfile(ServiceProfile.Large.class)
class LargeBodiesTest {
    private static final int BYTES = (int) ServerLimits.DEFAULT_MAX_BODY_BYTES;
    /**
     * What reading may allocate for each byte: copies of its text, and objects. A number of 50 digits takes most, since
     * BigInteger halves it again and again.
     */
    private static final int ALLOCATED_PER_BYTE = 64;

    private static final int WARM_RUNS = 3;

    @TestHTTPResource("/")
    URI root;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    static Stream<LargeBodies> bodies() {
        return LargeBodies.all(BYTES / 8).stream();
    }

    private long[] readers() {
        return Stream.of(threads.getThreadInfo(threads.getAllThreadIds()))
                .filter(thread -> thread != null && thread.getThreadName().startsWith("weft-reader"))
                .mapToLong(ThreadInfo::getThreadId)
                .toArray();
    }

    private long cpuNanos() {
        return LongStream.of(readers()).map(threads::getThreadCpuTime).sum();
    }

    private long allocatedBytes() {
        return LongStream.of(readers()).map(threads::getThreadAllocatedBytes).sum();
    }

    /** A mebibyte of each kind, by work that does not depend on the machine: what its reader allocates. */
    @ParameterizedTest
    @MethodSource("bodies")
    void isRefusedBeforeItCostsMuch(LargeBodies body) throws Exception {
        ApiClient api = new ApiClient(root);
        api.post("/tokenize", "{\"prompt\":\"a\"}");
        long before = allocatedBytes();
        HttpResponse<String> response = api.postBytes(body.path(), body.body());
        long allocated = allocatedBytes() - before;

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        assertThat(ApiClient.json(response.body()).at("/error/message").textValue())
                .hasSizeLessThan(500);
        assertThat(allocated).isLessThan((long) ALLOCATED_PER_BYTE * body.body().length);
    }

    static Stream<LargeBodies> manyNames() {
        return bodies().filter(body -> body.name().equals("biases")
                || (body.name().contains("name") && !body.name().equals("long names")));
    }

    /** Known and unknown ones, in the body and below; one that comes again and again counts each time. */
    @ParameterizedTest
    @MethodSource("manyNames")
    void namesAreCountedWhereverTheyAre(LargeBodies body) throws Exception {
        HttpResponse<String> response = new ApiClient(root).postBytes(body.path(), body.body());

        assertThat(ApiClient.json(response.body()).at("/error/message").textValue())
                .contains("more than 65,536 names");
    }

    private record Cost(LargeBodies body, int status, double millis) {}

    /** The benchmark: processor time of each kind at the largest size, once the code is compiled. */
    @Test
    @Tag("soak")
    void cost() throws Exception {
        ApiClient api = new ApiClient(root);
        List<LargeBodies> bodies = LargeBodies.all(BYTES);
        for (int run = 0; run < WARM_RUNS; run++) {
            for (LargeBodies body : bodies) {
                api.postBytes(body.path(), body.body());
            }
        }
        Stream.Builder<Cost> costs = Stream.builder();
        for (LargeBodies body : bodies) {
            long before = cpuNanos();
            int status = api.postBytes(body.path(), body.body()).statusCode();
            costs.add(new Cost(body, status, (cpuNanos() - before) / 1e6));
        }
        costs.build()
                .sorted(Comparator.comparingDouble(Cost::millis).reversed())
                .forEach(cost -> System.out.printf(
                        "%-24s %-24s %d %8.1f ms%n",
                        cost.body().path(), cost.body().name(), cost.status(), cost.millis()));
    }
}
