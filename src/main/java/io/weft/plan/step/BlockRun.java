package io.weft.plan.step;

/**
 * Consecutive full blocks of one sequence.
 *
 * @param sequence index in the step's batch
 * @param firstBlock index in the sequence
 * @param blocks number of blocks
 */
public record BlockRun(int sequence, int firstBlock, int blocks) {}
