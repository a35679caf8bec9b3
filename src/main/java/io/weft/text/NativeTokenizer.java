package io.weft.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * One tokenizer of the Hugging Face library. Thread-safe; {@link #close()} waits for calls in progress.
 *
 * <p>It calls the library's JNI functions, not DJL's tokenizer on top of them: that one truncates to 512 tokens by
 * default, copies seven arrays to return one, and reports its use to a server.
 */
final class NativeTokenizer implements AutoCloseable {
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private long handle;

    private NativeTokenizer(long handle) {
        this.handle = handle;
    }

    /**
     * @param json the text of a {@code tokenizer.json}
     * @throws TokenizerException with the library's reason, if the text is no tokenizer
     */
    static NativeTokenizer of(String json) {
        NativeLibrary.load();
        long handle;
        try {
            handle = TokenizersLibrary.LIB.createTokenizerFromString(json);
        } catch (RuntimeException e) {
            throw new TokenizerException(oneLine(e), e);
        }
        // A file may ask for truncation and padding, with the lengths that its author trained with.
        TokenizersLibrary.LIB.disableTruncation(handle);
        TokenizersLibrary.LIB.disablePadding(handle);
        return new NativeTokenizer(handle);
    }

    List<Integer> encode(String text, Tokenizer.SpecialTokens added) {
        lock.readLock().lock();
        try {
            long encoding = TokenizersLibrary.LIB.encode(openHandle(), text, added == Tokenizer.SpecialTokens.WITH);
            try {
                long[] ids = TokenizersLibrary.LIB.getTokenIds(encoding);
                var tokens = new ArrayList<Integer>(ids.length);
                for (long id : ids) {
                    tokens.add((int) id);
                }
                return tokens;
            } finally {
                TokenizersLibrary.LIB.deleteEncoding(encoding);
            }
        } finally {
            lock.readLock().unlock();
        }
    }

    /** Decodes tokens; those outside the vocabulary are skipped. */
    String decode(List<Integer> tokens, Tokenizer.SpecialTokens shown) {
        long[] ids = tokens.stream().mapToLong(Integer::longValue).toArray();
        lock.readLock().lock();
        try {
            return TokenizersLibrary.LIB.decode(openHandle(), ids, shown == Tokenizer.SpecialTokens.WITHOUT);
        } finally {
            lock.readLock().unlock();
        }
    }

    private long openHandle() {
        if (handle == 0) {
            throw new IllegalStateException("the tokenizer is closed");
        }
        return handle;
    }

    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (handle != 0) {
                TokenizersLibrary.LIB.deleteTokenizer(handle);
                handle = 0;
            }
        } finally {
            lock.writeLock().unlock();
        }
    }

    static String oneLine(Throwable failure) {
        String message = failure.getMessage();
        return message == null
                ? failure.getClass().getSimpleName()
                : message.strip().replaceAll("\\s*\\R\\s*", "; ");
    }
}
