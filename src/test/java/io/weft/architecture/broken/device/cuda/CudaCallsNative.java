package io.weft.architecture.broken.device.cuda;

import io.weft.architecture.broken.device.Device;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import jcuda.fixture.NativePointer;

/** Allowed. */
public record CudaCallsNative(Linker linker, SymbolLookup symbols, NativePointer pointer) implements Device {}
