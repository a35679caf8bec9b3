package io.weft.cache;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.DigestException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.function.IntUnaryOperator;

/**
 * Names blocks: a chain of SHA-256 that begins with everything except tokens on which the stored bits depend. Used from
 * one thread.
 */
public final class BlockNaming {
    private static final int HASH_BYTES = 32;

    private final byte[] fingerprint;
    private final IntUnaryOperator variant;
    private final MessageDigest hash = sha256();
    private byte[] input = new byte[HASH_BYTES];

    /**
     * @param fingerprint of the model's files, its kernels, its element type and the tokens of a block
     * @param variant given the most tokens of a sequence, what else its stored bits depend on
     */
    public BlockNaming(byte[] fingerprint, IntUnaryOperator variant) {
        this.fingerprint = fingerprint.clone();
        this.variant = variant;
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /** What stands for the block before the first one. */
    BlockName root(String salt, int maxTokens) {
        byte[] text = salt.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = input(fingerprint.length + Integer.BYTES + text.length);
        bytes.put(fingerprint).putInt(variant.applyAsInt(maxTokens)).put(text);
        return hashed(bytes.position());
    }

    /** The name of the block with these tokens after the one that is named {@code before}. */
    BlockName next(BlockName before, List<Integer> tokens) {
        ByteBuffer bytes = input(2 * Long.BYTES + tokens.size() * Integer.BYTES);
        bytes.putLong(before.high()).putLong(before.low());
        for (int token : tokens) {
            bytes.putInt(token);
        }
        return hashed(bytes.position());
    }

    private ByteBuffer input(int bytes) {
        if (input.length < bytes) {
            input = new byte[bytes];
        }
        return ByteBuffer.wrap(input).order(ByteOrder.LITTLE_ENDIAN);
    }

    private BlockName hashed(int bytes) {
        hash.update(input, 0, bytes);
        try {
            hash.digest(input, 0, HASH_BYTES);
        } catch (DigestException e) {
            throw new IllegalStateException("the buffer is too short for a hash", e);
        }
        ByteBuffer hashed = ByteBuffer.wrap(input);
        return new BlockName(hashed.getLong(), hashed.getLong());
    }
}
