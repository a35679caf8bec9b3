package io.weft.app;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A setting. It stands on the component of one of the records of {@link Settings} that holds the value, and is all that
 * is said of it: what reads the settings, the flags of the commands and the tables of the documentation are made from
 * these, and a test compares the chart with them.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Setting {
    /** A bound of counts of tokens: more than any model has. */
    int TOKENS_MOST = 1 << 24;

    /** The highest port. */
    int PORT_MOST = 65_535;

    /** Key in a properties file; the environment has {@code WEFT_MODEL} for {@code weft.model}. */
    String key();

    /** What a value looks like. */
    Kind kind();

    /** What the value is for: a sentence. */
    String means();

    /** Value that is read where none is set; for a component that may be empty there is none. */
    String fallback() default "";

    /** What happens where none is set: what {@link #fallback} comes to, or what is done instead of one. */
    String unset() default "";

    /** Flag of the commands that take the record's settings; none if empty. */
    String flag() default "";

    /** What stands for the value in the flag's help. */
    String label() default "";

    /** Least value of a number. */
    double least() default Double.NEGATIVE_INFINITY;

    /** Largest value of a number. */
    double most() default Double.POSITIVE_INFINITY;

    /** Who has a use for it. */
    Use use() default Use.EVERYDAY;

    /** What values look like. */
    enum Kind {
        TEXT,
        /** A text that protects something: nobody means none by an empty one. */
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
        DURATION
    }

    /** Who has a use for a setting. */
    enum Use {
        /** Anybody; the README lists it. */
        EVERYDAY,
        /** Who knows how Weft works inside, or has a special machine. */
        SPECIAL
    }
}
