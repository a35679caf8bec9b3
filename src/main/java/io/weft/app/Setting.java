package io.weft.app;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A setting. It annotates the component of a record of {@link Settings} that holds the value, and is the only
 * description of it: the reader of settings, the flags of the commands and the tables of the documentation derive from
 * it, and a test compares the chart with it.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Setting {
    /** A bound of counts of tokens: more than any model has. */
    int TOKENS_MOST = 1 << 24;

    /** The highest port. */
    int PORT_MOST = 65_535;

    /** The key in a properties file; the environment variable of {@code weft.model} is {@code WEFT_MODEL}. */
    String key();

    /** The form of a value. */
    Kind kind();

    /** The purpose of the value, in one sentence. */
    String means();

    /** The default value; none for a component that may be empty. */
    String fallback() default "";

    /** The effect without a value, for people: that of {@link #fallback}, or what happens instead. */
    String unset() default "";

    /** The flag of the commands with the record's settings; none if empty. */
    String flag() default "";

    /** The placeholder of the value in the flag's help. */
    String label() default "";

    /** The least value of a number. */
    double least() default Double.NEGATIVE_INFINITY;

    /** The largest value of a number. */
    double most() default Double.POSITIVE_INFINITY;

    /** The audience of the setting. */
    Use use() default Use.EVERYDAY;

    /** The form of values. */
    enum Kind {
        TEXT,
        /** Texts with commas between; a flag may also come several times. */
        TEXTS,
        /** A text that protects something, for which an empty value is an error. */
        SECRET,
        PATH,
        /** One of an enum's constants, by label. */
        CHOICE,
        /** Bytes: 24GB is 24·10⁹, 24GiB is 24·2³⁰, a plain number is bytes. */
        SIZE,
        WHOLE,
        /** A number, {@link Setting#least} included. */
        DECIMAL,
        /** A number above {@link Setting#least}. */
        DECIMAL_ABOVE,
        DURATION,
        /** true or false. */
        BOOLEAN
    }

    /** The audience of a setting. */
    enum Use {
        /** Everybody; the README lists it. */
        EVERYDAY,
        /** People who know how Weft works inside, or have a special machine. */
        SPECIAL
    }
}
