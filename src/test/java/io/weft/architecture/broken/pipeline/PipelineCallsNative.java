package io.weft.architecture.broken.pipeline;

import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import jcuda.fixture.NativePointer;

public record PipelineCallsNative(Linker linker, SymbolLookup symbols, NativePointer pointer) {}
