package io.weft.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.jdi.Bootstrap;
import com.sun.jdi.VirtualMachine;
import com.sun.jdi.connect.AttachingConnector;
import com.sun.jdi.connect.Connector;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packaged service as a process of its own, which is told to stop. */
class ServiceProcessIT {
    private static final int STREAMS = 40;
    /** The status of a process that ended in order after SIGTERM. */
    private static final int TERMINATED = 143;
    /** Nothing here takes so long, on however busy a machine, unless it hangs. */
    private static final Duration HANG = Duration.ofMinutes(3);

    private static final String LIVE = "/q/health/live";
    private static final Pattern LISTENING = Pattern.compile("Listening on: http://\\S+:(\\d+)");
    private static final Pattern DEBUGGER = Pattern.compile("Listening for transport \\S+ at address: (\\d+)");

    /** What the first one measures, the others find. */
    @TempDir
    static Path profiles;

    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** A service, and the lines that it has printed. */
    private final class Service implements AutoCloseable {
        private final Process process;
        private final Thread reader;
        private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        private final StringBuilder output = new StringBuilder();
        private URI root = URI.create("");

        Service(Map<String, String> settings, String... options) throws Exception {
            List<String> command = new ArrayList<>(List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "@tools/jvm.options",
                    "-Xmx512m"));
            command.addAll(List.of(options));
            command.addAll(List.of(
                    "-Dweft.device=cpu",
                    "-Dweft.schedule=resident",
                    "-Dweft.host-memory=256MiB",
                    "-Dweft.device-memory=512MiB",
                    "-Dweft.max-sequences=" + STREAMS,
                    "-Dweft.drain-timeout=" + HANG,
                    "-Dweft.profile-directory=" + profiles,
                    "-Dquarkus.http.host=127.0.0.1",
                    "-Dquarkus.http.port=0"));
            settings.forEach((name, value) -> command.add("-D" + name + "=" + value));
            command.addAll(List.of("-jar", Objects.requireNonNull(System.getProperty("weft.jar")), "serve"));
            this.process = new ProcessBuilder(command).redirectErrorStream(true).start();
            this.reader = Thread.ofVirtual().start(this::read);
        }

        private void read() {
            try (BufferedReader reader = process.inputReader()) {
                reader.lines().forEach(line -> {
                    synchronized (output) {
                        output.append(line).append('\n');
                    }
                    lines.add(line);
                });
            } catch (IOException | UncheckedIOException e) {
                // The process was killed.
            }
        }

        String output() {
            synchronized (output) {
                return output.toString();
            }
        }

        /** The number in the next line that has one. */
        private int await(Pattern pattern) throws InterruptedException {
            for (String line = next(); line != null; line = next()) {
                Matcher found = pattern.matcher(line);
                if (found.find()) {
                    return Integer.parseInt(found.group(1));
                }
            }
            throw new AssertionError("no " + pattern + " in:\n" + output());
        }

        private String next() throws InterruptedException {
            return lines.poll(HANG.toSeconds(), TimeUnit.SECONDS);
        }

        void awaitReady() throws Exception {
            root = URI.create("http://127.0.0.1:" + await(LISTENING));
            while (status("/q/health/ready") != 200) {
                assertThat(process.isAlive()).as(output()).isTrue();
                Thread.sleep(50);
            }
        }

        private int status(String path) throws IOException, InterruptedException {
            return client.send(HttpRequest.newBuilder(root.resolve(path)).build(), BodyHandlers.discarding())
                    .statusCode();
        }

        /**
         * A stream's events, to its end.
         *
         * @param begun counted down once, with the first
         */
        List<String> stream(int tokens, CountDownLatch begun) throws IOException, InterruptedException {
            String body = "{\"prompt\":[5],\"max_tokens\":%d,\"ignore_eos\":true,\"stream\":true}".formatted(tokens);
            HttpRequest request = HttpRequest.newBuilder(root.resolve("/v1/completions"))
                    .header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body))
                    .build();
            HttpResponse<Stream<String>> response = client.send(request, BodyHandlers.ofLines());
            List<String> events = new ArrayList<>();
            response.body().filter(line -> !line.isEmpty()).forEach(line -> {
                events.add(line);
                if (events.size() == 1) {
                    begun.countDown();
                }
            });
            return events;
        }

        /** The status of an answer; 0 if there is none any more. */
        int statusUntilTheEnd(String path) throws InterruptedException {
            try {
                return status(path);
            } catch (IOException e) {
                return 0;
            }
        }

        /** Says SIGTERM. */
        void stop() {
            process.destroy();
        }

        int awaitEnd() throws InterruptedException {
            assertThat(process.waitFor(HANG.toSeconds(), TimeUnit.SECONDS))
                    .as("it ends within the drain timeout:\n" + output())
                    .isTrue();
            reader.join();
            return process.exitValue();
        }

        @Override
        public void close() {
            process.destroyForcibly();
        }
    }

    @Test
    void streamsEndWholeAfterSigterm() throws Exception {
        int tokens = 250;
        try (Service service = new Service(Map.of());
                ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor()) {
            service.awaitReady();
            CountDownLatch begun = new CountDownLatch(STREAMS);
            List<Future<List<String>>> streams = new ArrayList<>();
            for (int i = 0; i < STREAMS; i++) {
                streams.add(readers.submit(() -> service.stream(tokens, begun)));
            }
            begun.await();

            service.stop();

            for (Future<List<String>> stream : streams) {
                assertThat(stream.get()).hasSize(tokens + 1).last().isEqualTo("data: [DONE]");
                assertThat(stream.get().get(tokens - 1)).contains("\"finish_reason\":\"length\"");
            }
            assertThat(service.awaitEnd()).isEqualTo(TERMINATED);
        }
    }

    /** A debugger holds the thread of the device that computes: so a GPU stops, and so its driver's calls. */
    @Test
    void aServiceWhoseDeviceHangsSaysSoAndEnds() throws Exception {
        try (Service service = new Service(
                        Map.of("weft.step-timeout", "2s"),
                        "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:0");
                ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor()) {
            VirtualMachine debugged = attach(service.await(DEBUGGER));
            service.awaitReady();
            CountDownLatch begun = new CountDownLatch(1);
            Future<List<String>> stream = readers.submit(() -> service.stream(500, begun));
            begun.await();
            assertThat(service.status(LIVE)).isEqualTo(200);

            debugged.allThreads().stream()
                    .filter(thread -> thread.name().equals("weft-compute"))
                    .findFirst()
                    .orElseThrow()
                    .suspend();

            List<String> events = stream.get();
            assertThat(events).last().isEqualTo("data: [DONE]");
            assertThat(events.subList(events.size() - 3, events.size() - 1))
                    .satisfiesExactly(
                            event -> assertThat(event).isEqualTo("event: error"),
                            error -> assertThat(error).contains("a step hangs"));
            assertThat(service.status(LIVE)).isEqualTo(503);
            assertThat(service.status("/q/health/ready")).isEqualTo(503);

            service.stop();

            long stoppedNanos = System.nanoTime();
            while (service.process.isAlive() && System.nanoTime() - stoppedNanos < HANG.toNanos()) {
                assertThat(service.statusUntilTheEnd(LIVE)).isIn(503, 0);
                Thread.sleep(10);
            }
            assertThat(service.awaitEnd()).isEqualTo(TERMINATED);
        }
    }

    private static VirtualMachine attach(int port) throws Exception {
        AttachingConnector connector = Bootstrap.virtualMachineManager().attachingConnectors().stream()
                .filter(each -> each.name().equals("com.sun.jdi.SocketAttach"))
                .findFirst()
                .orElseThrow();
        Map<String, Connector.Argument> arguments = connector.defaultArguments();
        arguments.get("hostname").setValue("127.0.0.1");
        arguments.get("port").setValue("" + port);
        return connector.attach(arguments);
    }
}
