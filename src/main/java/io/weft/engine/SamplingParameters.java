package io.weft.engine;

import io.weft.plan.step.StepMemory;
import java.util.Map;

/**
 * How a token is chosen. Applied in this order: bias, penalties, temperature, top-k, top-p, min-p.
 *
 * @param temperature 0 takes the most likely token; otherwise logits are divided by it
 * @param topP keeps the smallest set of most likely tokens whose probabilities reach this; in (0, 1]
 * @param topK number of most likely tokens to keep; 0 keeps all
 * @param minP tokens below this times the largest probability are dropped; in [0, 1]
 * @param presencePenalty subtracted from the logit of every token that was generated; in [−2, 2]
 * @param frequencyPenalty subtracted once for each time it was generated; in [−2, 2]
 * @param repetitionPenalty divides positive and multiplies negative logits of tokens of prompt and completion; above 0
 * @param logitBias added to logits, by token id; at most {@value #LOGIT_BIASES_MOST}, each in [−100, 100]
 * @param seed of the request's random numbers: the same request with the same seed gives the same tokens, whatever else
 *     is in the batch
 */
public record SamplingParameters(
        double temperature,
        double topP,
        int topK,
        double minP,
        double presencePenalty,
        double frequencyPenalty,
        double repetitionPenalty,
        Map<Integer, Double> logitBias,
        long seed) {
    /** The most tokens that a request may bias. */
    public static final int LOGIT_BIASES_MOST = StepMemory.BIASED_TOKENS;

    public SamplingParameters {
        logitBias = Map.copyOf(logitBias);
        requireWithin("temperature", temperature, 0, 2);
        requireWithin("top_p", topP, Double.MIN_VALUE, 1);
        requireWithin("top_k", topK, 0, Integer.MAX_VALUE);
        requireWithin("min_p", minP, 0, 1);
        requireWithin("presence_penalty", presencePenalty, -2, 2);
        requireWithin("frequency_penalty", frequencyPenalty, -2, 2);
        requireWithin("repetition_penalty", repetitionPenalty, Double.MIN_VALUE, 100);
        if (logitBias.size() > LOGIT_BIASES_MOST) {
            throw new IllegalArgumentException(
                    "logit_bias has " + logitBias.size() + " tokens, must have at most " + LOGIT_BIASES_MOST);
        }
        logitBias.forEach((token, bias) -> requireWithin("logit_bias of token " + token, bias, -100, 100));
    }

    /** Parameters that always choose the most likely token. */
    public static SamplingParameters greedy() {
        return new SamplingParameters(0, 1, 0, 0, 0, 0, 1, Map.of(), 0);
    }

    private static void requireWithin(String name, double value, double least, double most) {
        if (!(value >= least && value <= most)) {
            throw new IllegalArgumentException(name + " is " + value + ", must be from " + least + " to " + most);
        }
    }
}
