package io.weft.plan.step;

import io.weft.model.CacheForm.Place;
import io.weft.model.Encoding;
import java.util.OptionalInt;

/** One piece of a step's work, with the figures on which its cost depends. */
public sealed interface Stage {
    /** What works on it. */
    default Lane lane() {
        return switch (this) {
            case Transfer transfer -> Lane.LINK_IN;
            case Promote promote -> Lane.LINK_IN;
            case Upload upload -> Lane.COMPUTE;
            case Embed embed -> Lane.COMPUTE;
            case Gather gather -> Lane.COMPUTE;
            case Decode decode -> Lane.COMPUTE;
            case Encode encode -> Lane.COMPUTE;
            case Project project -> Lane.COMPUTE;
            case Recompute recompute -> Lane.COMPUTE;
            case Attend attend -> Lane.COMPUTE;
            case AttendWindow attend -> Lane.COMPUTE;
            case FeedForward feedForward -> Lane.COMPUTE;
            case StoreOnDevice store -> Lane.COMPUTE;
            case Head head -> Lane.COMPUTE;
            case WriteOut writeOut -> Lane.LINK_OUT;
            case Download download -> Lane.LINK_OUT;
        };
    }

    /** The name of the stage in texts for people. */
    default String label() {
        return switch (this) {
            case Upload upload -> "upload";
            case Embed embed -> "embed";
            case Transfer transfer -> "transfer " + transfer.encoding().description();
            case Gather gather -> "gather";
            case Decode decode -> "decode " + decode.encoding().description();
            case Encode encode -> "encode " + encode.encoding().description();
            case Project project -> "project";
            case Recompute recompute -> "recompute";
            case Attend attend -> "attend";
            case AttendWindow attend -> "attend window";
            case FeedForward feedForward -> "feed forward";
            case StoreOnDevice store -> "store on device";
            case WriteOut writeOut -> "write out";
            case Promote promote -> "promote";
            case Head head -> "head";
            case Download download -> "download";
        };
    }

    /** The layer that the stage belongs to; empty for one of all layers or of none. */
    default OptionalInt inLayer() {
        return switch (this) {
            case Transfer transfer -> OptionalInt.of(transfer.layer());
            case Gather gather -> OptionalInt.of(gather.layer());
            case Decode decode -> OptionalInt.of(decode.layer());
            case Encode encode -> OptionalInt.of(encode.layer());
            case Project project -> OptionalInt.of(project.layer());
            case Recompute recompute -> OptionalInt.of(recompute.layer());
            case Attend attend -> OptionalInt.of(attend.layer());
            case AttendWindow attend -> OptionalInt.of(attend.layer());
            case FeedForward feedForward -> OptionalInt.of(feedForward.layer());
            case WriteOut writeOut -> OptionalInt.of(writeOut.layer());
            case Upload upload -> OptionalInt.empty();
            case Embed embed -> OptionalInt.empty();
            case StoreOnDevice store -> OptionalInt.empty();
            case Promote promote -> OptionalInt.empty();
            case Head head -> OptionalInt.empty();
            case Download download -> OptionalInt.empty();
        };
    }

    /** Whether the stage consists of kernels over the step's rows, all on the compute lane. */
    default boolean computesRows() {
        return switch (this) {
            case Embed embed -> true;
            case Project project -> true;
            case Attend attend -> true;
            case AttendWindow attend -> true;
            case FeedForward feedForward -> true;
            case Head head -> true;
            case Upload upload -> false;
            case Transfer transfer -> false;
            case Gather gather -> false;
            case Decode decode -> false;
            case Encode encode -> false;
            case Recompute recompute -> false;
            case StoreOnDevice store -> false;
            case WriteOut writeOut -> false;
            case Promote promote -> false;
            case Download download -> false;
        };
    }

    /**
     * The step's index arrays go to the device. A kernel reads them, so they need not queue after the transfers that
     * the step before began.
     */
    record Upload() implements Stage {}

    /** The new tokens are embedded. */
    record Embed(int rows) implements Stage {}

    /**
     * A chunk's blocks of one encoding cross the link into the chunk's staging slot.
     *
     * @param bytes that cross
     * @param copies pieces of the call: blocks that are neighbours in host memory form one piece
     */
    record Transfer(int layer, int chunk, Encoding encoding, long bytes, int copies) implements Stage {}

    /** A chunk's activations that lie on the device are gathered into its staging slot. */
    record Gather(int layer, int chunk, long bytes) implements Stage {}

    /**
     * A chunk's blocks of one encoding are decoded: those that crossed the link in its staging slot, or those that lie
     * on the device. Activations go to the slot, K and V to the workspace.
     */
    record Decode(int layer, int chunk, Encoding encoding, Place place, int tokens) implements Stage {}

    /** Blocks that the step fills and that are stored in an encoding are coded. */
    record Encode(int layer, Encoding encoding, int blocks) implements Stage {}

    /** Norm, Q, K and V of the new tokens, rotary positions; K, V and activations go to the open blocks. */
    record Project(int layer, int rows) implements Stage {}

    /** K and V of a chunk's activations, with rotary positions. */
    record Recompute(int layer, int chunk, int tokens) implements Stage {}

    /**
     * The rows attend to a chunk's ranges.
     *
     * @param rowTokens number of pairs of a row and a token that it sees
     * @param tokens tokens whose K and V are read, each counted once per sequence
     * @param sequences number of sequences with these tokens
     */
    record Attend(int layer, int chunk, long rowTokens, long tokens, int sequences) implements Stage {}

    /**
     * In a layer with a window, the rows attend to the tokens that they see, all of which are on the device.
     *
     * @param rowTokens number of pairs of a row and a token that it sees
     * @param tokens tokens whose K and V are read, each counted once per sequence
     * @param sequences number of sequences
     */
    record AttendWindow(int layer, long rowTokens, long tokens, int sequences) implements Stage {}

    /** The rest of a layer after attention: output projection and feed-forward network. */
    record FeedForward(int layer, int rows) implements Stage {}

    /**
     * Blocks that the step fills and that stay on the device are copied, in all layers, to where full blocks live.
     *
     * @param bytes bytes that are copied
     * @param copies one copy per block
     */
    record StoreOnDevice(long bytes, int copies) implements Stage {}

    /** Blocks that the step fills cross the link to the host. */
    record WriteOut(int layer, long bytes, int copies) implements Stage {}

    /** Full blocks on the host are copied, in all layers, to spare device memory for later steps. */
    record Promote(long bytes, int copies) implements Stage {}

    /** Final norm and output projection of the rows whose logits are needed, and tokens from these. */
    record Head(int rows) implements Stage {}

    /**
     * Tokens cross to the host, logits where they are wanted there, and whether coded blocks fit.
     *
     * @param tokenBytes bytes of token ids
     * @param logitBytes bytes of logits
     * @param misfitBytes bytes of what is told of coded blocks
     */
    record Download(long tokenBytes, long logitBytes, long misfitBytes) implements Stage {
        /** All bytes that cross the link. */
        public long bytes() {
            return tokenBytes + logitBytes + misfitBytes;
        }
    }
}
