package io.weft;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;
import org.assertj.core.api.ListAssert;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** Weft keeps to the package table of {@code docs/architecture.md}, and the rules that say so do fire. */
class ArchitectureTest {

    @Nested
    class Weft {
        private static final JavaClasses CLASSES = new ClassFileImporter()
                .withImportOption(new DoNotIncludeTests())
                .importPackages("io.weft");

        private final ArchitectureRules rules = new ArchitectureRules("io.weft");

        @Test
        void packagesUseWhatTheTableAllows() {
            rules.packagesUseWhatTheTableAllows().check(CLASSES);
        }

        @Test
        void everyClassIsInAPackageOfTheTable() {
            rules.everyClassIsInAPackageOfTheTable().check(CLASSES);
        }

        @Test
        void packagesHaveNoCycles() {
            rules.packagesHaveNoCycles().check(CLASSES);
        }

        @Test
        void everyPackageDescribesItself() {
            rules.everyPackageDescribesItself().check(CLASSES);
        }

        @Test
        void onlyCudaCallsNativeLibraries() {
            rules.onlyCudaCallsNativeLibraries().check(CLASSES);
        }

        @Test
        void planIsPure() {
            rules.planIsPure().check(CLASSES);
        }

        @Test
        void planReachesNoDevice() {
            rules.planReachesNoDevice().check(CLASSES);
        }

        @Test
        void cdiStaysAtTheEdges() {
            rules.cdiStaysAtTheEdges().check(CLASSES);
        }
    }

    /** Each rule names the classes of the fixture that break it, and no others. */
    @Nested
    class Fixture {
        private static final String ROOT = "io.weft.architecture.broken";
        private static final JavaClasses CLASSES = new ClassFileImporter().importPackages(ROOT);

        private final ArchitectureRules rules = new ArchitectureRules(ROOT);

        @Test
        void aPackageThatUsesWhatTheTableDoesNotAllow() {
            assertViolations(rules.packagesUseWhatTheTableAllows())
                    .anyMatch(text -> text.contains("DeviceUsesModel"))
                    .anyMatch(text -> text.contains("PlanUsesDevice"))
                    .allMatch(text -> text.contains("DeviceUsesModel") || text.contains("PlanUsesDevice"));
        }

        @Test
        void aClassOutsideTheTable() {
            assertViolations(rules.everyClassIsInAPackageOfTheTable())
                    .singleElement()
                    .asString()
                    .contains("Unlisted");
        }

        @Test
        void aCycleOfPackages() {
            assertViolations(rules.packagesHaveNoCycles())
                    .anyMatch(text -> text.contains("Slice cache.index") && text.contains("Slice cache.store"));
        }

        @Test
        void aPackageWithoutDescription() {
            assertViolations(rules.everyPackageDescribesItself())
                    .anyMatch(text -> text.contains("Unlisted"))
                    .noneMatch(text -> text.contains("EngineIsWired"));
        }

        @Test
        void aNativeCallOutsideCuda() {
            assertViolations(rules.onlyCudaCallsNativeLibraries())
                    .anyMatch(text -> text.contains("PipelineCallsNative") && text.contains("Linker"))
                    .anyMatch(text -> text.contains("PipelineCallsNative") && text.contains("SymbolLookup"))
                    .anyMatch(text -> text.contains("PipelineCallsNative") && text.contains("jcuda"))
                    .allMatch(text -> text.contains("PipelineCallsNative"));
        }

        @Test
        void aPlanThatReadsFiles() {
            assertViolations(rules.planIsPure())
                    .anyMatch(text -> text.contains("PlanReadsFiles"))
                    .noneMatch(text -> text.contains("PlanOverWeights"));
        }

        @Test
        void aPlanThatReachesADevice() {
            assertViolations(rules.planReachesNoDevice())
                    .anyMatch(text -> text.contains("PlanUsesDevice"))
                    .anyMatch(text -> text.contains("PlanOverWeights"))
                    .noneMatch(text -> text.contains("PlanReadsFiles"));
        }

        @Test
        void cdiInTheMiddle() {
            assertViolations(rules.cdiStaysAtTheEdges())
                    .anyMatch(text -> text.contains("PipelineIsWired"))
                    .noneMatch(text -> text.contains("EngineIsWired"));
        }

        private static ListAssert<String> assertViolations(ArchRule rule) {
            List<String> violations = rule.evaluate(CLASSES).getFailureReport().getDetails();
            return assertThat(violations).isNotEmpty();
        }
    }
}
