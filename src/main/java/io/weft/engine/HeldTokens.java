package io.weft.engine;

/**
 * Tokens whose blocks are kept for prompts to come, by tier.
 *
 * @param onDevice in device memory
 * @param onHost in host memory
 * @param idle those of both that no running request uses, so that they give way to others
 * @param onDisk on the disk, in memory or not
 */
public record HeldTokens(long onDevice, long onHost, long idle, long onDisk) {}
