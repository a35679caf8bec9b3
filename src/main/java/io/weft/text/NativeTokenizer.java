package io.weft.text;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * One tokenizer of the Hugging Face library. Thread-safe; a call under way holds up {@link #close()}.
 *
 * <p>The library's JNI functions are called, not DJL's tokenizer on top of them: that one truncates to 512 tokens
 * unless told otherwise, copies seven arrays to give one, and reports its use to a server.
 */
final class NativeTokenizer implements AutoCloseable {
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private long handle;

    private NativeTokenizer(long handle) {
        this.handle = handle;
    }

    /**
     * Loads the native library, if that has not been done: from the directory {@code RUST_LIBRARY_PATH}, or unpacked
     * into {@code DJL_CACHE_DIR}; each an environment variable or a system property.
     *
     * @throws TokenizerException if there is none for this machine, or no place to unpack it
     */
    static void load() {
        // Without a flavour, a host with CUDA makes the library look for a GPU build, to be downloaded.
        setIfAbsent("RUST_FLAVOR", "cpu");
        setIfAbsent("ai.djl.offline", "true");
        try {
            LibUtils.checkStatus();
        } catch (EngineException | LinkageError e) {
            Throwable root = e;
            while (root.getCause() != null) {
                root = root.getCause();
            }
            throw new TokenizerException(
                    "the tokenizer's native library cannot be loaded (DJL_CACHE_DIR names a writable directory to unpack"
                            + " it into, RUST_LIBRARY_PATH one that has it unpacked): "
                            + oneLine(root),
                    e);
        }
    }

    private static void setIfAbsent(String key, String value) {
        if (System.getenv(key) == null && System.getProperty(key) == null) {
            System.setProperty(key, value);
        }
    }

    /**
     * @param json the text of a {@code tokenizer.json}
     * @throws TokenizerException with the library's reason, if that is no tokenizer
     */
    static NativeTokenizer of(String json) {
        load();
        long handle;
        try {
            handle = TokenizersLibrary.LIB.createTokenizerFromString(json);
        } catch (RuntimeException e) {
            throw new TokenizerException(oneLine(e), e);
        }
        // A file may ask for both, with the lengths that its author trained with.
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

    /** Tokens that are not in the vocabulary give nothing. */
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
