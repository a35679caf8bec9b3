package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import jakarta.validation.Valid;
import jakarta.validation.constraints.Size;
import java.lang.reflect.AnnotatedParameterizedType;
import java.lang.reflect.AnnotatedType;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * Each list that a request has says how long it may be, and what is in a long one is checked where it is read: the
 * validator compares each of its findings with all others.
 */
class BoundedListsTest {
    /** Findings of so many elements cost nothing. */
    private static final int SHORT = 16;

    private static List<RecordComponent> listsOfRequests() {
        JavaClasses classes = new ClassFileImporter()
                .withImportOption(new DoNotIncludeTests())
                .importPackages("io.weft.api.openai", "io.weft.api.weft");
        List<RecordComponent> lists = new ArrayList<>();
        for (var type : classes) {
            String name = type.getSimpleName();
            boolean described = name.endsWith("Request") || name.endsWith("Fields") || name.equals("ChatMessage");
            if (described && type.isRecord()) {
                Arrays.stream(type.reflect().getRecordComponents())
                        .filter(component -> List.class.isAssignableFrom(component.getType())
                                || Map.class.isAssignableFrom(component.getType()))
                        .forEach(lists::add);
            }
        }
        return lists;
    }

    private static String name(RecordComponent component) {
        return component.getDeclaringRecord().getSimpleName() + "." + component.getName();
    }

    /** What is free of form is counted by value, over the whole body. */
    private static boolean isFree(RecordComponent component) {
        return component.getAccessor().isAnnotationPresent(JsonAnySetter.class)
                || component.getGenericType().getTypeName().equals("java.util.Map<java.lang.String, java.lang.Object>");
    }

    @Test
    void eachListHasALimit() {
        assertThat(listsOfRequests()).hasSizeGreaterThan(5).allSatisfy(component -> {
            if (!isFree(component)) {
                assertThat(component.getAccessor().getAnnotation(Size.class))
                        .as(name(component))
                        .isNotNull();
            }
        });
    }

    @Test
    void theValidatorSeesOnlyElementsOfShortLists() {
        assertThat(listsOfRequests()).allSatisfy(component -> {
            Size size = component.getAccessor().getAnnotation(Size.class);
            if (!isFree(component) && size.max() > SHORT) {
                for (AnnotatedType element :
                        ((AnnotatedParameterizedType) component.getAnnotatedType()).getAnnotatedActualTypeArguments()) {
                    assertThat(element.getAnnotations())
                            .as(name(component))
                            .noneMatch(annotation -> annotation instanceof Valid
                                    || annotation.annotationType().getName().startsWith("jakarta.validation"));
                }
            }
        });
    }
}
