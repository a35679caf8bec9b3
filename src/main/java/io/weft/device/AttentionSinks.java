package io.weft.device;

/**
 * A learned logit for each query head, on the device, to which a row attends beside its tokens and which has no value:
 * it only takes a part of the weight (Xiao et al. 2023; gpt-oss).
 */
public interface AttentionSinks {
    /** Query heads. */
    int heads();
}
