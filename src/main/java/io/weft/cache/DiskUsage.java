package io.weft.cache;

/**
 * How full the cache's directory is, and what it did since the start.
 *
 * @param isThere whether the directory can be used now
 * @param files files of blocks, also of other models
 * @param bytes bytes of these files, and the limit
 * @param readBlocks blocks that were read
 * @param readBytes bytes of these files
 * @param missedReads reads of files that were missing, damaged or unreadable
 * @param damagedFiles files that were not what was written, a part of {@code missedReads}
 * @param writtenBlocks blocks that were written
 * @param writtenBytes bytes of these files
 * @param failedWrites writes that the disk refused
 * @param declinedWrites blocks that were offered while the disk was not to be used
 * @param evictedFiles files that made room for others
 */
public record DiskUsage(
        boolean isThere,
        long files,
        PoolUsage bytes,
        long readBlocks,
        long readBytes,
        long missedReads,
        long damagedFiles,
        long writtenBlocks,
        long writtenBytes,
        long failedWrites,
        long declinedWrites,
        long evictedFiles) {}
