package io.weft;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.Architectures.LayeredArchitecture;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.NullMarked;

/** The package table of {@code docs/architecture.md} as rules over the packages below {@code root}. */
record ArchitectureRules(String root) {

    /**
     * Package to the packages it may use besides itself; a name stands for all packages below it that have no row of
     * their own. Rows of the same tree are acyclic, from the top down.
     */
    private static final Map<String, Set<String>> MAY_USE = Map.ofEntries(
            Map.entry(
                    "cli",
                    Set.of(
                            "app",
                            "bench",
                            "check",
                            "profile",
                            "observe",
                            "engine",
                            "text",
                            "plan.machine",
                            "plan.step",
                            "plan.prediction",
                            "plan.placement",
                            "plan.whatif",
                            "model",
                            "device")),
            Map.entry(
                    "bench",
                    Set.of(
                            "app",
                            "profile",
                            "observe",
                            "engine",
                            "plan.machine",
                            "plan.step",
                            "plan.prediction",
                            "plan.placement",
                            "plan.whatif",
                            "pipeline",
                            "cache",
                            "model",
                            "device")),
            Map.entry(
                    "app",
                    Set.of(
                            "api.http",
                            "engine",
                            "text",
                            "text.tools",
                            "plan.machine",
                            "plan.step",
                            "plan.prediction",
                            "plan.placement",
                            "plan.whatif",
                            "profile",
                            "observe",
                            "pipeline",
                            "cache",
                            "model",
                            "device",
                            "device.cpu",
                            "device.cuda")),
            Map.entry(
                    "check",
                    Set.of(
                            "plan.machine",
                            "plan.step",
                            "plan.prediction",
                            "plan.placement",
                            "pipeline",
                            "cache",
                            "model",
                            "device")),
            Map.entry("api", Set.of()),
            Map.entry("api.openai", Set.of("api.http", "engine", "text", "text.constraint", "text.tools")),
            Map.entry("api.anthropic", Set.of("api.openai", "api.http", "text.tools")),
            Map.entry("api.responses", Set.of("api.openai", "api.http", "text.tools")),
            Map.entry(
                    "api.weft",
                    Set.of(
                            "model",
                            "api.http",
                            "engine",
                            "text",
                            "plan.machine",
                            "plan.step",
                            "plan.prediction",
                            "plan.placement",
                            "plan.whatif",
                            "observe")),
            Map.entry("api.http", Set.of("engine", "text", "text.constraint", "plan.machine", "plan.whatif")),
            Map.entry(
                    "engine",
                    Set.of(
                            "text.constraint",
                            "plan.step",
                            "plan.prediction",
                            "plan.placement",
                            "pipeline",
                            "cache",
                            "model",
                            "device")),
            Map.entry("text.tools", Set.of("text.constraint")),
            Map.entry("text.constraint", Set.of("text")),
            Map.entry("text", Set.of()),
            Map.entry("plan", Set.of()),
            Map.entry("plan.whatif", Set.of("plan.placement", "plan.prediction", "plan.step", "plan.machine", "model")),
            Map.entry("plan.placement", Set.of("plan.prediction", "plan.step", "plan.machine", "model")),
            Map.entry("plan.prediction", Set.of("plan.step", "plan.machine", "model")),
            Map.entry("plan.step", Set.of("model")),
            Map.entry("plan.machine", Set.of("model")),
            Map.entry("profile", Set.of("device", "model", "plan.machine")),
            Map.entry("pipeline", Set.of("plan.step", "plan.prediction", "cache", "model", "device")),
            Map.entry("cache", Set.of("device", "model")),
            Map.entry("model", Set.of("device")),
            Map.entry("device", Set.of()),
            Map.entry("device.cpu", Set.of("device")),
            Map.entry("device.cuda", Set.of("device")),
            Map.entry("observe", Set.of("plan.machine", "plan.step", "plan.prediction", "plan.whatif")));

    /** How values are stored in a block of the cache. */
    private static final Set<String> BLOCK_DESCRIPTIONS =
            Set.of("ElementType", "BlockCode", "BlockValues", "PackedLayout");

    private static final List<String> CDI_EDGES = List.of("api", "engine", "profile", "observe", "app", "cli");

    /** Every row of the table. */
    ArchRule packagesUseWhatTheTableAllows() {
        LayeredArchitecture table =
                layeredArchitecture().consideringOnlyDependenciesInLayers().withOptionalLayers(true);
        for (String name : MAY_USE.keySet()) {
            table = table.layer(name).definedBy(classesOf(name));
        }
        for (Map.Entry<String, Set<String>> row : MAY_USE.entrySet()) {
            LayeredArchitecture.LayerDependencySpecification layer = table.whereLayer(row.getKey());
            table = row.getValue().isEmpty()
                    ? layer.mayNotAccessAnyLayer()
                    : layer.mayOnlyAccessLayers(row.getValue().toArray(String[]::new));
        }
        return table;
    }

    /** Classes of the package and of those below it that have no row of their own. */
    private DescribedPredicate<JavaClass> classesOf(String name) {
        DescribedPredicate<JavaClass> tree = resideInAnyPackage(packageTree(name));
        for (String other : MAY_USE.keySet()) {
            if (other.startsWith(name + ".")) {
                tree = tree.and(DescribedPredicate.not(resideInAnyPackage(packageTree(other))));
            }
        }
        return tree.as("classes of " + name);
    }

    /** Without this, a class in a package of its own would escape the table. */
    ArchRule everyClassIsInAPackageOfTheTable() {
        return classes()
                .that()
                .doNotHaveSimpleName("package-info")
                .should()
                .resideInAnyPackage(packageTrees(MAY_USE.keySet()))
                .allowEmptyShould(true);
    }

    ArchRule packagesHaveNoCycles() {
        return slices().matching(root + ".(**)").should().beFreeOfCycles().allowEmptyShould(true);
    }

    ArchRule everyPackageDescribesItself() {
        DescribedPredicate<JavaClass> described = describe(
                "reside in a package whose package-info is @NullMarked",
                type -> type.getPackage().isAnnotatedWith(NullMarked.class));
        return classes().should(ArchCondition.from(described));
    }

    /** JCuda, cuBLAS and whatever else is called through {@code java.lang.foreign}. */
    ArchRule onlyCudaCallsNativeLibraries() {
        return noClasses()
                .that()
                .resideOutsideOfPackage(packageTree("device.cuda"))
                // malloc and free, and nothing else.
                .and()
                .doNotHaveFullyQualifiedName(root + ".device.cpu.NativeMemory")
                .should()
                .dependOnClassesThat(resideInAnyPackage("jcuda..")
                        .or(JavaClass.Predicates.belongToAnyOf(Linker.class, SymbolLookup.class)));
    }

    /** The library of linear programmes is a detail of who places. */
    ArchRule onlyPlacementSolvesLinearProgrammes() {
        return noClasses()
                .that()
                .resideOutsideOfPackage(packageTree("plan.placement"))
                .should()
                .dependOnClassesThat(resideInAnyPackage("org.ojalgo.."));
    }

    /** Functions over records: nothing of input, output or the container. */
    ArchRule planIsPure() {
        return classes()
                .that()
                .resideInAPackage(packageTree("plan"))
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        packageTree("plan"),
                        packageTree("model"),
                        "java.lang..",
                        "java.math..",
                        "java.time..",
                        "java.util..",
                        "org.ojalgo.optimisation..",
                        "org.jspecify.annotations..")
                .allowEmptyShould(true);
    }

    /**
     * What {@code plan} uses of {@code model} are dimensions: a type that leads on to weights leads to a device. How
     * large a block of the cache is says its code, which leads nowhere.
     */
    ArchRule planReachesNoDevice() {
        DescribedPredicate<JavaClass> describesBlocks = describe(
                "describe blocks",
                type -> type.getPackageName().equals(root + ".device")
                        && BLOCK_DESCRIPTIONS.contains(
                                type.getName().replaceFirst(".*\\.", "").replaceFirst("\\$.*", "")));
        return noClasses()
                .that()
                .resideInAPackage(packageTree("plan"))
                .should()
                .transitivelyDependOnClassesThat(
                        resideInAnyPackage(packageTree("device")).and(DescribedPredicate.not(describesBlocks)))
                .allowEmptyShould(true);
    }

    ArchRule cdiStaysAtTheEdges() {
        return noClasses()
                .that()
                .resideOutsideOfPackages(packageTrees(CDI_EDGES))
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("jakarta..", "io.quarkus..", "io.smallrye.config..", "org.eclipse.microprofile..");
    }

    private String packageTree(String name) {
        return root + "." + name + "..";
    }

    private String[] packageTrees(Collection<String> names) {
        return names.stream().map(this::packageTree).toArray(String[]::new);
    }
}
