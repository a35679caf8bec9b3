package io.weft.device;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import java.util.List;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Calls that are refused before anything is issued. */
class CheckedKernelsTest {
    private static final int ROWS = 3;
    private static final int WIDTH = 8;
    private static final int VOCABULARY = 5;

    private final Device device = new CpuDevice(new CpuOptions(1 << 20, 1 << 20, OptionalDouble.empty(), 1));
    private final Kernels kernels = device.kernels();
    private final Stream stream = device.stream("refused");
    private final DeviceBuffer large = device.allocate("large", 1 << 16);

    @AfterEach
    void close() {
        device.close();
    }

    /** A call with a buffer that is a byte too short for so many fp32 or int32 rows. */
    private static void refused(String name, int rows, int width, Consumer<DeviceBuffer> call) {
        long bytes = 4L * rows * width;
        assertThatThrownBy(() -> call.accept(new DeviceBuffer(0, bytes - 1)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("%s has %d bytes, must have at least %d", name, bytes - 1, bytes);
    }

    private static RandomTensor tensor(Integer... shape) {
        return new RandomTensor("tensor", List.of(shape), 1, 0, 1);
    }

    private Linear linear(int outFeatures, int inFeatures) {
        return device.linear("test", List.of(tensor(outFeatures, inFeatures)), List.of());
    }

    @Test
    void embeddingsAndNorms() {
        Embedding table = device.embedding(tensor(VOCABULARY, WIDTH), null, 0, 1);
        refused("tokenIds", ROWS, 1, b -> kernels.embed(stream, table, b, large, large, ROWS));
        refused("positions", ROWS, 1, b -> kernels.embed(stream, table, large, b, large, ROWS));
        refused("out", ROWS, WIDTH, b -> kernels.embed(stream, table, large, large, b, ROWS));
        Norm norm = device.norm(new Norm.Kind.LayerNorm(1e-5f), tensor(WIDTH), null);
        refused("in", ROWS, WIDTH, b -> kernels.norm(stream, norm, b, large, ROWS));
        refused("out", ROWS, WIDTH, b -> kernels.norm(stream, norm, large, b, ROWS));
        refused("hidden", ROWS, WIDTH, b -> kernels.addResidual(stream, b, large, norm, 1, 1, WIDTH, ROWS));
        refused("in", ROWS, WIDTH, b -> kernels.addResidual(stream, large, b, null, 1, 1, WIDTH, ROWS));
        assertThatThrownBy(() -> kernels.addResidual(stream, large, large, norm, 1, 1, 4, ROWS))
                .hasMessage("the norm has width 8, must have that of rows, 4");
        HeadRows heads = new HeadRows(large, 3 * WIDTH);
        refused("in", 3 * ROWS - 1, WIDTH, b -> {
            kernels.normHeads(stream, norm, new HeadRows(b, 3 * WIDTH), heads, 2, WIDTH, ROWS);
        });
        refused("out", 3 * ROWS - 1, WIDTH, b -> {
            kernels.normHeads(stream, norm, heads, new HeadRows(b, 3 * WIDTH), 2, WIDTH, ROWS);
        });
        HeadRows narrow = new HeadRows(large, WIDTH);
        assertThatThrownBy(() -> kernels.normHeads(stream, norm, heads, narrow, 2, WIDTH, ROWS))
                .hasMessage("2 heads of 8 do not fit rows of 8");
        assertThatThrownBy(() -> kernels.normHeads(stream, norm, heads, heads, 6, 4, ROWS))
                .hasMessage("a norm of width 8 is neither of one head of 4 nor of 6 heads");
    }

    @Test
    void products() {
        Linear first = linear(6, WIDTH);
        Linear second = linear(2, WIDTH);
        Epilogue store = new Epilogue.Store();
        refused("in", ROWS, WIDTH, b -> kernels.linear(stream, first, b, large, ROWS, store));
        refused("out", ROWS, 6, b -> kernels.linear(stream, first, large, b, ROWS, store));
        refused("in", ROWS, WIDTH, b -> kernels.linearPair(stream, first, second, b, large, large, ROWS));
        refused("firstOut", ROWS, 6, b -> kernels.linearPair(stream, first, second, large, b, large, ROWS));
        refused("secondOut", ROWS, 2, b -> kernels.linearPair(stream, first, second, large, large, b, ROWS));
        Linear other = linear(2, WIDTH + 1);
        assertThatThrownBy(() -> kernels.linearPair(stream, first, other, large, large, large, ROWS))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("inFeatures are 8 and 9, must be the same");
    }

    @Test
    void gates() {
        Linear weights = linear(6, WIDTH);
        Activation relu = Activation.RELU;
        refused("in", ROWS, WIDTH, b -> kernels.gatedLinear(stream, weights, relu, b, large, large, ROWS));
        refused("gateUp", ROWS, 6, b -> kernels.gatedLinear(stream, weights, relu, large, b, large, ROWS));
        refused("out", ROWS, 3, b -> kernels.gatedLinear(stream, weights, relu, large, large, b, ROWS));
        refused("gateUp", ROWS, 2 * WIDTH, b -> kernels.gate(stream, relu, b, large, ROWS, WIDTH));
        refused("out", ROWS, WIDTH, b -> kernels.gate(stream, relu, large, b, ROWS, WIDTH));
    }

    private static ExpertWeights expert(int innerWidth) {
        return new ExpertWeights(List.of(tensor(2 * innerWidth, WIDTH)), List.of(tensor(WIDTH, innerWidth)));
    }

    @Test
    void routesAndSharedExperts() {
        ExpertRouting routing = new ExpertRouting(5, 2, ExpertRouting.Weights.SOFTMAX_OF_ALL);
        ExpertChoices choices = new ExpertChoices(2, large, large);
        refused("logits", ROWS, 5, b -> kernels.route(stream, routing, b, choices, ROWS));
        refused("ids", ROWS, 2, b -> kernels.route(stream, routing, large, new ExpertChoices(2, b, large), ROWS));
        refused("weights", ROWS, 2, b -> kernels.route(stream, routing, large, new ExpertChoices(2, large, b), ROWS));
        assertThatThrownBy(() -> kernels.route(stream, routing, large, new ExpertChoices(3, large, large), ROWS))
                .hasMessage("choices are 3 a row, must be 2");
        refused("logits", ROWS, 1, b -> kernels.addGated(stream, b, large, large, ROWS, WIDTH));
        refused("values", ROWS, WIDTH, b -> kernels.addGated(stream, large, b, large, ROWS, WIDTH));
        refused("out", ROWS, WIDTH, b -> kernels.addGated(stream, large, large, b, ROWS, WIDTH));
    }

    @Test
    void experts() {
        Experts experts = device.experts("test", List.of(expert(6), expert(6)));
        ExpertChoices choices = new ExpertChoices(2, large, large);
        refused("in", ROWS, WIDTH, b -> run(experts, b, choices, large, large));
        refused("ids", ROWS, 2, b -> run(experts, large, new ExpertChoices(2, b, large), large, large));
        refused("weights", ROWS, 2, b -> run(experts, large, new ExpertChoices(2, large, b), large, large));
        refused("out", ROWS, WIDTH, b -> run(experts, large, choices, large, b));
        int least = Math.toIntExact(experts.scratchBytes(1, 2));
        refused("scratch", 1, least / 4, b -> run(experts, large, choices, b, large));
        assertThatThrownBy(() -> run(experts, large, new ExpertChoices(3, large, large), large, large))
                .hasMessage("choices are 3 a row, must be at most 2, the number of experts");
        assertThatThrownBy(() -> kernels.experts(
                        stream,
                        experts,
                        new Gating.Activated(Activation.SILU),
                        large,
                        choices,
                        large,
                        large,
                        ROWS,
                        new Epilogue.Activate(Activation.RELU)))
                .hasMessageContaining("stored or added");
    }

    private void run(Experts experts, DeviceBuffer in, ExpertChoices choices, DeviceBuffer scratch, DeviceBuffer out) {
        Gating gating = new Gating.Activated(Activation.SILU);
        kernels.experts(stream, experts, gating, in, choices, scratch, out, ROWS, new Epilogue.Store());
    }

    @Test
    void partsOfExperts() {
        assertThatThrownBy(() -> device.experts("test", List.of())).hasMessageContaining("test: 0 experts");
        assertThatThrownBy(() -> device.experts("test", List.of(expert(6), expert(5))))
                .hasMessageContaining("an expert has matrices (10, 8) and (8, 5), must have (12, 8) and (8, 6)");
        ExpertWeights biased =
                new ExpertWeights(expert(6).gateUp(), List.of(), expert(6).down(), List.of(tensor(WIDTH)));
        assertThatThrownBy(() -> device.experts("test", List.of(expert(6), biased)))
                .hasMessage("test: some experts have a bias, others have none");
        assertThatThrownBy(() -> new ExpertRouting(4, 5, ExpertRouting.Weights.SOFTMAX_OF_ALL))
                .hasMessageContaining("chosen is 5");
        assertThatThrownBy(() -> new ExpertRouting(1025, 5, ExpertRouting.Weights.SOFTMAX_OF_ALL))
                .hasMessageContaining("experts is 1025");
        assertThatThrownBy(() -> new Gating.ClampedSwiGlu(0, 1)).hasMessageContaining("limit is 0");
    }

    @Test
    void positions() {
        RotaryTable table = device.rotaryTable(new float[] {1, 0.1f}, 1, 10, RotaryTable.Layout.HALVES);
        refused("values", ROWS, WIDTH, b -> kernels.rotate(stream, table, b, WIDTH, 2, 4, large, 1, ROWS));
        refused("positions", 2, 1, b -> kernels.rotate(stream, table, large, WIDTH, 2, 4, b, 2, ROWS));
        assertThatThrownBy(() -> kernels.rotate(stream, table, large, WIDTH, 3, 4, large, 1, ROWS))
                .hasMessageContaining("3 heads of 4 do not fit rows of 8");
        assertThatThrownBy(() -> kernels.rotate(stream, table, large, WIDTH, 2, 3, large, 1, ROWS))
                .hasMessageContaining("4 rotated dimensions a head");
    }

    @Test
    void places() {
        AttentionShape shape = new AttentionShape(4, 2, 4, 1, 0, 100, 1, 1);
        RowPlaces places = new RowPlaces(large, large, large);
        refused("queries", ROWS, 16, b -> place(shape, b, large, large, places));
        refused("keyValues", ROWS, 16, b -> place(shape, large, b, large, places));
        refused("activations", ROWS, WIDTH, b -> place(shape, large, large, b, places));
        refused("positions", ROWS, 1, b -> place(shape, large, large, large, new RowPlaces(b, large, large)));
        refused("keyValueOffsets", ROWS, 2, b -> place(shape, large, large, large, new RowPlaces(large, b, large)));
        refused("activationOffsets", ROWS, 2, b -> place(shape, large, large, large, new RowPlaces(large, large, b)));
    }

    private void place(
            AttentionShape shape,
            DeviceBuffer queries,
            DeviceBuffer keyValues,
            DeviceBuffer activations,
            RowPlaces places) {
        kernels.place(stream, shape, null, queries, keyValues, activations, WIDTH, places, large, ROWS);
    }

    @Test
    void attentionAndCopies() {
        AttentionShape shape = new AttentionShape(4, 2, 4, 1, 0, 100, 1, 1);
        BlockBases bases = new BlockBases(0, 0, 0, 0);
        refused(
                "spans",
                2,
                AttentionWork.SPAN_INTS,
                b -> kernels.attend(
                        stream,
                        shape,
                        null,
                        new AttentionIndex(large, large, 1),
                        new AttentionWork(b, 2, 1, 1, 1),
                        bases,
                        large,
                        large,
                        large));
        AttentionSinks sinks = device.attentionSinks(tensor(3));
        assertThatThrownBy(() -> kernels.attend(
                        stream,
                        shape,
                        sinks,
                        new AttentionIndex(large, large, 1),
                        new AttentionWork(large, 2, 1, 1, 1),
                        bases,
                        large,
                        large,
                        large))
                .hasMessage("sinks are of 3 heads, must be of 4");
        refused("offsets", ROWS, 2, b -> kernels.gatherRows(stream, large, 4 * WIDTH, b, large, ROWS));
        refused("out", ROWS, WIDTH, b -> kernels.gatherRows(stream, large, 4 * WIDTH, large, b, ROWS));
        refused("in", ROWS, WIDTH, b -> kernels.toFloat(stream, b, large, (long) ROWS * WIDTH));
        refused("out", ROWS, WIDTH, b -> kernels.toFloat(stream, large, b, (long) ROWS * WIDTH));
        assertThatThrownBy(() -> kernels.readHost(stream, device.allocateHost("host", 8), large))
                .hasMessage("copy of 8 bytes to 65536 bytes");
    }

    @Test
    void choices() {
        TokenChoices choices = new TokenChoices(large, large);
        refused("logits", ROWS, VOCABULARY, b -> kernels.capLogits(stream, b, 1, 0, VOCABULARY, ROWS));
        assertThatThrownBy(() -> kernels.capLogits(stream, large, 1, -1, VOCABULARY, ROWS))
                .hasMessage("cap is -1.0, must be a number from 0 on");
        refused("logits", ROWS, VOCABULARY, b -> choose(b, choices, large, large, VOCABULARY));
        refused("scores", ROWS, VOCABULARY, b -> choose(large, choices, b, large, VOCABULARY));
        refused("tokens", ROWS, 1, b -> choose(large, choices, large, b, VOCABULARY));
        refused(
                "choices",
                ROWS,
                TokenChoices.ROW_BYTES / 4,
                b -> choose(large, new TokenChoices(b, large), large, large, VOCABULARY));
        assertThatThrownBy(() -> choose(large, choices, large, large, 0)).hasMessageContaining("vocabulary is 0");
    }

    private void choose(
            DeviceBuffer logits, TokenChoices choices, DeviceBuffer scores, DeviceBuffer tokens, int vocabulary) {
        kernels.chooseTokens(stream, logits, choices, scores, tokens, ROWS, vocabulary);
    }

    @Test
    void partsOfAMatrix() {
        assertThatThrownBy(() -> device.linear("test", List.of(tensor(2, 3), tensor(2, 4)), List.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("test: matrices of different widths");
        assertThatThrownBy(() -> device.linear("test", List.of(tensor(2, 3)), List.of(tensor(3))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("test: bias has 3 elements, must have 2");
    }
}
