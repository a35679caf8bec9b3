package io.weft.deploy;

import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.ExpressionTree;
import com.sun.source.tree.IdentifierTree;
import com.sun.source.tree.MemberSelectTree;
import com.sun.source.tree.MethodInvocationTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreeScanner;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * The function descriptors that sources hand to {@code Linker.downcallHandle}, read from the sources, since most of the
 * code that has them needs a GPU to run. A descriptor may be written out, or end in the variable arguments of the
 * method that it stands in, which are then taken from that method's callers in the same file. Anything else is refused.
 */
final class ForeignCalls {
    /** Layouts by the names that native image has for them. */
    private static final Map<String, String> TYPES = Map.of(
            "JAVA_BYTE", "jbyte",
            "JAVA_SHORT", "jshort",
            "JAVA_INT", "jint",
            "JAVA_LONG", "jlong",
            "JAVA_FLOAT", "jfloat",
            "JAVA_DOUBLE", "jdouble",
            "ADDRESS", "void*");

    private ForeignCalls() {}

    /** Descriptors such as {@code jint(jlong, void*)} of all sources in a folder. */
    static Set<String> of(Path folder) throws IOException {
        List<Path> sources;
        try (Stream<Path> files = Files.walk(folder)) {
            sources = files.filter(file -> file.toString().endsWith(".java")).toList();
        }
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        Set<String> descriptors = new TreeSet<>();
        try (StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, null)) {
            JavacTask task = (JavacTask) compiler.getTask(
                    null, manager, null, List.of("-proc:none"), null, manager.getJavaFileObjectsFromPaths(sources));
            for (CompilationUnitTree unit : task.parse()) {
                descriptors.addAll(new Scan().descriptors(unit));
            }
        }
        return descriptors;
    }

    private static final class Scan extends TreeScanner<Void, MethodTree> {
        /** Calls with written-out arguments, by the name of the method that is called. */
        private final Map<String, List<MethodInvocationTree>> calls = new HashMap<>();

        private final Map<MethodInvocationTree, MethodTree> descriptors = new HashMap<>();

        Collection<String> descriptors(CompilationUnitTree unit) {
            scan(unit, null);
            Set<String> found = new TreeSet<>();
            descriptors.forEach((call, method) -> found.addAll(expand(call, method)));
            return found;
        }

        @Override
        public Void visitMethod(MethodTree method, MethodTree outer) {
            return super.visitMethod(method, method);
        }

        @Override
        public Void visitMethodInvocation(MethodInvocationTree call, MethodTree method) {
            String text = call.getMethodSelect().toString();
            if (text.endsWith("FunctionDescriptor.of") || text.endsWith("FunctionDescriptor.ofVoid")) {
                descriptors.put(call, method);
            }
            calls.computeIfAbsent(lastName(call.getMethodSelect()), name -> new ArrayList<>())
                    .add(call);
            return super.visitMethodInvocation(call, method);
        }

        private Set<String> expand(MethodInvocationTree descriptor, MethodTree method) {
            boolean isVoid = descriptor.getMethodSelect().toString().endsWith("ofVoid");
            List<? extends ExpressionTree> written = descriptor.getArguments();
            if (written.isEmpty() || !isVariableArguments(written.getLast(), method)) {
                return Set.of(describe(isVoid, written));
            }
            int fixed = method.getParameters().size() - 1;
            return calls.getOrDefault(method.getName().toString(), List.of()).stream()
                    .map(call -> {
                        List<ExpressionTree> all = new ArrayList<>(written.subList(0, written.size() - 1));
                        all.addAll(call.getArguments()
                                .subList(fixed, call.getArguments().size()));
                        return describe(isVoid, all);
                    })
                    .collect(Collectors.toSet());
        }

        private static boolean isVariableArguments(ExpressionTree argument, MethodTree method) {
            return method != null
                    && !method.getParameters().isEmpty()
                    && method.getParameters().getLast().toString().contains("...")
                    && method.getParameters().getLast().getName().contentEquals(argument.toString());
        }

        private static String describe(boolean isVoid, List<? extends ExpressionTree> layouts) {
            List<String> types = layouts.stream().map(Scan::type).collect(Collectors.toList());
            String result = isVoid ? "void" : types.removeFirst();
            return result + "(" + String.join(", ", types) + ")";
        }

        private static String type(ExpressionTree layout) {
            String type = TYPES.get(lastName(layout));
            if (type == null) {
                throw new AssertionError("cannot tell the layout of " + layout
                        + ": write function descriptors with the constants of ValueLayout");
            }
            return type;
        }

        private static String lastName(ExpressionTree expression) {
            return switch (expression) {
                case MemberSelectTree select -> select.getIdentifier().toString();
                case IdentifierTree identifier -> identifier.getName().toString();
                default -> expression.toString();
            };
        }
    }
}
