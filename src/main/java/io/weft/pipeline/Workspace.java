package io.weft.pipeline;

import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.HostBuffer;
import io.weft.device.TokenChoices;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelKernels.ExpertBuffers;
import io.weft.plan.step.StepMemory;
import java.util.Optional;

/**
 * Memory for the largest step: activations, index arrays, staging. Row-major in the device's element type where nothing
 * else is said.
 *
 * @param limits the largest step
 * @param hidden (rows, D): the residual stream
 * @param normed (rows, D): input of the attention; this is the activation that the cache may store
 * @param feedForwardNormed (rows, D): input of the feed-forward network
 * @param queries (rows, H·HD)
 * @param keyValues (rows, 2·KVH·HD): of the new tokens
 * @param attention (rows, H·HD)
 * @param state (rows, H, HD + 2) fp32: running attention
 * @param feedForwardIn (rows, F or 2F)
 * @param feedForwardInner (rows, F): after the gate; the same memory as {@code feedForwardIn} without a gate
 * @param experts for layers with experts; empty without such layers
 * @param headIn (logit rows, D)
 * @param logits (logit rows, V)
 * @param floatLogits (logit rows, V) fp32; the same memory as {@code logits} on an fp32 device
 * @param hostLogits (logit rows, V) fp32
 * @param scores (choosing rows, V) fp32: what tokens are chosen from
 * @param tokens (choosing rows) int32
 * @param hostTokens the same on the host
 * @param masks (choosing rows) of {@link TokenChoices#maskBytes}: the tokens that may be chosen
 * @param hostMasks the same on the host
 * @param index index arrays of a step, see {@link StepIndex}
 * @param hostIndex the same on the host
 * @param staging staging slots and recomputed K and V, divided anew by each plan
 */
public record Workspace(
        StepLimits limits,
        DeviceBuffer hidden,
        DeviceBuffer normed,
        DeviceBuffer feedForwardNormed,
        DeviceBuffer queries,
        DeviceBuffer keyValues,
        DeviceBuffer attention,
        DeviceBuffer state,
        DeviceBuffer feedForwardIn,
        DeviceBuffer feedForwardInner,
        Optional<ExpertBuffers> experts,
        DeviceBuffer headIn,
        DeviceBuffer logits,
        DeviceBuffer floatLogits,
        HostBuffer hostLogits,
        DeviceBuffer scores,
        DeviceBuffer tokens,
        HostBuffer hostTokens,
        DeviceBuffer masks,
        HostBuffer hostMasks,
        DeviceBuffer index,
        HostBuffer hostIndex,
        DeviceBuffer staging) {

    /**
     * Allocates it.
     *
     * @param stagingBytes memory for staging slots and recomputed K and V
     * @throws io.weft.device.OutOfMemoryBudgetException if it does not fit the device's budgets
     */
    public static Workspace allocate(Device device, CacheGeometry geometry, StepLimits limits, long stagingBytes) {
        StepMemory memory = limits.memory(geometry);
        DeviceBuffer feedForwardIn = device.allocate("feed-forward", memory.feedForwardInBytes());
        long innerBytes = memory.feedForwardInnerBytes();
        DeviceBuffer logits = device.allocate("logits", memory.logitBytes());
        return new Workspace(
                limits,
                device.allocate("hidden state", memory.hiddenBytes()),
                device.allocate("attention input", memory.hiddenBytes()),
                device.allocate("feed-forward input", memory.hiddenBytes()),
                device.allocate("queries", memory.queryBytes()),
                device.allocate("new keys and values", memory.keyValueBytes()),
                device.allocate("attention output", memory.queryBytes()),
                device.allocate("attention state", memory.attentionStateBytes()),
                feedForwardIn,
                innerBytes == 0 ? feedForwardIn : device.allocate("gated feed-forward", innerBytes),
                experts(device, memory),
                device.allocate("head input", memory.headInBytes()),
                logits,
                device.elementType() == ElementType.F32
                        ? logits
                        : device.allocate("fp32 logits", memory.floatLogitBytes()),
                device.allocateHost("logits", memory.floatLogitBytes()),
                device.allocate("scores", memory.scoreBytes()),
                device.allocate("tokens", memory.tokenBytes()),
                device.allocateHost("tokens", memory.tokenBytes()),
                device.allocate("token masks", memory.maskBytes()),
                device.allocateHost("token masks", memory.maskBytes()),
                device.allocate("step index", memory.indexBytes()),
                device.allocateHost("step index", memory.indexBytes()),
                device.allocate("staging", stagingBytes));
    }

    private static Optional<ExpertBuffers> experts(Device device, StepMemory memory) {
        if (memory.routerBytes() == 0) {
            return Optional.empty();
        }
        return Optional.of(new ExpertBuffers(
                device.allocate("router logits", memory.routerBytes()),
                device.allocate("chosen experts", memory.chosenExpertBytes()),
                device.allocate("weights of experts", memory.chosenExpertBytes()),
                device.allocate("experts", memory.expertScratchBytes())));
    }
}
