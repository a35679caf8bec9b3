package io.weft.cli;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;

/**
 * Takes Ctrl-C while it is open, which otherwise ends the program. The JDK has no other way to it than a class that the
 * compiler warns of, so it is called by reflection.
 */
final class Interrupts implements AutoCloseable {
    private static final String SIGNAL = "sun.misc.Signal";
    private static final String HANDLER = "sun.misc.SignalHandler";

    private final Object before;

    private Interrupts(Object before) {
        this.before = before;
    }

    /**
     * Has a handler run at each Ctrl-C, on a thread of its own.
     *
     * @throws IllegalStateException if the JVM leaves the signal to the system, as with {@code -Xrs}
     */
    static Interrupts to(Runnable handler) {
        try {
            InvocationHandler calls = (proxy, method, arguments) -> {
                if (method.getName().equals("handle")) {
                    handler.run();
                }
                return null;
            };
            Class<?> type = Class.forName(HANDLER);
            return new Interrupts(
                    handle(Proxy.newProxyInstance(Interrupts.class.getClassLoader(), new Class<?>[] {type}, calls)));
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("Ctrl-C cannot be handled", e);
        }
    }

    /** Sets the handler; returns the one before. */
    private static Object handle(Object handler) throws ReflectiveOperationException {
        Class<?> signal = Class.forName(SIGNAL);
        Object interrupt = signal.getConstructor(String.class).newInstance("INT");
        return signal.getMethod("handle", signal, Class.forName(HANDLER)).invoke(null, interrupt, handler);
    }

    @Override
    public void close() {
        try {
            handle(before);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("Ctrl-C cannot be given back", e);
        }
    }
}
