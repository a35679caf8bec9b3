package io.weft.cache;

/**
 * The named blocks that are held.
 *
 * @param onDevice those whose home is on the device
 * @param onHost those whose home is on the host
 * @param idle those of both that no sequence uses
 */
public record HeldBlocks(int onDevice, int onHost, int idle) {}
