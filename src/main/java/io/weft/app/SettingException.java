package io.weft.app;

/** A setting is wrong. The message names the key, the value and what is allowed. */
public final class SettingException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    SettingException(String key, String value, String allowed) {
        super("%s is \"%s\", must be %s".formatted(key, value, allowed));
    }
}
