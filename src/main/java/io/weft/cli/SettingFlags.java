package io.weft.cli;

import io.weft.app.Setting;
import io.weft.app.SettingException;
import io.weft.app.SettingReader;
import io.weft.app.Settings;
import io.weft.model.CachePolicy;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.IGetter;
import picocli.CommandLine.Model.ISetter;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/** The flags of settings, derived from {@link Setting}. A flag wins over the environment and the properties file. */
abstract class SettingFlags implements IModelTransformer {
    private final List<Class<? extends Record>> groups;

    private SettingFlags(List<Class<? extends Record>> groups) {
        this.groups = groups;
    }

    /** The flags of a command that runs a model. */
    static final class Engine extends SettingFlags {
        Engine() {
            super(List.of(Settings.Model.class, Settings.Machine.class, Settings.Cache.class));
        }
    }

    /** The flags of a command that also answers a request. */
    static final class Request extends SettingFlags {
        Request() {
            super(Settings.GROUPS.stream()
                    .filter(group -> group != Settings.Server.class)
                    .toList());
        }
    }

    /** The flags of a command that serves. */
    static final class Service extends SettingFlags {
        Service() {
            super(Settings.GROUPS);
        }
    }

    @Override
    public CommandSpec transform(CommandSpec command) {
        int order = 1;
        for (Class<? extends Record> group : groups) {
            for (RecordComponent component : group.getRecordComponents()) {
                if (!SettingReader.setting(component).flag().isEmpty()) {
                    command.addOption(flag(command, component, order++));
                }
            }
        }
        return command;
    }

    private static OptionSpec flag(CommandSpec command, RecordComponent component, int order) {
        Setting setting = SettingReader.setting(component);
        Setter setter = new Setter(command, component);
        OptionSpec.Builder flag =
                OptionSpec.builder(setting.flag()).setter(setter).arity("1");
        switch (setting.kind()) {
            case TEXTS -> {
                Texts texts = new Texts(setter);
                flag.type(List.class).auxiliaryTypes(String.class).getter(texts).setter(texts);
            }
            case BOOLEAN -> flag.type(boolean.class).arity("0").setter(new Toggle(setting));
            default -> flag.type(String.class);
        }
        return flag.order(order)
                .paramLabel(setting.label())
                .description(description(setting).replace("%", "%%"))
                .hasInitialValue(false)
                .build();
    }

    private static String description(Setting setting) {
        if (setting.fallback().isEmpty()) {
            return setting.means() + " Default: " + setting.unset() + ".";
        }
        String effect = setting.unset().isEmpty() ? "" : ": " + setting.unset();
        return setting.means() + " Default: " + setting.fallback() + effect + ".";
    }

    /** What a flag that comes several times has so far; the setting gets all of it. */
    private static final class Texts implements IGetter, ISetter {
        private final Setter setter;
        private List<?> texts = new ArrayList<>();

        Texts(Setter setter) {
            this.setter = setter;
        }

        @Override
        @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"}) // as picocli's interface has it
        public <T> T get() {
            return (T) texts;
        }

        @Override
        public <T> T set(T value) {
            if (value instanceof List<?> more) {
                texts = more;
                setter.set(more.stream().map(String::valueOf).collect(Collectors.joining(",")));
            }
            return value;
        }
    }

    /** A flag without a value: one that says no turns its setting off. */
    private record Toggle(Setting setting) implements ISetter {
        @Override
        public <T> T set(T value) {
            SettingFlags.set(setting.key(), "" + !setting.flag().startsWith("--no-"));
            return value;
        }
    }

    /**
     * Checks a flag's value and sets it. Errors name the flag here; the reader of settings knows only keys. A blank
     * value counts as none.
     */
    private record Setter(CommandSpec command, RecordComponent component) implements ISetter {
        @Override
        public <T> T set(T value) {
            if (value instanceof String text) {
                Setting setting = SettingReader.setting(component);
                if (!text.isBlank()) {
                    check(setting.flag(), text.strip());
                }
                SettingFlags.set(setting.key(), text);
            }
            return value;
        }

        private void check(String flag, String text) {
            try {
                SettingReader.parse(component, flag, text);
            } catch (SettingException e) {
                throw new ParameterException(command.commandLine(), e.getMessage(), e);
            }
        }
    }

    /** Sets how the cache is stored, for commands that take few settings. */
    static void setCacheEncoding(CommandSpec command, String label) {
        try {
            CachePolicy.ofLabel(label);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(
                    command.commandLine(), ("--" + e.getMessage()).replace("cache_encoding", "cache-encoding"), e);
        }
        set("weft.cache-encoding", label);
    }

    /** A flag is a setting under another name, so the reader of settings needs no other source. */
    static void set(String key, String value) {
        System.setProperty(key, value);
    }
}
