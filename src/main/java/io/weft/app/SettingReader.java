package io.weft.app;

import io.weft.app.Setting.Kind;
import io.weft.app.Settings.Labelled;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.eclipse.microprofile.config.Config;
import org.jspecify.annotations.Nullable;

/** Reads records of settings, with errors on which a person can act. */
public final class SettingReader {
    /** The allowed form of a size. */
    public static final String SIZE_ALLOWED = "a size such as 24GB, 512MiB or a number of bytes";

    private static final Pattern SIZE = Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*([kmgt]?)(i?)b?");
    private static final long SIZE_MOST = 1L << 60;
    private static final Pattern SECONDS = Pattern.compile("(\\d+)\\s*s?");

    private final Config config;

    SettingReader(Config config) {
        this.config = config;
    }

    /**
     * Reads a record each of whose components is a {@link Setting}.
     *
     * @throws SettingException for the first wrong value
     */
    <R extends Record> R read(Class<R> type) {
        RecordComponent[] components = type.getRecordComponents();
        Object[] values = Arrays.stream(components).map(this::value).toArray();
        try {
            Constructor<R> canonical = type.getDeclaredConstructor(
                    Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
            return canonical.newInstance(values);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof SettingException wrong) {
                throw wrong;
            }
            throw new IllegalStateException(type + " cannot be made", e);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(type + " cannot be made", e);
        }
    }

    /** The description of a component. */
    public static Setting setting(RecordComponent component) {
        return Objects.requireNonNull(
                component.getAnnotation(Setting.class), () -> component.getName() + " is no setting");
    }

    private Object value(RecordComponent component) {
        Setting setting = setting(component);
        Optional<String> set = config.getOptionalValue(setting.key(), String.class)
                .map(String::strip)
                .filter(value -> !value.isEmpty());
        if (set.isEmpty() && setting.kind() == Kind.SECRET) {
            requireUnset(setting);
        }
        Optional<String> text = set.or(() -> Optional.of(setting.fallback()).filter(value -> !value.isEmpty()));
        return held(
                component.getType(),
                text.map(value -> parse(component, setting.key(), value)).orElse(null));
    }

    private void requireUnset(Setting secret) {
        String blank = config.getConfigValue(secret.key()).getValue();
        if (blank != null) {
            throw new SettingException(secret.key(), blank, "more than blanks, or not be set at all");
        }
    }

    /** Converts a value for a component of a type. */
    private static Object held(Class<?> type, @Nullable Object value) {
        if (type == Optional.class) {
            return Optional.ofNullable(value);
        }
        if (type == List.class) {
            return value == null ? List.of() : value;
        }
        if (type == OptionalInt.class) {
            return value instanceof Number number ? OptionalInt.of(number.intValue()) : OptionalInt.empty();
        }
        if (type == OptionalLong.class) {
            return value instanceof Number number ? OptionalLong.of(number.longValue()) : OptionalLong.empty();
        }
        if (type == OptionalDouble.class) {
            return value instanceof Number number ? OptionalDouble.of(number.doubleValue()) : OptionalDouble.empty();
        }
        Objects.requireNonNull(value, () -> type + " has to have a fallback");
        return type == int.class && value instanceof Number number ? Integer.valueOf(number.intValue()) : value;
    }

    /**
     * Reads the value of one setting.
     *
     * @param component the component that would hold the value
     * @param name the name of the setting for whoever gave the value
     * @throws SettingException if the value is not allowed
     */
    public static Object parse(RecordComponent component, String name, String text) {
        Setting setting = setting(component);
        Optional<?> value = switch (setting.kind()) {
            case TEXT, SECRET -> Optional.of(text);
            case TEXTS -> texts(text);
            case PATH -> Optional.of(path(text));
            case CHOICE ->
                labelled(component.getType())
                        .filter(constant -> constant.label().equals(text))
                        .findFirst();
            case SIZE -> boxed(size(text));
            case WHOLE -> whole(text).filter(number -> number >= setting.least() && number <= setting.most());
            case DECIMAL -> decimal(text).filter(number -> number >= setting.least() && number <= setting.most());
            case DECIMAL_ABOVE -> decimal(text).filter(number -> number > setting.least() && number <= setting.most());
            case DURATION -> duration(text);
            case BOOLEAN -> truth(text);
        };
        if (setting.kind() == Kind.SIZE && value.isPresent() && (long) value.get() > SIZE_MOST) {
            throw new SettingException(name, text, "at most 1 EiB");
        }
        return value.orElseThrow(() -> new SettingException(name, text, allowed(component)));
    }

    /** The allowed values. */
    public static String allowed(RecordComponent component) {
        Setting setting = setting(component);
        return switch (setting.kind()) {
            case TEXT -> "a text";
            case TEXTS -> "texts, separated by commas";
            case SECRET -> "more than blanks";
            case PATH -> "a path";
            case CHOICE ->
                "one of " + labelled(component.getType()).map(Labelled::label).collect(Collectors.joining(", "));
            case SIZE -> SIZE_ALLOWED;
            case WHOLE ->
                Double.isInfinite(setting.least())
                        ? "a whole number"
                        : "a whole number from %d to %d".formatted((long) setting.least(), (long) setting.most());
            case DECIMAL -> "a number from " + setting.least() + " to " + setting.most();
            case DECIMAL_ABOVE -> "a number above " + setting.least() + ", at most " + setting.most();
            case DURATION -> "a duration such as 30s or PT1M";
            case BOOLEAN -> "true or false";
        };
    }

    private static Stream<Labelled> labelled(Class<?> type) {
        return Arrays.stream(type.getEnumConstants()).map(Labelled.class::cast);
    }

    private static Optional<List<String>> texts(String text) {
        List<String> texts =
                Arrays.stream(text.split(",", -1)).map(String::strip).toList();
        return texts.stream().anyMatch(String::isEmpty) ? Optional.empty() : Optional.of(texts);
    }

    private static Path path(String text) {
        return text.startsWith("~/") ? Path.of(System.getProperty("user.home"), text.substring(2)) : Path.of(text);
    }

    private static Optional<Long> boxed(OptionalLong number) {
        return number.isPresent() ? Optional.of(number.getAsLong()) : Optional.empty();
    }

    /** The bytes of a setting of {@link Kind#SIZE}; empty if the text is no size. */
    public static OptionalLong size(String text) {
        Matcher size = SIZE.matcher(text.strip().toLowerCase(Locale.ROOT));
        if (!size.matches()) {
            return OptionalLong.empty();
        }
        int power = "kmgt".indexOf(size.group(2)) + (size.group(2).isEmpty() ? 0 : 1);
        double unit = Math.pow(size.group(3).isEmpty() ? 1000 : 1024, power);
        return OptionalLong.of((long) (Double.parseDouble(size.group(1)) * unit));
    }

    private static Optional<Long> whole(String text) {
        try {
            return Optional.of(Long.parseLong(text));
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
    }

    private static Optional<Double> decimal(String text) {
        try {
            return Optional.of(Double.parseDouble(text));
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
    }

    private static Optional<Boolean> truth(String text) {
        return switch (text) {
            case "true" -> Optional.of(true);
            case "false" -> Optional.of(false);
            default -> Optional.empty();
        };
    }

    private static Optional<Duration> duration(String text) {
        Matcher seconds = SECONDS.matcher(text);
        if (seconds.matches()) {
            return whole(seconds.group(1)).map(Duration::ofSeconds);
        }
        try {
            return Optional.of(Duration.parse(text));
        } catch (DateTimeParseException e) {
            return Optional.empty();
        }
    }
}
