package io.weft.device.cpu;

import io.weft.device.DeviceException;

/**
 * The JDK's module of vector operations. It is an incubator module, so a JVM omits it by default, and
 * {@code --add-modules} causes a warning at each start. This class adds it to the running JVM, as the JDK itself adds
 * the module of an agent. The manifest of the program's jar exports the package of that call.
 */
final class VectorModule {
    static final String NAME = "jdk.incubator.vector";

    private VectorModule() {}

    /**
     * Makes the module's classes visible, unless they already are.
     *
     * @throws DeviceException if this JVM cannot do that
     */
    static void add() {
        if (ModuleLayer.boot().findModule(NAME).isPresent()) {
            return;
        }
        try {
            Class.forName("jdk.internal.module.Modules")
                    .getMethod("loadModule", String.class)
                    .invoke(null, NAME);
        } catch (ReflectiveOperationException e) {
            throw new DeviceException(
                    "the CPU device needs the module %s, which this JVM does not add by itself: start it with --add-modules=%s"
                            .formatted(NAME, NAME),
                    e);
        }
    }
}
